"""Planning: what a source found, compared with what a ledger holds, becomes the events to append.

Pure: no file, no clock. Here, and nowhere else, it is decided that two lines speak of the same thing. All that is known
of one session of a coding agent stands in one subtree, under the agent where the ledger first had it: a response is
recognised by its native ids and counts once; totals are lower bounds of their meter, so the fold's highest figure lets
several accounts of one session compete, and never adds them. See docs/decisions/0027-one-subtree-for-a-session.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ledger.events import money, timestamps
from ledger.events.event import WORKFLOW_STARTED, Event, call_observed, cost_observed, event
from ledger.events.ids import digest
from ledger.importing.counter_series import CounterFigure, CounterSeries
from ledger.importing.ledger_state import CALL_NAMES, Known, ModelPath, Named
from ledger.pricing.price_book import PriceBook, price_event, price_of
from ledger.providers.model_names import plain_name
from ledger.providers.usage import is_larger, measure
from ledger.sources.findings import (
    Beginning,
    Call,
    Counter,
    Evidence,
    Findings,
    Location,
    Message,
    Session,
    Skipped,
    Total,
)

__all__ = ["ImportPlan", "plan"]

_CLIENT_KINDS: Final = frozenset({"claude", "codex", "claude_stream", "claude_statusline", "otlp"})
_STREAM: Final = "claude_stream"


@dataclass(slots=True)
class ImportPlan:
    """What an import comes to for one workflow."""

    events: list[Event] = field(default_factory=list)
    unchanged: int = 0
    skipped: list[Skipped] = field(default_factory=list)


def plan(
    workflow_id: str, findings: Findings, ledger: Known, prices: PriceBook, moment: datetime, status: str | None
) -> ImportPlan:
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
    if findings.beginning is not None:
        planner.begun(findings.beginning, findings.calls[0].kind if findings.calls else "import")
    if findings.facts is not None:
        planner.facts(findings.facts)
    planner.expect(findings.sessions)
    for session in findings.sessions:
        planner.session(session)
    for call in findings.calls:
        planner.call(call)
    for counter in planner.fitting(findings.counters):
        planner.counter(counter)
    planner.status(findings, status)
    return planner.plan


class _Planner:
    def __init__(self, workflow_id: str, ledger: Known, prices: PriceBook, moment: datetime) -> None:
        self.plan = ImportPlan()
        self._workflow_id, self._ledger, self._prices, self._moment = workflow_id, ledger, prices, moment
        self._reopened: set[str] = set()
        self._moments: dict[tuple[str, str], str] = {}
        self._expected: dict[tuple[str, str], int] = {}

    def add(self, new: Event) -> None:
        """Plan an event, unless the ledger or this plan has it."""
        id = new.id
        if id is not None and id in self._ledger.ids:
            self.plan.unchanged += 1
            return
        if id is not None:
            self._ledger.ids.add(id)
        self.plan.events.append(new)

    def expect(self, sessions: Iterable[Session]) -> None:
        """Take in what the processes of one source cost, so that each finds the others that its total carries on."""
        for session in sessions:
            if session.own is not None and session.own.nanousd is not None:
                self._expected[session.session_id, session.process] = session.own.nanousd

    def session(self, session: Session) -> None:
        """What one process did: its own cost as a counter of the session's meter, and messages that no total covers."""
        agents = self._split(session)
        if session.own is not None and len(agents) > 1:
            named = ", ".join(sorted(agent or "none" for agent in agents))
            reason = f"the messages of session {session.session_id} count under the agents {named}"
            location = session.own.location
            reason += "; a total would be added to them"
            self.plan.skipped.append(Skipped(Path(location.file), location.line, reason, note=True))
            return
        meter = self._meter(session)
        totals = self._ledger.counters.get(((*meter, None), session.kind))
        if session.own is None and not (totals is not None and totals.highest(_series(session))):
            for message in session.messages.values():
                self._message(session, message, meter)
        others = self._of_killed(session, meter)
        for process, nanousd, location in others:
            if nanousd is not None:
                self._count(session, process, Total(nanousd, (), location, partial=True), meter)
        if session.own is None and not session.messages and session.location is not None:
            self._nothing_shown(session, session.location, meter)
        elif session.own is not None or others:  # else its messages are all that is known of the session
            for own in self._own(session):
                self._count(session, session.process, own, meter)

    def call(self, call: Call) -> None:
        """A call under the path where the ledger first had it, priced when it names no cost."""
        message_id, known = self._named(call)
        if not known and self._cannot_be_matched(call):
            self._unmatched(call)
            return
        usage = call.usage or {}
        given, (had, at) = measure(usage), self._ledger.measures.get(message_id, (b"", ""))
        path = self._ledger.messages.setdefault(message_id, self._place(call))
        alike = call.cost_usd is None and call.model == path[2]
        if is_larger(had, given, same_model=alike) or (alike and had == given and known):
            self.plan.unchanged += 1  # the ledger has the call as this view shows it, or at a larger one
            return
        observed_at = _later(call.observed_at, at)
        self._ledger.measures[message_id] = (max(given, had), observed_at or "")
        names = [name for name in (call.message_id, *call.names) if name != message_id]
        native = (call.message_id, call.model, call.service_tier, call.cost_usd)
        fields: dict[str, Any] = {
            "id": digest(call.kind, "call", *native, *sorted(usage.items())),
            "observed_at": observed_at,
            "agent": path[0],
            "session_id": path[1],
            "model": path[2],
            "message_id": message_id,
            "partial": call.partial or None,
            "service_tier": call.service_tier,
            "subagent": call.subagent,
            "skill": call.skill,
            "plugin": call.plugin,
            "usage": call.usage,
            "spent_at": call.spent_at,
            "source": {"kind": call.kind, "file": call.location.file, "line": call.location.line}
            | ({"spent_at_from": call.spent_at_from} if call.spent_at else {})
            | ({"names": names} if names else {})
            | ({"process": call.process} if call.process else {})
            | ({"cut": True} if call.cut else {}),
        }
        self._reopen(path[1])
        if call.checked and call.cost_usd is None:
            price = price_of(self._prices, fields, self._moment)
            self.add(call_observed(self._workflow_id, fields | price, derived=frozenset(price)))
        else:
            new = cost_observed(self._workflow_id, cost_usd=call.cost_usd, **fields)
            self.add(price_event(self._prices, new, self._moment))

    def _named(self, call: Call) -> tuple[str, bool]:
        """The id that a response has in this ledger, and whether the ledger has it."""
        ledger = self._ledger
        message_id = ledger.names.get(call.message_id, call.message_id)
        for name in (message_id, *call.names):
            if name in ledger.messages:
                return name, True
        for name in call.names:
            ledger.names.setdefault(name, call.message_id)
        return call.message_id, False

    def _cannot_be_matched(self, call: Call) -> bool:
        """Whether the ledger may have this call without a native id that both accounts of it name."""
        if not call.client or call.session_id is None:
            return False
        if call.kind == CALL_NAMES:
            return call.session_id in self._ledger.unnamed or (
                not call.names and any(id == call.session_id and kind != CALL_NAMES for id, kind in self._ledger.feeds)
            )
        return not call.names and (call.session_id, CALL_NAMES) in self._ledger.feeds

    def _unmatched(self, call: Call) -> None:
        """Let a call compete: the sum of such calls, by model, is a lower bound of the session's, and no more."""
        usage, cost = dict(call.usage or {}), call.cost_usd
        if cost is None:
            given: dict[str, Any] = {"model": call.model, "usage": usage, "message_id": call.message_id}
            given |= {"observed_at": call.observed_at, "service_tier": call.service_tier}
            cost = price_of(self._prices, given, self._moment).get("cost_usd")
        agent, session_id, model = self._place(call)
        self.counter(
            Counter(
                f"{call.kind}_unmatched",  # apart from what counters of the same kind report
                call.message_id,
                model,
                usage or None,
                call.location,
                agent,
                session_id,
                cost,
                call.observed_at,
                partial=True,
                client=True,
            )
        )

    def _place(self, call: Call) -> ModelPath:
        """Where a call stands: below its session's own reading when there is one, whoever the agent.

        All that is known of a coding agent's own session stands under one agent.
        """
        ledger, session_id = self._ledger, call.session_id
        if session_id is None or not (call.client or session_id in ledger.covered):
            return call.agent, session_id, call.model
        agent = ledger.homes.setdefault(session_id, call.agent)
        return agent, session_id, self._model(session_id, call.model) if call.client else call.model

    def _model(self, session_id: str, model: str | None) -> str | None:
        """The model that a call of a session stands under: as it is spelled there already.

        Where totals name the models of a session, and not this one, it stands under one of theirs: it may be what they
        call by another name, and is never added to them.
        """
        if model is None:
            return None
        messages, totals = self._ledger.models.setdefault(session_id, set()), self._ledger.total_models
        known = totals.get(session_id) or messages
        spelled = next((each for each in sorted(known) if plain_name(each) == plain_name(model)), None)
        if spelled is None:
            spelled = min(totals[session_id]) if totals.get(session_id) else model
        messages.add(spelled)
        return spelled

    def fitting(self, counters: Iterable[Counter]) -> list[Counter]:
        """Counters, those of models only where they name every model that the session's messages do.

        Otherwise the two call one model by different names, and would be added.
        """
        by_session: dict[str, dict[str, str]] = {}
        for counter in counters:
            if counter.client and counter.session_id is not None and counter.model is not None:
                by_session.setdefault(counter.session_id, {})[plain_name(counter.model)] = counter.model
        found: list[Counter] = []
        for counter in counters:
            names = by_session.get(counter.session_id or "", {})
            messages = {plain_name(model): model for model in self._ledger.models.get(counter.session_id or "", ())}
            if not counter.client or counter.model is None:
                found.append(counter)
            elif messages.keys() <= names.keys():
                spelled = messages.get(plain_name(counter.model), counter.model)
                found.append(replace(counter, model=spelled))
        return found

    def _reopen(self, session_id: str | None) -> None:
        """Say a session's final totals once more, not final: they do not cover what another account of it shows."""
        if session_id is None or session_id in self._reopened:
            return
        self._reopened.add(session_id)
        for path, fields in list(self._ledger.finals.items()):
            if path[1] == session_id:
                del self._ledger.finals[path]
                self.add(
                    cost_observed(
                        self._workflow_id,
                        agent=path[0],
                        session_id=session_id,
                        model=path[2],
                        partial=True,
                        id=digest("open", *path, fields["cost_usd"]),
                        source={"kind": _STREAM},
                        **fields,
                    )
                )

    def begun(self, begun: Beginning, kind: str) -> None:
        """A start, when the ledger knows of none so early, or of no project; the branch is said with the project.

        One without a time names its kind of source: it was not when it was imported.
        """
        ledger, project = self._ledger, begun.project if not self._ledger.project else ""
        if not project and (not begun.at or (ledger.started_at and ledger.started_at <= begun.at)):
            return
        branch = begun.branch if project else ""
        fields: dict[str, Any] = {"observed_at": begun.at or None, "project": project or None, "branch": branch or None}
        fields |= {} if begun.at else {"source": {"kind": kind}}
        told = digest("begun", self._workflow_id, begun.at, project, *([branch] if branch else []))
        self._lifecycle("started", {"id": told, "run": max(1, ledger.runs.run), **fields})
        ledger.started_at = min(begun.at or ledger.started_at, ledger.started_at or begun.at)
        ledger.project = ledger.project or project

    def facts(self, fields: Mapping[str, Any]) -> None:
        """What is said of the workflow, in the run that is on: an ended one stays ended."""
        self._lifecycle("started", {"run": max(1, self._ledger.runs.run), **fields})

    def counter(self, counter: Counter) -> None:
        """What a counter's meter shows now, in all; nothing when it says nothing new."""
        agent = counter.agent
        if counter.client and counter.session_id is not None:
            if counter.model is not None:
                self._ledger.total_models.setdefault(counter.session_id, set()).add(counter.model)
            agent = self._ledger.homes.setdefault(counter.session_id, agent)
            self._ledger.covered.add(counter.session_id)
        path = (agent, counter.session_id, counter.model)
        counters = self._ledger.counters.setdefault((path, counter.kind), CounterSeries())
        cost = None if counter.cost_usd is None else money.parse(counter.cost_usd)
        usage = dict(counter.usage or {})
        moment = None if counter.observed_at is None else timestamps.parse(counter.observed_at)
        carried = money.parse(counter.carried_usd) if counter.carried_usd is not None else 0
        if not counters.count(counter.series, CounterFigure(cost, usage, counter.partial, carried), moment):
            self.plan.unchanged += 1
            return
        given: dict[str, Any] = {"kind": counter.kind, "file": counter.location.file, "line": counter.location.line}
        given |= {} if counter.process is None else {"process": counter.process}
        given |= {"series": counter.series} | ({"series_usage": usage} if usage else {})
        given |= {} if cost is None else {"series_cost_usd": money.to_wire(cost)}
        given |= {"spent_at_from": counter.spent_at_from} if counter.spent_at else {}
        given |= {"series_partial": True} if counter.partial else {}
        given |= {"series_carried_usd": money.to_wire(carried)} if carried else {}
        raw = (*path, counter.series, cost, *sorted(usage.items()), *(("partial",) if counter.partial else ()))
        partial = counters.partial and counters.nanousd is not None
        self.add(
            cost_observed(
                self._workflow_id,
                agent=path[0],
                session_id=path[1],
                model=path[2],
                cost_usd=None if counters.nanousd is None else money.to_wire(counters.nanousd),
                usage=counters.usage or None,
                partial=partial or None,
                final=(counter.final and not partial) or None,
                observed_at=counters.latest,
                spent_at=None if counters.latest else counter.spent_at,
                id=digest(counter.kind, "counter", *raw),
                source=given,
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
            shown: list[Total | Message] = [*([session.own] if session.own else []), *session.messages.values()]
            last = max([last, *(self._dated(session, one) for one in shown)], key=lambda each: each.spent_at or "")
        at = min(last.spent_at or self._ledger.last_activity, timestamps.to_wire(self._moment))
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
            ledger = self._ledger
            ids = [ledger.names.get(id, id) for id in session.messages]
            self._moments[key] = max((ledger.measures[id][1] for id in ids if id in ledger.measures), default="")
        return self._moments[key]

    def _split(self, session: Session) -> set[str | None]:
        """The agents of a session whose messages an earlier version put under several, each in a subtree of its own."""
        ledger, session_id = self._ledger, session.session_id
        if (session_id, session.process) in ledger.meters or session_id in ledger.covered:
            return set()
        return ledger.agents.get(session_id, set())

    def _meter(self, session: Session) -> Named:
        """The meter of a process: its session's, or one of its own where the session began under another agent.

        A process keeps the meter that it first had.
        """
        ledger, session_id = self._ledger, session.session_id
        key = (session_id, session.process)
        if key in ledger.meters:
            return ledger.meters[key]
        home = ledger.homes.setdefault(session_id, session.agent)
        streams_only = all(kind == _STREAM for id, kind in ledger.feeds if id == session_id)
        apart = session.agent not in (None, home) and bool(session.process) and streams_only
        meter = (session.agent, f"{session_id}:{session.process}") if apart else (home, session_id)
        ledger.meters[key] = meter
        ledger.homes.setdefault(meter[1], meter[0])
        ledger.feeds.add((session_id, session.kind))
        return meter

    def _own(self, session: Session) -> Iterator[Total]:
        """What a process itself cost: its last total, and a lower bound with the messages after it."""
        own, after = session.own, [session.messages[id] for id in session.after_total]
        nanousd = carried = 0
        if own is not None:
            priced = [self._price(model, usage) or 0 if cost is None else cost for model, cost, usage in own.models]
            nanousd, carried = sum(priced) if own.nanousd is None else own.nanousd, own.carried_nanousd
            yield replace(own, nanousd=nanousd, models=() if own.nanousd is None else own.models)
        if after:
            whole = after if own is not None else [one for one in after if one.message_id not in session.cut]
            nanousd += sum(self._price(message.model, message.usage) or 0 for message in whole)
            yield replace(_at(after[-1]), nanousd=nanousd, carried_nanousd=carried)

    def _price(self, model: str | None, usage: Mapping[str, int]) -> int | None:
        rates = None if not model else self._prices.rates(model, self._moment)
        return None if rates is None else rates.cost_nanousd(usage)

    def _count(self, session: Session, process: str, own: Total, meter: Named) -> None:
        """A process's own cost, as one counter of its meter and of each of its models' meters."""
        ledger, series = self._ledger, process or session.session_id
        foreign = any(
            id == session.session_id and kind in _CLIENT_KINDS and kind != session.kind for id, kind in ledger.feeds
        )
        final, dated = not own.partial and not foreign, self._dated(session, own)
        carried = money.to_wire(max(0, own.carried_nanousd - self._in_other_meters(session, meter)))
        counters = [
            Counter(
                session.kind,
                series,
                model,
                usage or None,
                own.location,
                meter[0],
                meter[1],
                None if nanousd is None else money.to_wire(nanousd),
                partial=own.partial or foreign,
                client=True,
                process=process or None,
                final=final,
                carried_usd=carried if model is None else None,
                spent_at=dated.spent_at,
                spent_at_from=dated.spent_at_from,
            )
            for model, nanousd, usage in (*own.models, (None, own.nanousd, None))
        ]
        had = ledger.counters.get(((*meter, None), session.kind))
        older = had is not None and had.is_older(series, own.nanousd or 0, partial=own.partial)
        if older and had is not None:
            reason = f"an older total of its session: {money.shown(own.nanousd)}"
            reason += f", and the ledger has {money.shown(had.highest(series))}"
            self.plan.skipped.append(Skipped(Path(own.location.file), own.location.line, reason, note=True))
            counters.pop()
        for counter in self.fitting(counters):
            self.counter(counter)
        ledger.covered.add(meter[1])

    def _in_other_meters(self, session: Session, meter: Named) -> int:
        """What other processes of a session cost that the counters of this process's meter do not show."""
        found = {key: nanousd for key, nanousd in self._expected.items() if key[0] == session.session_id}
        found.pop((session.session_id, session.process), None)
        for (session_id, process), known in self._ledger.meters.items():
            counters = self._ledger.counters.get(((*known, None), session.kind))
            if session_id == session.session_id and known != meter and counters is not None:
                found[session_id, process] = max(counters.highest(process), found.get((session_id, process), 0))
        return sum(found.values())

    def _of_killed(self, session: Session, meter: Named) -> list[tuple[str, int | None, Location]]:
        """The other processes of a session, with what the messages of those cost that ended without a total."""
        totals = self._ledger.counters.get(((*meter, None), session.kind))
        found: list[tuple[str, int | None, Location]] = []
        for (session_id, process), known in self._ledger.meters.items():
            if session_id != session.session_id or process == session.process or known != meter:
                continue
            whole = self._ledger.killed.get((session_id, process), {})
            counted = totals is not None and totals.highest(process)
            location = session.where
            found.append((process, None if counted else sum(whole.values()), location))
        return found

    def _nothing_shown(self, session: Session, location: Location, meter: Named) -> None:
        """A process that began, and of which the log shows no more: the session costs at least what else is known."""
        self.add(
            cost_observed(
                self._workflow_id,
                agent=meter[0],
                session_id=meter[1],
                message_id=session.process or session.session_id,
                partial=True,
                id=digest(session.kind, "nothing shown", session.session_id, session.process),
                source={"kind": session.kind, "file": location.file, "line": location.line},
            )
        )

    def _message(self, session: Session, message: Message, meter: Named) -> None:
        """A message of a session without a total: priced, and known to be incomplete."""
        dated = self._dated(session, message)
        self.call(
            Call(
                session.kind,
                message.message_id,
                message.model,
                message.usage,
                message.location,
                meter[0],
                meter[1],
                partial=True,
                names=message.names,
                subagent=message.subagent,
                client=True,
                process=session.process,
                cut=message.message_id in session.cut,
                spent_at=dated.spent_at,
                spent_at_from=dated.spent_at_from,
            )
        )


def _at(message: Message) -> Total:
    """A lower bound at a message's location and time."""
    return Total(0, (), message.location, True, 0, message.spent_at, message.spent_at_from)  # noqa: FBT003


def _wire(moment: str | None) -> str | None:
    try:
        return None if moment is None else timestamps.parse(moment)
    except ValueError:
        return None  # refused where the event is made, with its name


def _series(session: Session) -> str:
    """The counter that a process is of its session's meter."""
    return session.process or session.session_id


def _later(said: str | None, known: str) -> str | None:
    """A moment that is not before the one known, so that what is read last is the last word."""
    if said is None or not known:
        return said or known or None
    try:
        return max(timestamps.parse(said), known)
    except ValueError:
        return said  # refused where the event is made, with its name
