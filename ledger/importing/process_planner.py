"""Planning of processes: what one process did in one session, from its own total or from its messages.

A total is a counter of the session's meter. Totals are lower bounds of their meter, so that several accounts of one
session compete and are never added. Pure: no file, no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from ledger.events import money
from ledger.events.event import cost_observed
from ledger.events.ids import digest
from ledger.importing.call_planner import CallPlanner
from ledger.importing.counter_planner import CounterPlanner
from ledger.importing.import_plan import ImportPlan
from ledger.importing.ledger_state import STREAM, SessionMeter
from ledger.pricing.price_book import PriceBook
from ledger.sources.agents import AGENTS
from ledger.sources.findings import Call, Counter, Evidence, Location, Message, Session, Total

__all__ = ["ProcessPlanner"]

_CLIENT_KINDS: Final = frozenset({*AGENTS, STREAM, "claude_statusline", "otlp"})


class ProcessPlanner:
    """Plans the readings of sessions whose processes report totals."""

    def __init__(
        self, plan: ImportPlan, calls: CallPlanner, counters: CounterPlanner, prices: PriceBook, moment: datetime
    ) -> None:
        self._plan, self._state, self._calls, self._counters = plan, plan.state, calls, counters
        self._prices, self._moment = prices, moment
        self._moments: dict[tuple[str, str], str] = {}
        self._totals: dict[tuple[str, str], int] = {}

    def plan(self, sessions: Sequence[Session]) -> None:
        """Plan the readings of all processes of one source.

        Their totals are collected first, since the total of one may include what the others cost.
        """
        for session in sessions:
            if session.own is not None and session.own.nanousd is not None:
                self._totals[session.session_id, session.process] = session.own.nanousd
        for session in sessions:
            self._plan_process(session)

    def _plan_process(self, session: Session) -> None:
        """Plan its own cost as a counter of the session's meter, and the messages that no total covers."""
        agents = self._agents_of_messages(session)
        if session.own is not None and len(agents) > 1:
            named = ", ".join(sorted(agent or "none" for agent in agents))
            reason = f"the messages of session {session.session_id} count under the agents {named}"
            self._plan.note(session.own.location, f"{reason}; a total would be added to them")
            return
        meter = self._meter(session)
        if meter[1] != session.session_id and not self._streams_only(session.session_id):
            self._plan.unchanged += 1  # the other account's figure is already less what this meter had, and covers more
            return
        totals = self._state.counters.get(((*meter, None), session.kind))
        if session.own is None and not (totals is not None and totals.highest(session.process or session.session_id)):
            for message in session.messages.values():
                self._plan_message(session, message, meter)
        killed = self._killed_processes(session, meter)
        for process, nanousd in killed:
            if nanousd is not None:
                self._plan_total(session, process, Total(nanousd, (), session.where, partial=True), meter)
        if session.own is None and not session.messages and session.location is not None:
            self._plan_empty(session, session.location, meter)
        elif session.own is not None or killed:  # otherwise the messages are all readings of the session
            for own in self._own_totals(session):
                self._plan_total(session, session.process, own, meter)

    def dated(self, session: Session, found: Total | Message) -> Evidence:
        """Return when a total or a message without a time was spent.

        That is when the session's messages were, where they have times, else the time that its source found, though not
        after the run ended.
        """
        if at := self._latest_of_messages(session):
            return Evidence(at, "transcript")
        ended_at = self._state.ended_at
        if ended_at and found.spent_at_from == "file" and ended_at < str(found.spent_at):
            return Evidence(ended_at, "application")
        return Evidence(found.spent_at, found.spent_at_from)

    def _latest_of_messages(self, session: Session) -> str:
        """The latest moment that the ledger has of a session's messages; "" without any."""
        key = (session.session_id, session.process)
        if key not in self._moments:
            state = self._state
            ids = [state.aliases.get(id, id) for id in session.messages]
            self._moments[key] = max((state.measures[id][1] for id in ids if id in state.measures), default="")
        return self._moments[key]

    def _agents_of_messages(self, session: Session) -> set[str | None]:
        """The agents of a session's messages; several where an earlier version gave each agent its own subtree."""
        state, session_id = self._state, session.session_id
        if (session_id, session.process) in state.meters or session_id in state.covered:
            return set()
        return state.message_agents.get(session_id, set())

    def _meter(self, session: Session) -> SessionMeter:
        """The meter of a process: its session's, or its own where the session began under another agent.

        A process retains the meter that it first had.
        """
        state, session_id = self._state, session.session_id
        key = (session_id, session.process)
        if key in state.meters:
            return state.meters[key]
        agent = state.session_agents.setdefault(session_id, session.agent)
        has_own = session.agent not in (None, agent) and bool(session.process) and self._streams_only(session_id)
        meter = (session.agent, f"{session_id}:{session.process}") if has_own else (agent, session_id)
        state.meters[key] = meter
        state.session_agents.setdefault(meter[1], meter[0])
        state.session_kinds.add((session_id, session.kind))
        return meter

    def _streams_only(self, session_id: str) -> bool:
        """Whether the ledger has no other account of a session than logs of its processes."""
        return all(kind == STREAM for id, kind in self._state.session_kinds if id == session_id)

    def _own_totals(self, session: Session) -> Iterator[Total]:
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
            last = after[-1]
            evidence = (last.spent_at, last.spent_at_from)
            yield Total(nanousd, (), last.location, True, carried, *evidence)  # noqa: FBT003

    def _price(self, model: str | None, usage: Mapping[str, int]) -> int | None:
        rates = None if not model else self._prices.rates(model, self._moment)
        return None if rates is None else rates.cost_nanousd(usage)

    def _plan_total(self, session: Session, process: str, own: Total, meter: SessionMeter) -> None:
        """Plan a process's own cost, as one counter of its meter and of each of its models' meters."""
        series = process or session.session_id
        counters = self._counters_of(session, process, own, meter)
        had = self._state.counters.get(((*meter, None), session.kind))
        if had is not None and had.is_older(series, own.nanousd or 0, partial=own.partial):
            reason = f"an older total of its session: {money.shown(own.nanousd)}"
            reason += f", and the ledger has {money.shown(had.highest(series))}"
            self._plan.note(own.location, reason)
            counters.pop()
        for counter in self._counters.matching(counters):
            self._counters.plan(counter)
        self._state.covered.add(meter[1])

    def _counters_of(self, session: Session, process: str, own: Total, meter: SessionMeter) -> list[Counter]:
        """A process's total as counters: of its models, and last of the whole."""
        has_other_account = any(
            id == session.session_id and kind in _CLIENT_KINDS and kind != session.kind
            for id, kind in self._state.session_kinds
        )
        dated = self.dated(session, own)
        carried = money.to_wire(max(0, own.carried_nanousd - self._in_other_meters(session, meter)))
        return [
            Counter(
                session.kind,
                process or session.session_id,
                model,
                usage or None,
                own.location,
                meter[0],
                meter[1],
                None if nanousd is None else money.to_wire(nanousd),
                partial=own.partial or has_other_account,
                client=True,
                process=process or None,
                final=not own.partial and not has_other_account,
                carried_usd=carried if model is None else None,
                spent_at=dated.spent_at,
                spent_at_from=dated.spent_at_from,
            )
            for model, nanousd, usage in (*own.models, (None, own.nanousd, None))
        ]

    def _in_other_meters(self, session: Session, meter: SessionMeter) -> int:
        """What other processes of a session cost that the counters of this process's meter do not show."""
        found = {key: nanousd for key, nanousd in self._totals.items() if key[0] == session.session_id}
        found.pop((session.session_id, session.process), None)
        for (session_id, process), other in self._state.meters.items():
            counters = self._state.counters.get(((*other, None), session.kind))
            if session_id == session.session_id and other != meter and counters is not None:
                found[session_id, process] = max(counters.highest(process), found.get((session_id, process), 0))
        return sum(found.values())

    def _killed_processes(self, session: Session, meter: SessionMeter) -> list[tuple[str, int | None]]:
        """The other processes of a session; with the cost of their messages, for those that ended without a total."""
        totals = self._state.counters.get(((*meter, None), session.kind))
        found: list[tuple[str, int | None]] = []
        for (session_id, process), other in self._state.meters.items():
            if session_id != session.session_id or process == session.process or other != meter:
                continue
            whole = self._state.process_messages.get((session_id, process), {})
            has_total = totals is not None and totals.highest(process)
            found.append((process, None if has_total else sum(whole.values())))
        return found

    def _plan_empty(self, session: Session, location: Location, meter: SessionMeter) -> None:
        """Plan a reading of a process whose log shows only its beginning: the session's cost is a lower bound."""
        self._plan.add(
            cost_observed(
                self._plan.workflow_id,
                agent=meter[0],
                session_id=meter[1],
                message_id=session.process or session.session_id,
                partial=True,
                id=digest(session.kind, "nothing shown", session.session_id, session.process),
                source={"kind": session.kind, "file": location.file, "line": location.line},
            )
        )

    def _plan_message(self, session: Session, message: Message, meter: SessionMeter) -> None:
        """Plan a message of a session without a total: priced, and always incomplete."""
        dated = self.dated(session, message)
        self._calls.plan(
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
