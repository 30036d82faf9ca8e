"""Responses: what an Anthropic, OpenAI, Gemini or LiteLLM answer says about its own call.

An object of their SDKs or the parsed JSON; no SDK is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.errors import InvalidEvent, InvalidInput, shown
from ledger.events import check_name
from ledger.usage import mapping, usage_of

__all__ = ["Response", "response_of", "tier_of"]

_STANDARD: Final = frozenset({"auto", "default", "standard", "standard_only", "unspecified"})
"""Tiers that are priced as the price list says; OpenAI's "default", Anthropic's "standard"."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a call was, by its answer.

    Attributes:
        message_id: the provider's id of the answer; None when it has none.
        usage: in our buckets.
        service_tier: None for the standard one.
    """

    message_id: str | None
    model: str | None
    usage: Mapping[str, int]
    service_tier: str | None = None


def response_of(answer: object) -> Response:
    """What an answer says.

    Raises:
        InvalidInput: it is of no kind that this version knows, or says nothing about its usage.
    """
    given = mapping(answer)
    usage = next((given[name] for name in _USAGE if given.get(name) is not None), None)
    if usage is None:
        raise InvalidInput(
            f"no usage in {shown(type(answer).__name__)}: expected a response of Anthropic, OpenAI, Gemini or LiteLLM; "
            "give the tokens with usage=…"
        )
    tier = given.get("service_tier") or mapping(usage).get("service_tier")
    return Response(_name(given, _ID), _name(given, _MODEL), usage_of(usage), tier_of(tier))


_USAGE: Final = ("usage", "usage_metadata", "usageMetadata")
_ID: Final = ("id", "response_id", "responseId")
_MODEL: Final = ("model", "model_version", "modelVersion")


def _name(given: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        if given.get(name) is not None:
            try:
                return check_name(given[name])
            except ValueError as error:
                raise InvalidEvent(name, str(error)) from None
    return None


def tier_of(said: object) -> str | None:
    """How a call was served, when that was not the standard way."""
    text = str(getattr(said, "value", said) or "").lower()
    return None if not text or text in _STANDARD else text
