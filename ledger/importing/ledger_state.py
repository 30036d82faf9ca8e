"""The state of a ledger that a plan depends on, built line by line.

Pure: no file, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ledger.errors import NOT_OURS, OddLine
from ledger.events import money
from ledger.events.event import COST_OBSERVED, LIFECYCLE_TYPES, WORKFLOW_MOVED, WORKFLOW_STARTED, Line
from ledger.events.ids import is_digest
from ledger.events.runs import Runs
from ledger.importing.counter_series import CounterFigure, CounterSeries
from ledger.providers.usage import measure

__all__ = ["NAMELESS", "STREAM", "TELEMETRY", "UNMATCHED", "LedgerState", "ModelPath", "SessionMeter", "state_of"]

SessionMeter = tuple[str | None, str]
"""A session's meter: its agent and its session id there."""

ModelPath = tuple[str | None, str | None, str | None]
"""Agent, session and model: the levels above a message."""


STREAM: Final = "claude_stream"
"""The kind of source whose processes can have meters of their own, and whose totals can be final."""
TELEMETRY: Final = "otlp"
"""The kind of source whose calls are identified by the provider's request id alone."""
UNMATCHED: Final = "_unmatched"
"""What the kind of a counter ends with that sums the calls of an account that cannot be matched: no total."""
NAMELESS: Final = "otlp_nameless"
"""In `session_kinds`: the session has telemetry without request ids, which matches no call of another account."""


@dataclass(slots=True)
class LedgerState:
    """The content of a ledger that a plan depends on.

    Attributes:
        seq: of its last line, 0 without a ledger.
        meters: a process's meter, by `(session id as the source has it, process)`.
        own_meters: nanodollars of each process that has a meter of its own, by session and by the id of the meter: of
            each message, and under "" its total.
        session_agents: the agent of each session: of its first own reading, before that of its first message.
        covered: sessions that have a reading of their own or of one of their models.
        message_agents: all agents of a session's messages; ledgers of earlier versions have several.
        messages: where each message was first observed.
        aliases: the message id that the ledger has for another native id of a response.
        measures: of each message's largest reading, and its moment; see `usage.measure`.
        process_messages: nanodollars of each message of a process that may have left no total, except those cut off.
        session_kinds: session id and kind of source of every reading with a session, except corrections.
        models: the models of a session's messages; `total_models`, those that have readings of their own there.
        unnamed: sessions with calls, except telemetry's, that name no request id.
        prompted: sessions that had a prompt, of clients where that is in question; see `prompt_planner`.
        waiting: readings that wait for a session's prompt, by session.
        finals: cost and usage of the last reading of a meter that is final, by the meter's path.
        started_at, project: of the starts; "" without one.
        counters: by agent, session and model, and kind of source.
        alone: meters whose last reading is of metrics without a call of their session.
        last_activity: the latest moment of a reading that is no correction; "" without any.
        ended_at: of the run that has ended, by the application's own row; "" without one.
        moved: it was moved to another workflow at some time, also if that was ended again.
    """

    seq: int = 0
    ids: set[str] = field(default_factory=set)
    meters: dict[tuple[str, str], SessionMeter] = field(default_factory=dict)
    own_meters: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    session_agents: dict[str, str | None] = field(default_factory=dict)
    covered: set[str] = field(default_factory=set)
    message_agents: dict[str, set[str | None]] = field(default_factory=dict)
    messages: dict[str, ModelPath] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    measures: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    process_messages: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    session_kinds: set[tuple[str, str]] = field(default_factory=set)
    models: dict[str, set[str]] = field(default_factory=dict)
    total_models: dict[str, set[str]] = field(default_factory=dict)
    unnamed: set[str] = field(default_factory=set)
    prompted: set[str] = field(default_factory=set)
    waiting: dict[str, list[Line]] = field(default_factory=dict)
    finals: dict[ModelPath, Mapping[str, Any]] = field(default_factory=dict)
    started_at: str = ""
    project: str = ""
    counters: dict[tuple[ModelPath, str], CounterSeries] = field(default_factory=dict)
    alone: set[ModelPath] = field(default_factory=set)
    runs: Runs = field(default_factory=Runs)
    status: str = "running"
    last_activity: str = ""
    ended_at: str = ""
    moved: bool = False

    def own_meters_nanousd(self, session_id: str) -> int | None:
        """Return what the processes of a session cost that have a meter each, under other agents; None without any."""
        found = self.own_meters.get(session_id)
        if found is None:
            return None
        totals = [(costs.get("", 0), sum(cost for id, cost in costs.items() if id)) for costs in found.values()]
        return sum(max(total) for total in totals)

    def has_own_meter(self, meter_session_id: str | None) -> bool:
        """Return whether a meter is that of one process of a session whose other processes other agents ran."""
        return any(meter_session_id in meters for meters in self.own_meters.values())

    def copy(self) -> LedgerState:
        """Return a state that can be changed without changing this one."""
        return replace(
            self,
            ids=set(self.ids),
            meters=dict(self.meters),
            own_meters={id: {of: dict(each) for of, each in found.items()} for id, found in self.own_meters.items()},
            session_agents=dict(self.session_agents),
            covered=set(self.covered),
            message_agents={id: set(agents) for id, agents in self.message_agents.items()},
            messages=dict(self.messages),
            aliases=dict(self.aliases),
            measures=dict(self.measures),
            process_messages={key: dict(costs) for key, costs in self.process_messages.items()},
            session_kinds=set(self.session_kinds),
            models={id: set(models) for id, models in self.models.items()},
            total_models={id: set(models) for id, models in self.total_models.items()},
            unnamed=set(self.unnamed),
            prompted=set(self.prompted),
            waiting={id: list(lines) for id, lines in self.waiting.items()},
            finals=dict(self.finals),
            alone=set(self.alone),
            counters={key: series.copy() for key, series in self.counters.items()},
        )


def state_of(lines: Iterable[Line], before: LedgerState | None = None) -> LedgerState:
    """Return the state of a ledger by its lines, or the one before with these lines added to it."""
    state = LedgerState() if before is None else before
    for line in lines:
        try:
            _add(state, line)
        except NOT_OURS:
            raise OddLine(line) from None
    return state


def _add(state: LedgerState, line: Line) -> None:
    state.seq = line["seq"]
    state.ids.add(line["id"])
    if line["type"] == COST_OBSERVED:
        _add_reading(state, line)
    elif line["type"] == WORKFLOW_MOVED:
        state.moved |= line.get("to") != line["workflow_id"]  # one to itself opened it, or ends an earlier one
    elif line["type"] in LIFECYCLE_TYPES and isinstance(line.get("run"), int):
        before, state.runs = state.runs, state.runs.after(line["type"], line["run"])
        if line["type"] == WORKFLOW_STARTED:
            state.status = "running" if not state.runs.ended else state.status
            state.ended_at = state.ended_at if state.runs.ended else ""
            at = line.get("observed_at") or line["recorded_at"]
            state.started_at = min(at, state.started_at or at)
            state.project = line.get("project") or state.project
        elif line["run"] >= before.run:
            state.status = line["type"].removeprefix("workflow_")
            from_row = (line.get("source") or {}).get("kind") == "history_db"
            state.ended_at = line.get("observed_at") or "" if from_row else state.ended_at


def _add_reading(state: LedgerState, line: Line) -> None:
    agent, session_id, source = line.get("agent"), line.get("session_id"), line.get("source") or {}
    kind, process = source.get("kind") or "", source.get("process")
    path: ModelPath = (agent, session_id, line.get("model"))
    if "reason" not in line:
        moment = line.get("spent_at") or line.get("observed_at") or line["recorded_at"]
        state.last_activity = max(state.last_activity, min(moment, line["recorded_at"]))
    if kind == TELEMETRY and "message_id" not in line:
        (state.alone.add if source.get("alone") is True else state.alone.discard)(path)
    if (series := source.get("series")) is not None:
        _add_counter(state, line, path, kind, series)
    elif process is not None and "message_id" not in line:
        _add_total(state, line, path, kind, process)
    if session_id is not None and "reason" not in line:  # a correction or a repricing only repeats a source's reading
        state.session_kinds.add((_session_of(session_id, process or ""), kind))
    message_id = line.get("message_id")
    if session_id is not None and process is not None:
        _add_process(state, line, path, process)
    if session_id is not None and source.get("prompt"):
        state.prompted.add(session_id)
        state.waiting.pop(session_id, None)
    elif session_id is not None and "waiting" in source:
        state.waiting.setdefault(session_id, []).append(line)
    if message_id is not None:
        _add_message(state, line, path, kind)
    elif session_id is not None:
        _add_session(state, line, path, session_id)


def _add_process(state: LedgerState, line: Line, path: ModelPath, process: str) -> None:
    """Add a reading of one process: its meter, and what it cost by its messages or in a meter of its own."""
    session_id, message_id = line["session_id"], line.get("message_id")
    cost, key = money.from_wire(line.get("cost_usd", "0.00")), (_session_of(session_id, process), process)
    state.meters.setdefault(key, (path[0], session_id))
    if key[0] != session_id and (message_id is not None or path[2] is None):
        own = state.own_meters.setdefault(key[0], {}).setdefault(session_id, {})
        own[message_id or ""] = max(cost, own.get(message_id or "", 0))
    if message_id is not None and not line["source"].get("cut"):
        costs = state.process_messages.setdefault(key, {})
        costs[message_id] = max(cost, costs.get(message_id, 0))


def _add_message(state: LedgerState, line: Line, path: ModelPath, kind: str) -> None:
    message_id, (agent, session_id, model) = line["message_id"], path
    names = (line.get("source") or {}).get("names") or ()
    state.messages.setdefault(message_id, path)
    for name in names:
        state.aliases.setdefault(name, message_id)
    if session_id is not None:
        state.session_agents.setdefault(session_id, agent)
        state.message_agents.setdefault(session_id, set()).add(agent)
        if model is not None:
            state.models.setdefault(session_id, set()).add(model)
        if kind == TELEMETRY and not names and is_digest(message_id):
            state.session_kinds.add((session_id, NAMELESS))
        if kind != TELEMETRY and not names:
            state.unnamed.add(session_id)
    had, at = state.measures.get(message_id, (b"", ""))
    reported = line.get("cost_usd") if line.get("cost_source") == "reported" else None
    given = measure(line.get("usage") or {}, None if reported is None else money.from_wire(reported))
    state.measures[message_id] = (max(had, given), max(at, line.get("observed_at") or ""))


def _add_session(state: LedgerState, line: Line, path: ModelPath, session_id: str) -> None:
    """Add a reading of a session, or of one of its models."""
    if session_id not in state.covered:
        state.session_agents[session_id] = path[0]
        state.covered.add(session_id)
    if path[2] is not None and not str((line.get("source") or {}).get("kind")).endswith(UNMATCHED):
        state.total_models.setdefault(session_id, set()).add(path[2])
    if line.get("final") and "cost_usd" in line:
        state.finals[path] = {name: line[name] for name in ("cost_usd", "usage") if name in line}
    else:
        state.finals.pop(path, None)


def _add_counter(state: LedgerState, line: Line, path: ModelPath, kind: str, series: str) -> None:
    counters, source = state.counters.setdefault((path, kind), CounterSeries()), line["source"]
    cost = source.get("series_cost_usd")
    nanousd = None if cost is None else money.from_wire(cost)
    carried = money.from_wire(source.get("series_carried_usd", "0.00"))
    partial = source.get("series_partial") is True
    figure = CounterFigure(nanousd, source.get("series_usage") or {}, partial, carried)
    counters.count(series, figure, line.get("observed_at"))


def _add_total(state: LedgerState, line: Line, path: ModelPath, kind: str, process: str) -> None:
    """Add a process's total as earlier versions wrote it: a reading of a meter, without its counter's series."""
    if "cost_usd" in line:
        figure = CounterFigure(money.from_wire(line["cost_usd"]), line.get("usage") or {}, line.get("partial") is True)
        state.counters.setdefault((path, kind), CounterSeries()).count(process, figure, line.get("observed_at"))


def _session_of(meter_session_id: str, process: str) -> str:
    """The session id as the source has it, from the one of its meter."""
    return meter_session_id.removesuffix(f":{process}") if process else meter_session_id
