"""Responses: what an Anthropic, OpenAI, Gemini or LiteLLM answer says about its own call.

An object of their SDKs or the parsed JSON; no SDK is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ledger.errors import InvalidEvent, shown
from ledger.events.fields import check_name
from ledger.providers.service_tiers import service_tier_of
from ledger.providers.usage import usage_of

__all__ = ["Response", "is_free", "named", "names_model", "of", "response_of", "tells_usage", "usage_in"]


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
        InvalidEvent: it is of no kind that this version knows, or says nothing about its usage.
    """
    usage = usage_in(answer)
    if usage is None:
        raise InvalidEvent(
            "response",
            f"no usage in {shown(type(answer).__name__)}: expected a finished response of Anthropic, OpenAI, Gemini or "
            "LiteLLM, or a result of Claude's agents; give the tokens with usage=…",
        )
    if of(answer, _OF_AN_AGENT) is not None or hasattr(answer, _OF_AN_AGENT):
        raise InvalidEvent(
            "response",
            f"the usage in {shown(type(answer).__name__)} is not finished: charge the ResultMessage of its session",
        )
    tier = of(answer, "service_tier") or of(usage, "service_tier")
    return Response(_name(answer, _ID), _name(answer, _MODEL), usage_of(usage), service_tier_of(tier))


_OF_AN_AGENT: Final = "parent_tool_use_id"
"""A field of the Claude Agent SDK's messages, which repeat the usage that a response began with."""
_USAGE: Final = ("usage", "usage_metadata", "usageMetadata")
_ID: Final = ("id", "response_id", "responseId")
_MODEL: Final = ("model", "model_version", "modelVersion")


def usage_in(answer: object) -> Any:
    """What an answer says of its usage, as it says it; None when it says nothing."""
    return _first(answer, _USAGE)


def tells_usage(answer: object) -> bool:
    """Whether it says anything about its usage, readable or not."""
    return usage_in(answer) is not None


def names_model(answer: object) -> bool:
    """Whether it names the model that gave it."""
    return _first(answer, _MODEL) is not None


def is_free(answer: object) -> bool:
    """Whether it is of OpenAI's moderation models, which cost nothing.

    https://platform.openai.com/docs/guides/moderation
    """
    return str(of(answer, "model")).startswith(_MODERATION) and not tells_usage(answer)


_MODERATION: Final = ("omni-moderation-", "text-moderation-")


def named(answer: object) -> dict[str, str]:
    """Its `message_id` and `model` as far as these are names; never raises, whatever it is."""
    found: dict[str, str] = {}
    for name, names in (("message_id", _ID), ("model", _MODEL)):
        with suppress(Exception):
            if (told := _name(answer, names)) is not None:
                found[name] = told
    return found


def _name(answer: object, names: tuple[str, ...]) -> str | None:
    found = _first(answer, names)
    try:
        return None if found is None else check_name(found)
    except ValueError as error:
        raise InvalidEvent(names[0], str(error)) from None


def _first(answer: object, names: tuple[str, ...]) -> Any:
    return next((found for name in names if (found := of(answer, name)) is not None), None)


def of(answer: object, name: str) -> Any:
    """A field of an SDK's object or of parsed JSON; an answer is never dumped whole, it may hold a book."""
    return answer.get(name) if isinstance(answer, Mapping) else getattr(answer, name, None)
