"""The events of a ledger, and those that moved its cost."""

from __future__ import annotations

from typing import Annotated, Any

from ledger.events import money
from ledger.events.event import Line
from projections.documents.types import About, AdwIdText, Moment, TypedDict, Usd, document, usd
from projections.folding.explain import Step
from projections.folding.moves import moved_from, moved_to
from projections.folding.row import Row

__all__ = [
    "EventDocument",
    "EventsDocument",
    "StepDocument",
    "StepsDocument",
    "event_document",
    "moves_document",
    "step_document",
]


@document
class EventDocument(TypedDict):
    """A line of the ledger, and how it changed the workflow's cost."""

    event: Annotated[dict[str, Any], About("the line as it is in the ledger")]
    cost_before_usd: Annotated[Usd | None, About("null before the first figure")]
    cost_after_usd: Annotated[Usd | None, About("likewise")]


@document
class EventsDocument(TypedDict):
    """A page of a ledger's events."""

    events: Annotated[list[EventDocument], About("`limit` of them, or fewer where they fill 8 MiB")]
    next: Annotated[int | None, About("`after` of the next page; null on the last one")]


@document
class StepDocument(TypedDict):
    """An event that changed the cost, accepted a finding, or moved the workflow to another."""

    seq: int
    recorded_at: Moment
    observed_at: Moment | None
    type: str
    meter: str
    agent: Annotated[str | None, About("of the reading; null where it names none, as in the next two")]
    session_id: str | None
    model: str | None
    from_cost_usd: Annotated[Usd | None, About("null before the first figure")]
    to_cost_usd: Annotated[Usd | None, About("likewise; an acceptance and a move have the same cost twice")]
    why: str
    file: str | None
    line: int | None


@document
class StepsDocument(TypedDict):
    """A page of the events that moved the cost."""

    adw_id: AdwIdText
    steps: Annotated[list[StepDocument], About("`limit` of them, or fewer where they fill 8 MiB")]
    event_count: Annotated[int, About("events that were read for this page: all of the ledger's on the last one")]
    next: Annotated[int | None, About("`after` of the next page; null on the last one")]
    moved_from: Annotated[dict[str, Usd], About("what other workflows' ledgers add to its row, by workflow")]
    moved_to: Annotated[dict[str, Usd], About("what of it counts in other workflows' rows, by workflow")]


def event_document(line: Line, before_nanousd: int | None, after_nanousd: int | None) -> EventDocument:
    """Return a line of the ledger, with the workflow's cost before and after it."""
    return {
        "event": line,
        "cost_before_usd": usd(before_nanousd),
        "cost_after_usd": usd(after_nanousd),
    }


def step_document(step: Step) -> StepDocument:
    """Return an event that moved the cost."""
    return {
        "seq": step.seq,
        "recorded_at": step.recorded_at,
        "observed_at": step.observed_at,
        "type": step.type,
        "meter": step.meter,
        "agent": step.agent,
        "session_id": step.session_id,
        "model": step.model,
        "from_cost_usd": usd(step.from_nanousd),
        "to_cost_usd": usd(step.to_nanousd),
        "why": step.why,
        "file": step.file,
        "line": step.line,
    }


def moves_document(row: Row | None) -> dict[str, dict[str, str]]:
    """Return what was moved to a workflow and from it, in USD by the other workflow."""
    moved = {"moved_from": {} if row is None else moved_from(row), "moved_to": {} if row is None else moved_to(row)}
    return {key: {name: money.to_wire(nanousd) for name, nanousd in one.items()} for key, one in moved.items()}
