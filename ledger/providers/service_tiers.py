"""Service tiers: how a provider served a call, and which names mean the standard price."""

from __future__ import annotations

from typing import Any, Final

from ledger.providers.usage import of

__all__ = ["PREMIUM_TIERS", "STANDARD_TIERS", "served_as", "service_tier_of"]

STANDARD_TIERS: Final = frozenset({"auto", "default", "on_demand", "standard", "standard_only", "unspecified"})
"""Names of the standard tier: Anthropic's "standard", OpenAI's "default" and "auto", Groq's "on_demand" and others."""

PREMIUM_TIERS: Final = frozenset({"fast", "priority"})
"""Tiers that cost more than the standard one: https://platform.openai.com/docs/pricing"""


def service_tier_of(value: object) -> str | None:
    """Return the tier that a provider, a tool or a user names, in lower case; None for the standard one.

    Args:
        value: text, a member of an SDK's enumeration, or nothing.
    """
    if value is None:
        return None
    tier = str(getattr(value, "value", value)).lower()
    return None if not tier or tier in STANDARD_TIERS else tier


_TIER_OF_GEMINI: Final = "x-gemini-service-tier"
"""A header of responses of the Gemini API: https://ai.google.dev/gemini-api/docs/priority-inference"""


def served_as(answer: object, usage: object) -> Any:
    """Return how a response says that it was served; None when it does not.

    Anthropic's fast mode is a `speed` of the usage (https://platform.claude.com/docs/en/build-with-claude/fast-mode), a
    tier of Vertex AI its `traffic_type` (https://cloud.google.com/vertex-ai/generative-ai/docs/flex-paygo), and one of
    the Gemini API a header, which google-genai has in `sdk_http_response`.
    """
    if (speed := of(usage, "speed")) is not None and service_tier_of(speed) is not None:
        return speed
    headers = of(of(answer, "sdk_http_response"), "headers")
    named = of(answer, "service_tier") or of(usage, "service_tier") or of(headers, _TIER_OF_GEMINI)
    traffic = service_tier_of(of(usage, "traffic_type") or of(usage, "trafficType")) or ""
    return named or traffic.removeprefix("traffic_type_").removeprefix("on_demand_") or None
