"""Service tiers: how a provider served a call, and which names mean the standard price."""

from __future__ import annotations

from typing import Final

__all__ = ["PREMIUM_TIERS", "STANDARD_TIERS", "service_tier_of"]

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
