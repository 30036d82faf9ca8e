"""Resync: read the sources again, append what is new, replay. What the command and the endpoint both do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.importing import ImportReport, SourceRegister, reread
from ledger.store import LedgerStore
from projections.replay import RefreshReport, resync
from projections.store import HistoryStore

__all__ = ["Resynced", "resync_sources"]


@dataclass(frozen=True, slots=True)
class Resynced:
    """What was read again, and what was replayed."""

    imported: ImportReport
    report: RefreshReport


def resync_sources(
    ledgers: LedgerStore,
    history: HistoryStore,
    sources: SourceRegister,
    *,
    workflow_id: str | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Resynced:
    """Resync one workflow, or all ended ones; safe to run many times at once.

    A workflow that fails is among the problems, the others are done.

    Args:
        force: rows show pure replay; see `replay.resync`.

    Raises:
        SourceUnreadable: the register of sources cannot be read.
        HistoryUnavailable, LedgerUnavailable: rows cannot be read or written.
    """
    only = None if workflow_id is None else [workflow_id]
    imported = reread(ledgers, sources, only=only, progress=progress)
    return Resynced(imported, resync(ledgers, history, workflow_ids=only, force=force))
