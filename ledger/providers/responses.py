"""Responses of Anthropic, OpenAI, Gemini and LiteLLM: what they report about their own call.

A response is an object of their SDKs or the parsed JSON; no SDK is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ledger.errors import InvalidEvent, shown
from ledger.events.fields import check_name
from ledger.providers.further_costs import costs_more, inner_calls, searches_in
from ledger.providers.service_tiers import served_as, service_tier_of
from ledger.providers.usage import of, usage_of

__all__ = ["Response", "is_free", "named", "names_model", "reports_usage", "response_of", "usage_in"]


@dataclass(frozen=True, slots=True)
class Response:
    """A call as its response reports it.

    Attributes:
        message_id: the id that the provider gave the response; None when it has none.
        usage: in our buckets.
        service_tier: None for the standard one.
        costs_more: than its usage shows; see `ledger.providers.further_costs`.
        inner: calls of the API's own, which its usage leaves out.
    """

    message_id: str | None
    model: str | None
    usage: Mapping[str, int]
    service_tier: str | None = None
    costs_more: bool = False
    inner: tuple[Response, ...] = ()


def response_of(answer: object) -> Response:
    """Return what a response reports.

    Raises:
        InvalidEvent: this version does not support its kind, or it reports no usage.
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
    id, model, tier = _name(answer, _ID), _name(answer, _MODEL), service_tier_of(served_as(answer, usage))
    counts, searches = usage_of(usage), searches_in(answer)
    inner = tuple(
        Response(f"{id}{suffix}", other or model, usage_of(used), tier)
        for suffix, other, used in (inner_calls(usage) if id is not None else ())
    )
    counts |= {"web_search_requests": searches} if searches else {}
    return Response(id, model, counts, tier, costs_more(answer, usage), inner)


_OF_AN_AGENT: Final = "parent_tool_use_id"
"""A field of messages of the Claude Agent SDK, which repeat the usage from the start of a response."""
_USAGE: Final = ("usage", "usage_metadata", "usageMetadata")
_ID: Final = ("id", "response_id", "responseId")
_MODEL: Final = ("model", "model_version", "modelVersion")


def usage_in(answer: object) -> Any:
    """Return the usage in a response, as the provider spells it; None when there is none."""
    return _first(answer, _USAGE)


def reports_usage(answer: object) -> bool:
    """Return whether a response reports a usage, valid or not."""
    return usage_in(answer) is not None


def names_model(answer: object) -> bool:
    """Return whether a response names its model."""
    return _first(answer, _MODEL) is not None


def is_free(answer: object) -> bool:
    """Return whether a response is from a moderation model of OpenAI, which costs nothing.

    https://platform.openai.com/docs/guides/moderation
    """
    return str(of(answer, "model")).startswith(_MODERATION) and not reports_usage(answer)


_MODERATION: Final = ("omni-moderation-", "text-moderation-")


def named(answer: object) -> dict[str, str]:
    """Return the `message_id` and `model` of any object, as far as these are valid names; never raises."""
    found: dict[str, str] = {}
    for name, names in (("message_id", _ID), ("model", _MODEL)):
        with suppress(Exception):
            if (value := _name(answer, names)) is not None:
                found[name] = value
    return found


def _name(answer: object, names: tuple[str, ...]) -> str | None:
    found = _first(answer, names)
    try:
        return None if found is None else check_name(found)
    except ValueError as error:
        raise InvalidEvent(names[0], str(error)) from None


def _first(answer: object, names: tuple[str, ...]) -> Any:
    return next((found for name in names if (found := of(answer, name)) is not None), None)
