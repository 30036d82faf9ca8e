"""Planning: what a source found, compared with what a ledger holds, becomes the events to append.

Pure: no file, no clock. Here, and nowhere else, it is decided that two lines speak of the same thing: a process keeps
the meter it first had, a session id met again in another process gets a meter of its own, a message counts under the
path where the ledger first saw it, and an older total of a known process is not appended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict

from ledger import clock, money
from ledger.counters import Counted, Counters
from ledger.events import (
    COST_OBSERVED,
    LIFECYCLE_TYPES,
    WORKFLOW_STARTED,
    Event,
    Line,
    call_observed,
    cost_observed,
    event,
)
from ledger.pricing import PRICE_FIELDS, PriceBook, price_event, price_of, priced_from
from ledger.rates import Rates
from ledger.runs import Runs
from ledger.sources.findings import (
    Begun,
    Call,
    Counter,
    Evidence,
    Findings,
    Message,
    Place,
    Session,
    Skipped,
    Total,
    digest,
)
from ledger.usage import is_larger, measure

__all__ = ["Known", "ModelPath", "Plan", "known", "plan"]

Named = tuple[str | None, str]
"""A session's meter: its agent and its session id there."""

ModelPath = tuple[str | None, str | None, str | None]
"""Agent, session and model: what is above a message."""


@dataclass(slots=True)
class Known:
    """What a ledger holds that a plan depends on.

    Attributes:
        seq: of its last line, 0 without a ledger.
        meters: a process's meter, by `(session id as the source says it, process)`.
        taken: session ids that are a process's meter; a reading that names no process takes none.
        totals: nanodollars of the largest total, by meter.
        messages: where each message was first seen.
        measures: of each message's largest reading, and its moment; see `usage.measure`.
        covered: the agent of each session that has a reading of its own or of one of its models.
        feeds: session id and kind of source of every reading that names a session, corrections aside.
        started_at, project: of the starts; "" when none says it.
        counters: by agent, session and model.
        last_activity: the latest moment of a reading that is no correction; "" without any.
        ended_at: of the run that has ended, as the application's own row says it; "" when none does.
    """

    seq: int = 0
    ids: set[str] = field(default_factory=set)
    meters: dict[tuple[str, str], Named] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    totals: dict[Named, int] = field(default_factory=dict)
    messages: dict[str, ModelPath] = field(default_factory=dict)
    measures: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    covered: dict[str, str | None] = field(default_factory=dict)
    feeds: set[tuple[str, str]] = field(default_factory=set)
    started_at: str = ""
    project: str = ""
    counters: dict[ModelPath, Counters] = field(default_factory=dict)
    runs: Runs = field(default_factory=Runs)
    status: str = "running"
    last_activity: str = ""
    ended_at: str = ""


def known(lines: Iterable[Line], found: Known | None = None) -> Known:
    """What a ledger's lines say, or what is known once these lines follow."""
    found = Known() if found is None else found
    for line in lines:
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
                told = (line.get("source") or {}).get("kind") == "history_db"
                found.ended_at = line.get("observed_at") or "" if told else found.ended_at
    return found


def _learn_reading(found: Known, line: Line) -> None:
    agent, session_id = line.get("agent"), line.get("session_id")
    if "reason" not in line:
        moment = line.get("spent_at") or line.get("observed_at") or line["recorded_at"]
        found.last_activity = max(found.last_activity, min(moment, line["recorded_at"]))
    if (series := (line.get("source") or {}).get("series")) is not None:
        _learn_counter(found, line, series)
    if session_id is not None:
        source = line.get("source") or {}
        process = source.get("process")
        if "reason" not in line:  # who corrects or reprices a figure says anew what some source has told
            found.feeds.add((_session_of(session_id, process or ""), source.get("kind") or ""))
        if process is not None:
            found.taken.add(session_id)
            found.meters.setdefault((_session_of(session_id, process), process), (agent, session_id))
        if line.get("final") and process is not None and line.get("model") is None and "message_id" not in line:
            cost, meter = money.from_wire(line["cost_usd"]), (agent, session_id)
            found.totals[meter] = max(cost, found.totals.get(meter, 0))
    message_id = line.get("message_id")
    if message_id is not None:
        found.messages.setdefault(message_id, (agent, session_id, line.get("model")))
        had, at = found.measures.get(message_id, (b"", ""))
        told = measure(line.get("usage") or {})
        found.measures[message_id] = (max(had, told), max(at, line.get("observed_at") or ""))
    elif session_id is not None:
        found.covered.setdefault(session_id, agent)


def _learn_counter(found: Known, line: Line, series: str) -> None:
    counters = found.counters.setdefault((line.get("agent"), line.get("session_id"), line.get("model")), Counters())
    cost = line["source"].get("series_cost_usd")
    told = Counted(None if cost is None else money.from_wire(cost), line["source"].get("series_usage") or {})
    counters.count(series, told, line.get("observed_at"))


def _session_of(meter_session_id: str, process: str) -> str:
    """The session id as the source says it, from the one its meter got."""
    return meter_session_id.removesuffix(f":{process}") if process else meter_session_id


@dataclass(slots=True)
class Plan:
    """What an import comes to for one workflow."""

    events: list[Event] = field(default_factory=list)
    unchanged: int = 0
    skipped: list[Skipped] = field(default_factory=list)


class _Meter(TypedDict):
    agent: str | None
    session_id: str | None


def plan(
    workflow_id: str, findings: Findings, ledger: Known, prices: PriceBook, moment: datetime, status: str | None
) -> Plan:
    """The events that bring a ledger up to what a source found.

    Args:
        moment: when tokens without a time are taken to have been used.
        status: the end that the caller knows of: "completed", "failed", "cancelled", or None.

    Raises:
        InvalidInput: something in the findings makes no valid event.
    """
    planner = _Planner(workflow_id, ledger, prices, moment)
    if findings.started is not None:
        planner.add(event({"type": WORKFLOW_STARTED, "workflow_id": workflow_id, **findings.started}))
    if findings.begun is not None:
        planner.begun(findings.begun)
    if findings.facts is not None:
        planner.facts(findings.facts)
    for session in findings.sessions:
        planner.session(session)
    for call in findings.calls:
        planner.call(call)
    for counter in findings.counters:
        planner.counter(counter)
    planner.status(findings, status)
    return planner.plan


class _Planner:
    def __init__(self, workflow_id: str, ledger: Known, prices: PriceBook, moment: datetime) -> None:
        self.plan = Plan()
        self._workflow_id, self._ledger, self._prices, self._moment = workflow_id, ledger, prices, moment
        self._agents: dict[str | None, set[str | None]] | None = None
        self._moments: dict[tuple[str, str], str] = {}

    def add(self, new: Event) -> None:
        """Plan an event, unless the ledger or this plan has it."""
        id = new.id
        if id is not None and id in self._ledger.ids:
            self.plan.unchanged += 1
            return
        if id is not None:
            self._ledger.ids.add(id)
        self.plan.events.append(new)

    def session(self, session: Session) -> None:
        agents = self._agents_of(session)
        if session.totals and len(agents) > 1:
            named = ", ".join(sorted(agent or "none" for agent in agents))
            reason = f"the messages of session {session.session_id} count under the agents {named}"
            place, beside = session.totals[-1].place, "a total would count beside them"
            self.plan.skipped.append(Skipped(Path(place.file), place.line, f"{reason}; {beside}"))
            return
        meter = self._meter(session, *agents)
        for total in session.totals:
            self._total(session, total, meter)
        if not session.totals and meter not in self._ledger.totals:
            for message in session.messages.values():
                self._message(session, message, meter)
        elif session.totals and session.after_total:
            self._after_total(session, meter)

    def call(self, call: Call) -> None:
        """A call that no total covers: under the path where the ledger first saw it, priced when it names no cost."""
        usage = call.usage or {}
        told, (had, at) = measure(usage), self._ledger.measures.get(call.message_id, (b"", ""))
        path = self._ledger.messages.setdefault(call.message_id, self._place(call))
        if is_larger(had, told, same_model=call.cost_usd is None and call.model == path[2]):
            self.plan.unchanged += 1  # an earlier, smaller view of a call that the ledger has at a larger one
            return
        observed_at = _later(call.observed_at, at)
        self._ledger.measures[call.message_id] = (max(told, had), observed_at or "")
        native = (call.message_id, call.model, call.service_tier, call.cost_usd)
        fields: dict[str, Any] = {
            "id": digest(call.kind, "call", *native, *sorted(usage.items())),
            "observed_at": observed_at,
            "agent": path[0],
            "session_id": path[1],
            "model": path[2],
            "message_id": call.message_id,
            "partial": call.partial or None,
            "service_tier": call.service_tier,
            "usage": call.usage,
            "source": {"kind": call.kind, "file": call.place.file, "line": call.place.line},
        }
        if call.checked and call.cost_usd is None:
            price = price_of(self._prices, fields, self._moment)
            derived = PRICE_FIELDS if price else frozenset[str]()
            self.add(call_observed(self._workflow_id, fields | price, derived=derived))
        else:
            new = cost_observed(self._workflow_id, cost_usd=call.cost_usd, **fields)
            self.add(price_event(self._prices, new, self._moment))

    def _place(self, call: Call) -> ModelPath:
        """Below its session's own reading when there is one, whoever the agent, so that it is not counted beside it."""
        if call.session_id is not None and call.session_id in self._ledger.covered:
            return self._ledger.covered[call.session_id], call.session_id, call.model
        return call.agent, call.session_id, call.model

    def begun(self, begun: Begun) -> None:
        """A start, when the ledger knows of none so early, or of no project."""
        ledger, project = self._ledger, begun.project if not self._ledger.project else ""
        if not project and (not begun.at or (ledger.started_at and ledger.started_at <= begun.at)):
            return
        fields = {"observed_at": begun.at or None, "project": project or None}
        told = digest("begun", self._workflow_id, begun.at, project)
        self._lifecycle("started", {"id": told, "run": max(1, ledger.runs.run), **fields})
        ledger.started_at = min(begun.at or ledger.started_at, ledger.started_at or begun.at)
        ledger.project = ledger.project or project

    def facts(self, fields: Mapping[str, Any]) -> None:
        """What is said of the workflow, in the run that is on: an ended one stays ended."""
        self._lifecycle("started", {"run": max(1, self._ledger.runs.run), **fields})

    def counter(self, counter: Counter) -> None:
        """What a counter's meter shows now, in all; nothing when it says nothing new."""
        path = (counter.agent, counter.session_id, counter.model)
        counters = self._ledger.counters.setdefault(path, Counters())
        cost = None if counter.cost_usd is None else money.parse(counter.cost_usd)
        usage = dict(counter.usage or {})
        moment = None if counter.observed_at is None else clock.parse(counter.observed_at)
        if not counters.count(counter.series, Counted(cost, usage), moment):
            self.plan.unchanged += 1
            return
        told: dict[str, Any] = {"series": counter.series} | ({"series_usage": usage} if usage else {})
        if cost is not None:
            told["series_cost_usd"] = money.to_wire(cost)
        self.add(
            cost_observed(
                self._workflow_id,
                agent=path[0],
                session_id=path[1],
                model=path[2],
                cost_usd=None if counters.nanousd is None else money.to_wire(counters.nanousd),
                usage=counters.usage or None,
                observed_at=counters.latest,
                id=digest(counter.kind, "counter", *path, counter.series, cost, *sorted(usage.items())),
                source={"kind": counter.kind, "file": counter.place.file, "line": counter.place.line, **told},
            )
        )

    def status(self, findings: Findings, status: str | None) -> None:
        said, fields = findings.status or (None, {})
        ledger = self._ledger
        known_end = fields.get("id") in ledger.ids
        if said == "running" and not known_end and (ledger.runs.ended or "observed_at" in fields):
            # Also while it runs, where no time has to be made up: the same words read again after an end are no news.
            self._lifecycle("started", fields)
        elif said is not None and said != "running" and (known_end or said != ledger.status):
            self._lifecycle(said, self._ended(findings, fields))
            ledger.status = ledger.status if known_end else said
        if status is not None and ledger.status != status:
            self._lifecycle(status, self._ended(findings, {}))

    def _lifecycle(self, kind: str, fields: Mapping[str, Any]) -> None:
        new = {"type": f"workflow_{kind}", "workflow_id": self._workflow_id, **fields}
        dated = "spent_at_from" in (fields.get("source") or {})
        self.add(event(new, derived=frozenset({"observed_at"} if dated else ())))

    def _ended(self, findings: Findings, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of an end; one without a time is dated by the last activity of what was read, or is known."""
        if "observed_at" in fields:
            return dict(fields)
        known = [at for _, at in self._ledger.measures.values()]
        known += [_wire(call.observed_at) or "" for call in findings.calls]
        known += [_wire(counter.observed_at) or "" for counter in findings.counters]
        last = Evidence(max(known, default=""), None)
        for session in findings.sessions:
            totals: list[Total | Message] = [*session.totals, *session.messages.values()]
            last = max([last, *(self._dated(session, one) for one in totals)], key=lambda each: each.spent_at or "")
        at = min(last.spent_at or self._ledger.last_activity, clock.to_wire(self._moment))
        source = fields.get("source") or {"kind": findings.sessions[0].kind if findings.sessions else "import"}
        named = {"source": source | {"spent_at_from": last.spent_at_from}} if last.spent_at_from else {}
        return {**fields, **({"observed_at": at} if at else {}), **named}

    def _dated(self, session: Session, found: Total | Message) -> Evidence:
        """When a total or a message without a time was spent: by its session's messages that have one, else by what
        its source found, though not after the run ended.
        """
        if at := self._known_at(session):
            return Evidence(at, "transcript")
        ended_at = self._ledger.ended_at
        if ended_at and found.spent_at_from == "file" and ended_at < str(found.spent_at):
            return Evidence(ended_at, "application")
        return Evidence(found.spent_at, found.spent_at_from)

    def _known_at(self, session: Session) -> str:
        """The latest moment that the ledger has of a session's messages; "" without any."""
        key = (session.session_id, session.process)
        if key not in self._moments:
            measures = self._ledger.measures
            self._moments[key] = max((measures[id][1] for id in session.messages if id in measures), default="")
        return self._moments[key]

    def _agents_of(self, session: Session) -> set[str | None]:
        """Whose the readings are that a ledger has of a session without a meter, and that its total will cover."""
        if (session.session_id, session.process) in self._ledger.meters or session.session_id in self._ledger.taken:
            return set()
        if self._agents is None:
            self._agents = {}
            for agent, session_id, _ in self._ledger.messages.values():
                self._agents.setdefault(session_id, set()).add(agent)
        agents = self._agents.get(session.session_id, set())
        covering = self._ledger.covered
        return agents | {covering[session.session_id]} if session.session_id in covering else agents

    def _meter(self, session: Session, *agents: str | None) -> Named:
        key = (session.session_id, session.process)
        if key not in self._ledger.meters:
            taken = session.session_id in self._ledger.taken
            apart = f"{session.session_id}:{session.process}" if taken and session.process else session.session_id
            self._ledger.meters[key] = (agents[0] if len(agents) == 1 else session.agent, apart)
            self._ledger.taken.add(apart)
        return self._ledger.meters[key]

    def _total(self, session: Session, total: Total, meter: Named) -> None:
        cost, highest = money.parse(total.cost_usd), self._ledger.totals.get(meter, 0)
        fields: _Meter = {"agent": meter[0], "session_id": meter[1]}
        process = session.process or session.session_id
        id = digest(session.kind, "total", process, total.native_id, total.cost_usd)
        if cost < highest and id not in self._ledger.ids:
            had = money.shown(highest)
            reason = f"an older total of its session: {money.shown(cost)}, and the ledger has {had}"
            self.plan.skipped.append(Skipped(Path(total.place.file), total.place.line, reason))
            return
        dated = self._dated(session, total)
        source = _source(session, total.place, dated)
        for model, spelled, usage in total.models:
            model_id = digest(session.kind, "model", process, model, spelled, *sorted(usage.items()))
            self.add(
                cost_observed(
                    self._workflow_id,
                    model=model,
                    cost_usd=spelled,
                    usage=usage,
                    final=True,  # it covers the messages that were appended before there was a total
                    id=model_id,
                    spent_at=dated.spent_at,
                    source=source,
                    **fields,
                )
            )
        self.add(
            cost_observed(
                self._workflow_id,
                cost_usd=total.cost_usd,
                final=True,
                id=id,
                spent_at=dated.spent_at,
                source=source,
                **fields,
            )
        )
        self._ledger.totals[meter] = max(cost, highest)

    def _message(self, session: Session, message: Message, meter: Named) -> None:
        """A message of a session without a total: priced, and known to be incomplete."""
        path = self._ledger.messages.setdefault(message.message_id, (*meter, message.model))
        dated = self._dated(session, message)
        new = cost_observed(
            self._workflow_id,
            agent=path[0],
            session_id=path[1],
            model=path[2],
            message_id=message.message_id,
            usage=message.usage,
            partial=True,
            id=digest(session.kind, "message", message.message_id, message.model, *sorted(message.usage.items())),
            spent_at=dated.spent_at,
            source=_source(session, message.place, dated),
        )
        self.add(price_event(self._prices, new, self._moment))

    def _after_total(self, session: Session, meter: Named) -> None:
        """Messages that came after a process's last total: that total and their price, as a lower bound."""
        cost = money.parse(session.totals[-1].cost_usd)
        if cost < self._ledger.totals.get(meter, 0):
            return
        messages = [session.messages[name] for name in session.after_total]
        used: list[Rates] = []
        priced = 0
        for message in messages:
            rates = None if message.model is None else self._prices.rates(message.model, self._moment)
            price = None if rates is None else rates.cost_nanousd(message.usage)
            if rates is not None and price is not None:
                used.append(rates)
                priced += price
        fields: dict[str, Any] = priced_from(used) if priced else {}
        counts = [f"{message.message_id}={sorted(message.usage.items())}" for message in messages]
        process = session.process or session.session_id
        dated = self._dated(session, messages[-1])
        new = cost_observed(
            self._workflow_id,
            agent=meter[0],
            session_id=meter[1],
            cost_usd=money.to_wire(cost + priced),
            partial=True,
            id=digest(session.kind, "after_total", process, session.totals[-1].cost_usd, *counts),
            spent_at=dated.spent_at,
            source=_source(session, messages[-1].place, dated),
            derived=PRICE_FIELDS,
            **fields,
        )
        self.add(new)


def _later(said: str | None, known: str) -> str | None:
    """A moment that is not before the one known, so that what is read last is the last word."""
    if said is None or not known:
        return said or known or None
    try:
        return max(clock.parse(said), known)
    except ValueError:
        return said  # refused where the event is made, with its name


def _wire(moment: str | None) -> str | None:
    try:
        return None if moment is None else clock.parse(moment)
    except ValueError:
        return None  # refused where the event is made, with its name


def _source(session: Session, place: Place, dated: Evidence) -> dict[str, Any]:
    source: dict[str, Any] = {"kind": session.kind, "file": place.file, "line": place.line}
    source |= {"spent_at_from": dated.spent_at_from} if dated.spent_at else {}
    return source | ({"process": session.process} if session.process else {})
