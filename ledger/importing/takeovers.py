"""Sessions that a named workflow takes over from the workflow that was made for them by default.

A transcript that is imported by itself becomes a workflow with the id of its session. Once a source names another
workflow for the session, that default one is moved there, unless it was moved before: the last word is a person's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from ledger.errors import CostledgerError, UnknownWorkflow
from ledger.events.annotations import workflow_moved
from ledger.events.ids import digest
from ledger.importing.import_report import ImportReport
from ledger.importing.ledger_state import state_of
from ledger.sources.findings import Beginning, Findings, Options, Skipped
from ledger.sources.names import default_workflow, grouped_workflow
from ledger.storage.store import LedgerStore

__all__ = ["agent_of", "is_default", "regrouped", "sessions_of", "take_over"]


def is_default(workflow_id: str, session_ids: Collection[str]) -> bool:
    """Return whether a workflow was made by default for one of these sessions."""
    return any(default_workflow(session_id) == workflow_id for session_id in session_ids)


def sessions_of(findings: Findings) -> set[str]:
    """Return the sessions of findings."""
    found = {session.session_id for session in findings.sessions}
    found |= {call.session_id for call in findings.calls if call.session_id is not None}
    return found | {counter.session_id for counter in findings.counters if counter.session_id is not None}


def agent_of(findings: Findings) -> str | None:
    """Return the agent of all sessions and calls of findings; None without one, or with several."""
    agents = {session.agent for session in findings.sessions}
    agents |= {call.agent for call in findings.calls} | {counter.agent for counter in findings.counters}
    return agents.pop() if len(agents) == 1 else None


def regrouped(
    beginnings: Mapping[str, Beginning], homes: Mapping[str, Collection[str]], given: Options
) -> dict[str, str]:
    """Return the default workflows of sessions for which an import names another one, each with that.

    Args:
        beginnings: of the sessions of all files.
        homes: the workflows that have readings of each session.
    """
    found: dict[str, str] = {}
    for session_id, beginning in beginnings.items():
        default = default_workflow(session_id)
        to = grouped_workflow(given.workflow_id, given.workflow_by, beginning.project, beginning.branch)
        if to is not None and to != default and default in homes.get(session_id, ()):
            found[default] = to
    return found


def take_over(store: LedgerStore, workflow_id: str, to: str, agent: str | None, report: ImportReport) -> None:
    """Let a default workflow count in a named one, unless one of them was moved before; the report says so."""
    try:
        if state_of(store.read(workflow_id)).moved or _is_moved(store, to):
            return
        event_id = digest("taken over", workflow_id, to)
        made = workflow_moved(workflow_id, to=to, agent=agent, reason="a source names this workflow", id=event_id)
        store.open(to)
        receipt = store.append([made])[0]
    except CostledgerError as error:
        report.problems.append((workflow_id, error))
        return
    report.count(workflow_id, int(not receipt.duplicate), 0)
    ends = f"costledger move --to {workflow_id} -- {workflow_id}"
    note = f"workflow {workflow_id} was made for a session of it, and counts here from now on; to end that: {ends}"
    report.skipped.append(Skipped(Path(to), None, note, note=True))


def _is_moved(store: LedgerStore, workflow_id: str) -> bool:
    try:
        return state_of(store.read(workflow_id)).moved
    except UnknownWorkflow:
        return False
