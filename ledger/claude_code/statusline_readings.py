"""Readings of the status line: spool lines become events of their workflow's ledger.

The status line's counter becomes a reading of the session's meter, which covers the session's messages; so neither
those that a hook has read from the transcript, nor those of a log that is imported later, add to it. What the ledger
already has of the session under other agents (sub-agents, read before the first status line) is subtracted, and what
other ledgers have of it.

A counter that restarts does not get a meter of its own here: the transcript's messages all belong to the one session,
and would count again in addition to the second meter. So a session costs the sum of its counters.

Each reading records its counter's figure (`source.series_cost_usd`, `source.since_ms`, `source.duration_ms`): the
ledger alone is enough to continue from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger.claude_code.session_cost import SessionCounter, carried_over
from ledger.errors import NOT_OURS, InvalidInput, OddLine, UnknownWorkflow
from ledger.events import money
from ledger.events.event import COST_OBSERVED, Event, Line, cost_observed
from ledger.events.ids import digest
from ledger.events.workflow_ids import check_workflow_id
from ledger.sources.claude_totals import CARRIED_FROM, is_short, version_of
from ledger.storage.planned_append import PlannedEvents, append_planned
from ledger.storage.store import LedgerStore

__all__ = ["KIND", "SpoolLine", "StatusLineSession", "append_spool_line", "elsewhere", "sessions", "spool_line"]

KIND: Final = "claude_statusline"
_LOG_KIND: Final = "claude_stream"
_AGENT: Final = "main"
"""The name of a session's own agent when no name is given, as in its transcript."""

OtherCounter = tuple[bool, tuple[int, int | None]]
"""Whether a session was cleared, and the figure and the start of its counter."""


@dataclass(frozen=True, slots=True)
class SpoolLine:
    """One line of the spool.

    Attributes:
        counter_usd: the figure of the status line's counter, as it was spelled; None for a hook.
        since_ms: the start of that counter, and `duration_ms`, for how long it had counted.
        transcripts: files that have grown.
        cleared: the session was left with `/clear`: the next one's counter may continue from this one's.
        version: of the client, which decides whether a counter continues from a saved total.
    """

    at: str
    session_id: str
    workflow_id: str
    agent: str | None = None
    counter_usd: str | None = None
    since_ms: int | None = None
    duration_ms: int | None = None
    project_dir: str | None = None
    transcripts: tuple[Path, ...] = ()
    cleared: bool = False
    version: str | None = None

    @property
    def carried(self) -> bool:
        """Whether its counter continues from a saved total."""
        return _is_carried(self.version)

    @property
    def id(self) -> str:
        """The event's id: the same line, taken twice from the spool, is the same event."""
        return digest(KIND, self.session_id, self.at, self.counter_usd)


def _is_carried(version: object) -> bool:
    numbers = version_of(version)
    return numbers is not None and numbers >= CARRIED_FROM


def spool_line(line: Mapping[str, Any]) -> SpoolLine:
    """Return a line of the spool.

    Raises:
        InvalidInput: a field is missing or invalid.
    """
    workflow_id = check_workflow_id(line.get("workflow_id") or line.get("session_id"))
    found = SpoolLine(
        at=str(line.get("at")),
        session_id=str(line.get("session_id")),
        workflow_id=workflow_id,
        agent=line.get("agent"),
        counter_usd=line.get("counter_usd"),
        since_ms=line.get("since_ms"),
        duration_ms=line.get("duration_ms"),
        project_dir=line.get("project_dir"),
        transcripts=tuple(Path(path) for path in line.get("transcripts", ())),
        cleared=line.get("cleared") is True,
        version=line.get("version"),
    )
    if found.counter_usd is not None:
        money.parse(found.counter_usd, most_nanousd=money.READING_NANOUSD_MAX)
        _reading(found, StatusLineSession(), found.agent, {})  # what could never be appended is refused here
    elif not found.transcripts and not found.cleared:
        raise InvalidInput("has neither a cost nor a transcript")
    return found


def append_spool_line(
    store: LedgerStore,
    workflow_id: str,
    items: Sequence[SpoolLine],
    others: Callable[[SpoolLine], Iterable[OtherCounter]],
    beyond: Callable[[str], int] = lambda _: 0,
) -> int:
    """Append the counters' figures of one workflow's sessions in one batch; return the number of events.

    A repetition changes nothing.

    Args:
        items: of this workflow, in the order of the spool.
        others: the counters of the project's other sessions, for one that continues from them.
        beyond: nanodollars that other ledgers have of a session.

    Raises:
        CostledgerError: as `LedgerStore.append`; nothing was appended.
    """

    def plan() -> PlannedEvents:
        lines = _lines(store, workflow_id)
        by_id = sessions(lines)
        for session_id in {item.session_id for item in items}:
            by_id.setdefault(session_id, StatusLineSession()).elsewhere_nanousd = beyond(session_id)
        return PlannedEvents(len(lines), _readings(items, by_id, {line["id"] for line in lines}, others))

    return len(append_planned(store, plan)[0].events)


def elsewhere(store: LedgerStore, session_id: str, workflow_ids: Iterable[str]) -> int:
    """Return the nanodollars that the ledgers of these workflows have of a session."""
    found = (sessions(_lines(store, workflow_id)).get(session_id) for workflow_id in workflow_ids)
    return sum(session.cost_nanousd for session in found if session is not None)


def _lines(store: LedgerStore, workflow_id: str) -> list[Line]:
    try:
        return list(store.read(workflow_id))
    except UnknownWorkflow:
        return []


@dataclass(slots=True)
class StatusLineSession:
    """A session in a ledger.

    Attributes:
        recorded: the ledger has something of it, so that all of it is recorded under `agent`, even if that is None.
        covered: it has a reading of its own, under `agent`; its messages count below that from then on.
        messages: nanodollars of each message, by agent and message id.
        elsewhere_nanousd: what other ledgers have of it.
        logged: a log of it was imported, too: the two cannot be matched, and the higher counts.
        assumed: what its first figure carries over is assumed: no hook said that the session before was cleared.
        short: its client may leave a part out of its figures.
        total_nanousd: of the process, where this is the meter of a single one.
        own_meters: of its processes that other agents ran, by the id of each meter.
    """

    agent: str | None = None
    recorded: bool = False
    covered: bool = False
    counter: SessionCounter = field(default_factory=SessionCounter)
    messages: dict[tuple[str | None, str], int] = field(default_factory=dict)
    elsewhere_nanousd: int = 0
    logged: bool = False
    assumed: bool = False
    short: bool = False
    total_nanousd: int = 0
    own_meters: dict[str, StatusLineSession] = field(default_factory=dict)

    @property
    def outside_meter_nanousd(self) -> int:
        """The part of it that is recorded under other agents, or in other ledgers."""
        other_agents = sum(cost for (agent, _), cost in self.messages.items() if agent != self.agent)
        own = sum(max(each.total_nanousd, sum(each.messages.values())) for each in self.own_meters.values())
        return other_agents + own + self.elsewhere_nanousd

    @property
    def cost_nanousd(self) -> int:
        """Its whole cost by this ledger."""
        return max(self.counter.nanousd, sum(self.messages.values()))

    @property
    def nanousd(self) -> int:
        """The reading of its own meter: its counters, less the part outside the meter."""
        return max(0, self.counter.nanousd - self.outside_meter_nanousd)

    def cover(self, agent: str | None) -> None:
        """Give it a reading of its own, under this agent unless it is recorded under another."""
        if not self.covered:
            self.agent = self.agent if self.recorded else agent or _AGENT
            self.recorded = self.covered = True


def sessions(lines: Iterable[Line]) -> dict[str, StatusLineSession]:
    """Return the sessions of a ledger's lines."""
    found: dict[str, StatusLineSession] = {}
    for line in lines:
        try:
            _learn(found, line)
        except NOT_OURS:
            raise OddLine(line) from None
    return found


def _learn(found: dict[str, StatusLineSession], line: Line) -> None:
    if line["type"] != COST_OBSERVED or "session_id" not in line:
        return
    session = found.setdefault(line["session_id"], StatusLineSession())
    cost, source = money.from_wire(line.get("cost_usd", "0.00")), line.get("source") or {}
    whole, apart, process = line["session_id"].rpartition(":")
    if apart and process == source.get("process"):
        found.setdefault(whole, StatusLineSession()).own_meters[line["session_id"]] = session
    if "message_id" in line:
        key = (line.get("agent"), line["message_id"])
        session.messages[key] = max(cost, session.messages.get(key, 0))
        if not session.recorded:
            session.agent, session.recorded = line.get("agent"), True
        return
    if not session.covered:
        session.agent, session.recorded, session.covered = line.get("agent"), True, True
    if source.get("kind") == KIND:
        base = money.from_wire(source.get("series_base_usd", "0.00"))
        shown, carried = money.from_wire(source["series_cost_usd"]), _is_carried(source.get("version"))
        session.counter.read(shown, source.get("since_ms"), source.get("duration_ms"), [base], carried=carried)
        session.counter.partial = carried and source.get("series_partial") is True
        session.assumed = not carried and source.get("series_partial") is True
        session.short = session.short or is_short(source.get("version"))
    elif source.get("kind") == _LOG_KIND:
        session.logged = True
        session.total_nanousd = max(session.total_nanousd, cost)


def _readings(
    items: Sequence[SpoolLine],
    by_id: dict[str, StatusLineSession],
    ids: set[str],
    others: Callable[[SpoolLine], Iterable[OtherCounter]],
) -> list[Event]:
    """Return a reading for each line that changes the cost of its session.

    Lines before one that the ledger has were considered when that one was appended: a drain died after it.
    """
    done = max((at for at, item in enumerate(items, 1) if item.counter_usd is not None and item.id in ids), default=0)
    events: list[Event] = []
    for item in items[done:]:
        if item.counter_usd is None:
            continue
        shown = money.parse(item.counter_usd)
        session = by_id.setdefault(item.session_id, StatusLineSession())
        session.cover(item.agent)
        first = not session.counter.processes
        session.short = session.short or is_short(item.version)
        totals = [figure for _, (figure, _) in others(item)] if item.carried else []
        if first and not item.carried:
            totals = [_base(session, others(item), item, shown)]
        changed = session.counter.read(shown, item.since_ms, item.duration_ms, totals, carried=item.carried)
        if changed is not None:
            has_base = changed.base and not item.carried and changed is session.counter.processes[0]
            source = {"series_base_usd": money.to_wire(changed.base)} if has_base else {}
            source["series_cost_usd"] = money.to_wire(shown)
            events.append(_reading(item, session, session.agent, source))
    return events


def _base(session: StatusLineSession, others: Iterable[OtherCounter], item: SpoolLine, shown: int) -> int:
    """Return what a new session's first figure carries over from a session before it.

    A client that names its version, and does not yet start from zero after `/clear`, draws a new process at zero. So a
    figure above that continues from a counter with the same start, also if no hook reported the `/clear`: what it adds
    to that counter is a lower bound.
    """
    found = list(others)
    cleared = carried_over((counter for was_cleared, counter in found if was_cleared), shown, item.since_ms)
    if version_of(item.version) is None:
        return cleared
    base = carried_over((counter for _, counter in found), shown, item.since_ms)
    session.assumed = base > cleared
    return base


def _is_partial(counter: SessionCounter) -> bool:
    return counter.partial or counter.is_lower_bound


def _reading(item: SpoolLine, session: StatusLineSession, agent: str | None, source: Mapping[str, Any]) -> Event:
    counter = {"since_ms": item.since_ms, "duration_ms": item.duration_ms, "version": item.version}
    counter |= {"series_partial": session.counter.partial or session.assumed or None}
    return cost_observed(
        item.workflow_id,
        agent=agent,
        session_id=item.session_id,
        cost_usd=money.to_wire(session.nanousd),
        partial=(_is_partial(session.counter) or session.assumed or session.short or session.logged) or None,
        observed_at=item.at,
        id=item.id,
        source={"kind": KIND, **source, **{name: value for name, value in counter.items() if value is not None}},
    )
