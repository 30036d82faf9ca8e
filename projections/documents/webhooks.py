"""The receivers of webhooks, and what they did not take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from ledger.events import timestamps
from projections.documents.types import About, Moment, TypedDict, document

__all__ = ["DeadLetterDocument", "EndpointDocument", "WebhooksDocument", "dead_letter_document", "endpoint_document"]


@document
class EndpointDocument(TypedDict):
    """A receiver of webhooks."""

    id: str
    host: Annotated[
        str, About("scheme and host; the rest of a URL may hold a secret", examples=["https://hooks.example"])
    ]
    events: list[str]
    pending: Annotated[int, About("messages that it is yet to take")]
    oldest_pending_at: Moment | None
    dead: Annotated[int, About("messages that were given up")]
    delivered: int
    last_delivered_at: Moment | None
    last_error: Annotated[str | None, About("of the last attempt; null: it succeeded")]


@document
class DeadLetterDocument(TypedDict):
    """A message that an endpoint did not take."""

    id: Annotated[str, About("its webhook-id", examples=["msg_2b0c8a7de1f34b3e9c5d7a6b1f2e3d4c"])]
    endpoint: str
    type: Annotated[str, About(examples=["cost.updated"])]
    adw_id: Annotated[str, About("empty: it is about the budget of a period", examples=["a5b80595"])]
    made_at: Moment
    attempts: int
    last_error: str


@document
class WebhooksDocument(TypedDict):
    """The receivers of webhooks, and the messages that were given up."""

    endpoints: list[EndpointDocument]
    dead_letters: Annotated[list[DeadLetterDocument], About("the newest thousand, the newest first")]


def endpoint_document(id: str, host: str, events: Sequence[str], tally: Mapping[str, Any]) -> EndpointDocument:
    """Return an endpoint.

    Args:
        tally: its other fields; times are seconds since 1970.
    """
    return cast(EndpointDocument, {"id": id, "host": host, "events": list(events)} | _with_moments(tally))


def dead_letter_document(letter: Mapping[str, Any]) -> DeadLetterDocument:
    """Return a message that was given up; for times see `endpoint_document`."""
    return cast(DeadLetterDocument, _with_moments(letter))


def _with_moments(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _moment(value) if name.endswith("_at") else value for name, value in fields.items()}


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else timestamps.to_wire(datetime.fromtimestamp(seconds, UTC))
