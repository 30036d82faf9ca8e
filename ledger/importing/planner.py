"""Planning: the findings of a source, compared with the state of a ledger, become the events to append.

Pure: no file, no clock; nothing that it is given is changed. Only here and in `process_planner`, `call_planner` and
`counter_planner` is it decided that two lines are about the same call, and only here are findings made into events. All
readings of one session of a coding agent are in one subtree, under the agent where the ledger first had it. See
docs/decisions/0027-one-subtree-for-a-session.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ledger.events import timestamps
from ledger.events.event import WORKFLOW_STARTED, event
from ledger.events.ids import digest
from ledger.importing.call_planner import CallPlanner
from ledger.importing.counter_planner import CounterPlanner
from ledger.importing.import_plan import ImportPlan
from ledger.importing.ledger_state import LedgerState
from ledger.importing.process_planner import ProcessPlanner
from ledger.importing.prompt_planner import PromptPlanner
from ledger.pricing.price_book import PriceBook
from ledger.sources.findings import Beginning, Evidence, Findings, Message, Total

__all__ = ["plan"]


def plan(
    workflow_id: str, findings: Findings, state: LedgerState, prices: PriceBook, moment: datetime, status: str | None
) -> ImportPlan:
    """Return the events that add the findings of a source to a ledger.

    Args:
        state: of the ledger.
        moment: when tokens without a time are taken to have been used.
        status: the end that the caller specifies: "completed", "failed", "cancelled", or None.

    Raises:
        InvalidInput: something in the findings makes no valid event.
    """
    made = ImportPlan(workflow_id, state.copy())
    counters = CounterPlanner(made)
    calls = CallPlanner(made, counters, prices, moment)
    processes = ProcessPlanner(made, calls, counters, prices, moment)
    runs = _RunPlanner(made, processes, moment)
    if findings.started is not None:
        made.add(event({"type": WORKFLOW_STARTED, "workflow_id": workflow_id, **findings.started}))
    if findings.beginning is not None:
        runs.plan_beginning(findings.beginning, findings.calls[0].kind if findings.calls else "import")
    if findings.facts is not None:
        runs.plan_facts(findings.facts)
    processes.plan(findings.sessions)
    ready, ready_counters = PromptPlanner(made).ready(findings)
    for call in ready:
        calls.plan(call)
    for counter in counters.matching(ready_counters):
        counters.plan(counter)
    counters.plan_accompanied()
    runs.plan_status(findings, status)
    return made


class _RunPlanner:
    """Plans starts and ends of a workflow's runs."""

    def __init__(self, plan: ImportPlan, processes: ProcessPlanner, moment: datetime) -> None:
        self._plan, self._state, self._processes, self._moment = plan, plan.state, processes, moment

    def plan_beginning(self, beginning: Beginning, kind: str) -> None:
        """Plan a start, when the ledger has none so early, or none with a project; the branch belongs to the project.

        One without a time names its kind of source: it was not when it was imported.
        """
        state, project = self._state, beginning.project if not self._state.project else ""
        at = beginning.at
        if not project and (not at or (state.started_at and state.started_at <= at)):
            return
        branch = beginning.branch if project else ""
        fields: dict[str, Any] = {"observed_at": at or None, "project": project or None, "branch": branch or None}
        fields |= {} if at else {"source": {"kind": kind}}
        id = digest("begun", self._plan.workflow_id, at, project, *([branch] if branch else []))
        self._add("started", {"id": id, "run": max(1, state.runs.run), **fields})
        state.started_at = min(at or state.started_at, state.started_at or at)
        state.project = state.project or project

    def plan_facts(self, fields: Mapping[str, Any]) -> None:
        """Plan facts about the workflow, in the current run: an ended one stays ended."""
        self._add("started", {"run": max(1, self._state.runs.run), **fields})

    def plan_status(self, findings: Findings, status: str | None) -> None:
        """Plan the status that the source shows, and then the one that the caller specifies."""
        shown, fields = findings.status or (None, {})
        state = self._state
        is_recorded = fields.get("id") in state.ids
        if shown == "running" and not is_recorded and (state.runs.ended or "observed_at" in fields):
            # Also while it runs, if the source has a time: read again after an end, it is recorded and starts no run.
            self._add("started", fields)
        elif shown is not None and shown != "running" and (is_recorded or shown != state.status):
            self._add(shown, self._ended(findings, fields))
            state.status = state.status if is_recorded else shown
        if status is not None and state.status != status:
            self._add(status, self._ended(findings, {}))

    def _add(self, kind: str, fields: Mapping[str, Any]) -> None:
        new = {"type": f"workflow_{kind}", "workflow_id": self._plan.workflow_id, **fields}
        dated = "spent_at_from" in (fields.get("source") or {})
        self._plan.add(event(new, derived=frozenset({"observed_at"} if dated else ())))

    def _ended(self, findings: Findings, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of an end; one without a time is dated by the last activity in the findings or in the ledger."""
        if "observed_at" in fields:
            return dict(fields)
        moments = [at for _, at in self._state.measures.values()]
        moments += [_wire(call.observed_at) or "" for call in findings.calls]
        moments += [_wire(counter.observed_at) or "" for counter in findings.counters]
        last = Evidence(max(moments, default=""), None)
        for session in findings.sessions:
            shown: list[Total | Message] = [*([session.own] if session.own else []), *session.messages.values()]
            dated = (self._processes.dated(session, one) for one in shown)
            last = max([last, *dated], key=lambda each: each.spent_at or "")
        at = min(last.spent_at or self._state.last_activity, timestamps.to_wire(self._moment))
        source = fields.get("source") or {"kind": findings.sessions[0].kind if findings.sessions else "import"}
        named = {"source": source | {"spent_at_from": last.spent_at_from}} if last.spent_at_from else {}
        return {**fields, **({"observed_at": at} if at else {}), **named}


def _wire(moment: str | None) -> str | None:
    try:
        return None if moment is None else timestamps.parse(moment)
    except ValueError:
        return None  # refused where the event is made, with its name
