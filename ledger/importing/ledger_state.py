"""What a ledger holds that a plan depends on, learnt line by line.

Pure: no file, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.errors import NOT_OURS, OddLine
from ledger.events import money
from ledger.events.event import COST_OBSERVED, LIFECYCLE_TYPES, WORKFLOW_STARTED, Line
from ledger.events.runs import Runs
from ledger.importing.counter_series import CounterFigure, CounterSeries
from ledger.providers.usage import measure

__all__ = ["CALL_NAMES", "Known", "ModelPath", "Named", "known"]

Named = tuple[str | None, str]
"""A session's meter: its agent and its session id there."""

ModelPath = tuple[str | None, str | None, str | None]
"""Agent, session and model: what is above a message."""


CALL_NAMES: Final = "otlp"
"""The kind of source whose calls are known by the provider's request id alone."""


@dataclass(slots=True)
class Known:
    """What a ledger holds that a plan depends on.

    Attributes:
        seq: of its last line, 0 without a ledger.
        meters: a process's meter, by `(session id as the source says it, process)`.
        homes: the agent that a session stands under: of its first reading of its own, before that of its first message.
        covered: sessions that have a reading of their own or of one of their models.
        agents: all agents that a session's messages stand under; ledgers of earlier versions have several.
        messages: where each message was first observed.
        names: the message that another native id of a response stands for.
        measures: of each message's largest reading, and its moment; see `usage.measure`.
        killed: nanodollars of the messages of a process that may have left no total, those that were cut off aside.
        feeds: session id and kind of source of every reading that names a session, corrections aside.
        models: the models of a session's messages; `total_models`, those that have readings of their own there.
        unnamed: sessions with calls, telemetry's aside, that name no request id.
        finals: cost and usage of the last reading of a meter that is final, by the meter's path.
        started_at, project: of the starts; "" when none says it.
        counters: by agent, session and model, and kind of source.
        last_activity: the latest moment of a reading that is no correction; "" without any.
        ended_at: of the run that has ended, as the application's own row says it; "" when none does.
    """

    seq: int = 0
    ids: set[str] = field(default_factory=set)
    meters: dict[tuple[str, str], Named] = field(default_factory=dict)
    homes: dict[str, str | None] = field(default_factory=dict)
    covered: set[str] = field(default_factory=set)
    agents: dict[str, set[str | None]] = field(default_factory=dict)
    messages: dict[str, ModelPath] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    measures: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    killed: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    feeds: set[tuple[str, str]] = field(default_factory=set)
    models: dict[str, set[str]] = field(default_factory=dict)
    total_models: dict[str, set[str]] = field(default_factory=dict)
    unnamed: set[str] = field(default_factory=set)
    finals: dict[ModelPath, Mapping[str, Any]] = field(default_factory=dict)
    started_at: str = ""
    project: str = ""
    counters: dict[tuple[ModelPath, str], CounterSeries] = field(default_factory=dict)
    runs: Runs = field(default_factory=Runs)
    status: str = "running"
    last_activity: str = ""
    ended_at: str = ""


def known(lines: Iterable[Line], found: Known | None = None) -> Known:
    """What a ledger's lines say, or what is known once these lines follow."""
    found = Known() if found is None else found
    for line in lines:
        try:
            _learn(found, line)
        except NOT_OURS:
            raise OddLine(line) from None
    return found


def _learn(found: Known, line: Line) -> None:
    found.seq = line["seq"]
    found.ids.add(line["id"])
    if line["type"] == COST_OBSERVED:
        _learn_reading(found, line)
    elif line["type"] in LIFECYCLE_TYPES and isinstance(line.get("run"), int):
        before, found.runs = found.runs, found.runs.after(line["type"], line["run"])
        if line["type"] == WORKFLOW_STARTED:
            found.status = "running" if not found.runs.ended else found.status
            found.ended_at = found.ended_at if found.runs.ended else ""
            at = line.get("observed_at") or line["recorded_at"]
            found.started_at = min(at, found.started_at or at)
            found.project = line.get("project") or found.project
        elif line["run"] >= before.run:
            found.status = line["type"].removeprefix("workflow_")
            from_row = (line.get("source") or {}).get("kind") == "history_db"
            found.ended_at = line.get("observed_at") or "" if from_row else found.ended_at


def _learn_reading(found: Known, line: Line) -> None:
    agent, session_id, source = line.get("agent"), line.get("session_id"), line.get("source") or {}
    kind, process = source.get("kind") or "", source.get("process")
    path: ModelPath = (agent, session_id, line.get("model"))
    if "reason" not in line:
        moment = line.get("spent_at") or line.get("observed_at") or line["recorded_at"]
        found.last_activity = max(found.last_activity, min(moment, line["recorded_at"]))
    if (series := source.get("series")) is not None:
        _learn_counter(found, line, path, kind, series)
    elif process is not None and "message_id" not in line:
        _learn_total(found, line, path, kind, process)
    if session_id is not None and "reason" not in line:  # a correction or a repricing repeats what a source has given
        found.feeds.add((_session_of(session_id, process or ""), kind))
    message_id = line.get("message_id")
    if session_id is not None and process is not None:
        key = (_session_of(session_id, process), process)
        found.meters.setdefault(key, (agent, session_id))
        if message_id is not None and not source.get("cut"):
            cost = money.from_wire(line.get("cost_usd", "0.00"))
            whole = found.killed.setdefault(key, {})
            whole[message_id] = max(cost, whole.get(message_id, 0))
    if message_id is not None:
        _learn_message(found, line, path, kind)
    elif session_id is not None:
        if session_id not in found.covered:
            found.homes[session_id] = agent
            found.covered.add(session_id)
        if path[2] is not None:
            found.total_models.setdefault(session_id, set()).add(path[2])
        if line.get("final") and "cost_usd" in line:
            found.finals[path] = {name: line[name] for name in ("cost_usd", "usage") if name in line}
        else:
            found.finals.pop(path, None)


def _learn_message(found: Known, line: Line, path: ModelPath, kind: str) -> None:
    message_id, (agent, session_id, model) = line["message_id"], path
    names = (line.get("source") or {}).get("names") or ()
    found.messages.setdefault(message_id, path)
    for name in names:
        found.names.setdefault(name, message_id)
    if session_id is not None:
        found.homes.setdefault(session_id, agent)
        found.agents.setdefault(session_id, set()).add(agent)
        if model is not None:
            found.models.setdefault(session_id, set()).add(model)
        if kind != CALL_NAMES and not names:
            found.unnamed.add(session_id)
    had, at = found.measures.get(message_id, (b"", ""))
    given = measure(line.get("usage") or {})
    found.measures[message_id] = (max(had, given), max(at, line.get("observed_at") or ""))


def _learn_counter(found: Known, line: Line, path: ModelPath, kind: str, series: str) -> None:
    counters, source = found.counters.setdefault((path, kind), CounterSeries()), line["source"]
    cost = source.get("series_cost_usd")
    nanousd = None if cost is None else money.from_wire(cost)
    carried = money.from_wire(source.get("series_carried_usd", "0.00"))
    partial = source.get("series_partial") is True
    counted = CounterFigure(nanousd, source.get("series_usage") or {}, partial, carried)
    counters.count(series, counted, line.get("observed_at"))


def _learn_total(found: Known, line: Line, path: ModelPath, kind: str, process: str) -> None:
    """Take a process's total as earlier versions wrote it: a reading of a meter, without the series it counts in."""
    if "cost_usd" in line:
        counted = CounterFigure(money.from_wire(line["cost_usd"]), line.get("usage") or {}, line.get("partial") is True)
        found.counters.setdefault((path, kind), CounterSeries()).count(process, counted, line.get("observed_at"))


def _session_of(meter_session_id: str, process: str) -> str:
    """The session id as the source says it, from the one its meter got."""
    return meter_session_id.removesuffix(f":{process}") if process else meter_session_id
