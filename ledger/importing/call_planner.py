"""Planning of calls: each becomes a reading under the path where the ledger first had it.

A response is recognised by its native ids and counts once, at its largest view. All calls of a coding agent's session
are under one agent. Pure: no file, no clock.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from ledger.events import money, timestamps
from ledger.events.event import call_observed, cost_observed
from ledger.events.ids import digest
from ledger.importing.counter_planner import CounterPlanner
from ledger.importing.import_plan import ImportPlan
from ledger.importing.ledger_state import NAMELESS, STREAM, TELEMETRY, UNMATCHED, ModelPath
from ledger.pricing.price_book import PriceBook, price_event, price_of
from ledger.providers.model_names import plain_name
from ledger.providers.usage import is_larger, measure
from ledger.sources.findings import Call, Counter

__all__ = ["CallPlanner"]

_NOT_RECORDED: Final = (b"", "")
"""The measure and the moment of a call that no ledger has."""


class CallPlanner:
    """Plans readings of single calls."""

    def __init__(self, plan: ImportPlan, counters: CounterPlanner, prices: PriceBook, moment: datetime) -> None:
        self._plan, self._state, self._counters = plan, plan.state, counters
        self._prices, self._moment = prices, moment
        self._reopened: set[str] = set()
        self._noted: set[str] = set()

    def plan(self, call: Call) -> None:
        """Plan a reading of a call, priced when it names no cost, unless the ledger has it at least as large."""
        message_id, is_recorded = self._recorded_id(call)
        if self._is_covered_elsewhere(call, message_id):
            self._reopen(call.session_id)
            return
        if not is_recorded and self._cannot_be_matched(call):
            self._plan_unmatched(call)
            return
        given, (had, at) = measure(call.usage or {}), self._state.measures.get(message_id, _NOT_RECORDED)
        path = self._state.messages.setdefault(message_id, self._path(call))
        alike = call.cost_usd is None and call.model == path[2]
        if is_larger(had, given, same_model=alike) or (alike and had == given and is_recorded):
            self._plan.unchanged += 1  # the ledger has the call as this view shows it, or at a larger one
            return
        observed_at = _later(call.observed_at, at)
        if call.cost_usd is not None:
            given = measure(call.usage or {}, money.parse(call.cost_usd))
        self._state.measures[message_id] = (max(given, had), observed_at or "")
        fields = _fields(call, message_id, path, observed_at)
        self._reopen(path[1])
        if call.checked and call.cost_usd is None:
            price = price_of(self._prices, fields, self._moment)
            fields.update(price)
            self._plan.add(call_observed(self._plan.workflow_id, fields, derived=frozenset(price)))
        else:
            new = cost_observed(self._plan.workflow_id, cost_usd=call.cost_usd, **fields)
            self._plan.add(price_event(self._prices, new, self._moment))

    def _recorded_id(self, call: Call) -> tuple[str, bool]:
        """The id that a response has in this ledger, and whether the ledger has it."""
        state = self._state
        message_id = state.aliases.get(call.message_id, call.message_id)
        for name in (message_id, *call.names):
            if name in state.messages:
                return name, True
        for name in call.names:
            state.aliases.setdefault(name, call.message_id)
        return call.message_id, False

    def _is_covered_elsewhere(self, call: Call, message_id: str) -> bool:
        """Whether a process's own meter has the call, or may have it: several agents ran the session's processes."""
        session_id, path = call.session_id, self._state.messages.get(message_id)
        if not call.client or call.kind == STREAM or session_id is None:
            return False
        if not (self._state.has_own_meter(path[1]) if path else session_id in self._state.own_meters):
            return False
        if session_id not in self._noted:
            self._noted.add(session_id)
            reason = f"the processes of session {session_id} count under several agents"
            self._plan.note(call.location, f"{reason}; their calls would be added to them")
        return True

    def _cannot_be_matched(self, call: Call) -> bool:
        """Whether the ledger may have this call without a native id that both accounts of it name."""
        state, session_id = self._state, call.session_id
        if not call.client or session_id is None:
            return False
        if call.kind == TELEMETRY:
            return session_id in state.unnamed or (
                not call.names
                and any(id == session_id and kind not in (TELEMETRY, NAMELESS) for id, kind in state.session_kinds)
            )
        given = TELEMETRY if not call.names else NAMELESS
        return (session_id, given) in state.session_kinds

    def _plan_unmatched(self, call: Call) -> None:
        """Let a call compete: the sum of such calls, by model, is a lower bound of the session's, and no more."""
        usage, cost = dict(call.usage or {}), call.cost_usd
        if cost is None:
            given: dict[str, Any] = {"model": call.model, "usage": usage, "message_id": call.message_id}
            given |= {"observed_at": call.observed_at, "service_tier": call.service_tier}
            cost = price_of(self._prices, given, self._moment).get("cost_usd")
        session_id, agent = call.session_id, call.agent
        if session_id is not None:
            agent = self._state.session_agents.setdefault(session_id, agent)
        self._counters.plan(
            Counter(
                f"{call.kind}{UNMATCHED}",  # separate from the counters of the same kind
                call.message_id,
                self._unmatched_model(session_id or "", call.model),
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

    def _unmatched_model(self, session_id: str, model: str | None) -> str | None:
        """Return the model under which a call competes; None, all of the session, where totals name others only.

        It may be one of theirs by another name, or one whose total is still to come: under any model it might be added.
        """
        totals = self._state.total_models.get(session_id, set())
        used = sorted(totals | self._state.models.get(session_id, set()))
        spelled = next((each for each in used if model is not None and plain_name(each) == plain_name(model)), None)
        return spelled or (None if totals else model)

    def _path(self, call: Call) -> ModelPath:
        """The path of a new call: below its session's own reading when there is one, whichever agent it names."""
        state, session_id = self._state, call.session_id
        if session_id is None or not (call.client or session_id in state.covered):
            return call.agent, session_id, call.model
        agent = state.session_agents.setdefault(session_id, call.agent)
        return agent, session_id, self._model(session_id, call.model) if call.client else call.model

    def _model(self, session_id: str, model: str | None) -> str | None:
        """The model that a call of a session counts under: as the session's other readings spell it.

        Where totals name the models of a session, but not this one, it counts under one of theirs: it may be a model
        that they call by another name, and must not be added to it.
        """
        if model is None:
            return None
        messages, totals = self._state.models.setdefault(session_id, set()), self._state.total_models
        used = totals.get(session_id) or messages
        plain = plain_name(model)
        spelled = min([each for each in used if plain_name(each) == plain], default=None)
        if spelled is None:
            spelled = min(totals[session_id]) if totals.get(session_id) else model
        messages.add(spelled)
        return spelled

    def _reopen(self, session_id: str | None) -> None:
        """Repeat a session's final totals as not final: they do not cover the calls of another account of it."""
        if session_id is None or session_id in self._reopened:
            return
        self._reopened.add(session_id)
        for path, fields in list(self._state.finals.items()):
            if path[1] == session_id:
                del self._state.finals[path]
                self._plan.add(
                    cost_observed(
                        self._plan.workflow_id,
                        agent=path[0],
                        session_id=session_id,
                        model=path[2],
                        partial=True,
                        id=digest("open", *path, fields["cost_usd"]),
                        source={"kind": STREAM},
                        **fields,
                    )
                )


def _fields(call: Call, message_id: str, path: ModelPath, observed_at: str | None) -> dict[str, Any]:
    """The wire fields of a call's reading that have a value, in the order of a ledger line."""
    native = (call.message_id, call.model, call.service_tier, call.cost_usd)
    fields = {
        "id": digest(call.kind, "call", *native, *sorted((call.usage or {}).items())),
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
        "source": _source(call, message_id),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _source(call: Call, message_id: str) -> dict[str, Any]:
    """Where a call was read, and what else is known of it."""
    source: dict[str, Any] = {"kind": call.kind, "file": call.location.file, "line": call.location.line}
    if call.spent_at:
        source["spent_at_from"] = call.spent_at_from
    if names := [name for name in (call.message_id, *call.names) if name != message_id]:
        source["names"] = names
    if call.process:
        source["process"] = call.process
    if call.cut:
        source["cut"] = True
    if call.several:
        source["several"] = True
    return source


def _later(observed_at: str | None, recorded: str) -> str | None:
    """A moment that is not before the one recorded, so that the reading that was read last counts."""
    if observed_at is None or not recorded:
        return observed_at or recorded or None
    try:
        return max(timestamps.parse(observed_at), recorded)
    except ValueError:
        return observed_at  # refused where the event is made, with its name
