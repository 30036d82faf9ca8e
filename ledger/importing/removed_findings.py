"""Findings without what was removed: sessions and responses of removed workflows are not imported again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ledger.maintenance.removal import RemovedIds, removed_ids
from ledger.sources.findings import Call, Findings, Skipped
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.store import LedgerStore
from ledger.text import counted

__all__ = ["removed_of", "without_removed"]


def removed_of(store: LedgerStore) -> RemovedIds:
    """Return what was removed from a store; nothing from one without a folder."""
    return removed_ids(store.path) if isinstance(store, DirectoryStore) else RemovedIds()


def without_removed(findings: Findings, workflow_id: str, removed: RemovedIds) -> tuple[Findings, list[Skipped]]:
    """Return findings without those of removed workflows, and a note of how many these are.

    Without any other, nothing is left of them: no start, and no end.
    """
    if not removed:
        return findings, []
    is_gone = removed.has_workflow(workflow_id)
    kept = replace(
        findings,
        sessions=[one for one in findings.sessions if not is_gone and not removed.has_session(one.session_id)],
        calls=[one for one in findings.calls if not is_gone and not _is_removed(one, removed)],
        counters=[one for one in findings.counters if not is_gone and not removed.has_session(one.session_id)],
    )
    had, left = (len(one.sessions) + len(one.calls) + len(one.counters) for one in (findings, kept))
    if had == left:
        return findings, []
    note = f"{counted(had - left, 'finding')} of removed workflows; docs/privacy.md says how they are imported again"
    return kept if left else Findings(), [Skipped(Path(workflow_id), None, note, note=True)]


def _is_removed(call: Call, removed: RemovedIds) -> bool:
    named = removed.has_message(call.message_id) or any(map(removed.has_message, call.names))
    return named or removed.has_session(call.session_id)
