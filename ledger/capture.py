"""Capture: what an agent said while it ran, appended to its workflow's ledger.

The status line's counter becomes a reading of the session's meter, which covers the session's messages; so neither
those that a hook has read from the transcript, nor those of a log that is imported later, add to it. A counter that
restarts does not get a meter of its own here: the transcript's messages all belong to the one session, and would be
counted beside the second meter again. So a session shows the sum of its counters.

Each reading keeps what its counter showed (`source.series_cost_usd`, `source.since_ms`): the ledger alone is enough to
go on from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger import money
from ledger.errors import InvalidInput, LedgerMoved, UnknownWorkflow
from ledger.events import COST_OBSERVED, Event, Line, check_workflow_id, cost_observed
from ledger.session_counter import SessionCounter, carried_over
from ledger.sources.findings import digest
from ledger.store import LedgerStore

__all__ = ["Captured", "Said", "append_said", "said"]

KIND: Final = "claude_statusline"
_ATTEMPTS_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the spool.

    Attributes:
        counter_usd: what the status line's counter showed, as it was spelled; None for a hook.
        since_ms: since when that counter counts.
        transcripts: files that have grown.
    """

    at: str
    session_id: str
    workflow_id: str
    agent: str | None = None
    counter_usd: str | None = None
    since_ms: int | None = None
    project_dir: str | None = None
    transcripts: tuple[Path, ...] = ()

    @property
    def id(self) -> str:
        """The event's id: the same line of the spool, taken twice, is the same event."""
        return digest(KIND, self.session_id, self.at, self.counter_usd)


def said(line: Mapping[str, Any]) -> Said:
    """A line of the spool.

    Raises:
        InvalidInput: a field is missing or makes no sense.
    """
    workflow_id = check_workflow_id(line.get("workflow_id") or line.get("session_id"))
    found = Said(
        at=str(line.get("at")),
        session_id=str(line.get("session_id")),
        workflow_id=workflow_id,
        agent=line.get("agent"),
        counter_usd=line.get("counter_usd"),
        since_ms=line.get("since_ms"),
        project_dir=line.get("project_dir"),
        transcripts=tuple(Path(path) for path in line.get("transcripts", ())),
    )
    if found.counter_usd is not None:
        _reading(found, found.agent, money.parse(found.counter_usd), {})  # what could never be appended is refused here
    elif not found.transcripts:
        raise InvalidInput("says neither a cost nor a transcript")
    return found


@dataclass(slots=True)
class Captured:
    """What a workflow's ledger says after an append.

    Attributes:
        appended: how many events were.
        counters: by session, as they now stand.
        agents: under which each session stands; the first one, so that one session is never two meters.
    """

    appended: int = 0
    counters: dict[str, SessionCounter] = field(default_factory=dict)
    agents: dict[str, str | None] = field(default_factory=dict)


def append_said(
    store: LedgerStore,
    workflow_id: str,
    items: Sequence[Said],
    others: Callable[[Said], Iterable[tuple[int, int | None]]],
) -> Captured:
    """Append what the counters of one workflow's sessions showed, in one batch; once more changes nothing.

    Args:
        items: of this workflow, in the order they were said.
        others: figure and start of the counters of other recent sessions, for one that goes on from them.

    Raises:
        CostledgerError: as `LedgerStore.append`; nothing was appended.
    """
    for attempt in range(_ATTEMPTS_MAX):
        lines = _lines(store, workflow_id)
        captured = Captured(counters=_counters(lines), agents=_agents(lines))
        events = _readings(items, captured, {line["id"] for line in lines}, others)
        captured.appended = len(events)
        try:
            if events:
                store.append(events, expected_seq=len(lines))
        except LedgerMoved:
            if attempt + 1 == _ATTEMPTS_MAX:
                raise
        else:
            return captured
    raise AssertionError("unreachable: the last attempt returns or raises")


def _lines(store: LedgerStore, workflow_id: str) -> list[Line]:
    try:
        return list(store.read(workflow_id))
    except UnknownWorkflow:
        return []


def _counters(lines: Iterable[Line]) -> dict[str, SessionCounter]:
    """Each session's counters, from the readings of its own meter in ledger order."""
    found: dict[str, SessionCounter] = {}
    for line in lines:
        if line["type"] != COST_OBSERVED or "session_id" not in line or {"model", "message_id"} & line.keys():
            continue
        counter = found.setdefault(line["session_id"], SessionCounter())
        source = line.get("source") or {}
        if source.get("kind") == KIND:
            base = money.from_wire(source.get("series_base_usd", "0.00"))
            counter.read(money.from_wire(source["series_cost_usd"]), source.get("since_ms"), base)
        elif "cost_usd" in line:
            counter.told(money.from_wire(line["cost_usd"]))
    return found


def _agents(lines: Iterable[Line]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for line in lines:
        if line["type"] == COST_OBSERVED and "session_id" in line:
            found.setdefault(line["session_id"], line.get("agent"))
    return found


def _readings(
    items: Sequence[Said],
    captured: Captured,
    ids: set[str],
    others: Callable[[Said], Iterable[tuple[int, int | None]]],
) -> list[Event]:
    """A reading for each line that changes what its session shows.

    What stands before a line that the ledger has was considered when that one was appended: a drain died in between.
    """
    done = max((at for at, item in enumerate(items, 1) if item.counter_usd is not None and item.id in ids), default=0)
    events: list[Event] = []
    for item in items[done:]:
        if item.counter_usd is None:
            continue
        shown = money.parse(item.counter_usd)
        counter = captured.counters.setdefault(item.session_id, SessionCounter())
        base = 0 if counter.counters else carried_over(others(item), shown, item.since_ms)
        spoke = counter.read(shown, item.since_ms, base)
        if spoke is not None:
            source = {"series_base_usd": money.to_wire(spoke.base)} if spoke.base else {}
            agent = captured.agents.setdefault(item.session_id, item.agent)
            source["series_cost_usd"] = money.to_wire(shown)
            events.append(_reading(item, agent, counter.nanousd, source))
    return events


def _reading(item: Said, agent: str | None, nanousd: int, source: Mapping[str, Any]) -> Event:
    since = {} if item.since_ms is None else {"since_ms": item.since_ms}
    return cost_observed(
        item.workflow_id,
        agent=agent,
        session_id=item.session_id,
        cost_usd=money.to_wire(nanousd),
        observed_at=item.at,
        id=item.id,
        source={"kind": KIND, **source, **since},
    )
