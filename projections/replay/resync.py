"""Resync: read the sources again, append new events, replay; for the command and the endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ledger.events import money
from ledger.importing.import_report import ImportReport
from ledger.importing.importer import ImportOptions, reread
from ledger.importing.source_registry import Sources
from ledger.pricing.price_book import PriceBook
from ledger.storage.store import LedgerStore
from projections.applications.table import ApplicationTable, Writes
from projections.history.store import CostChange, HistoryStore, Stored
from projections.replay.refresh import RefreshReport, resync

__all__ = ["ResyncReport", "merged", "resync_sources"]


@dataclass(frozen=True, slots=True)
class ResyncReport:
    """The results of a resync: the import, the replay, and the writes to an application's table.

    Attributes:
        report: its changes are those of the application's table for each workflow that changed there.
        copied: None without such a table.
    """

    imported: ImportReport
    report: RefreshReport
    copied: Writes | None = None


def resync_sources(
    ledgers: LedgerStore,
    history: HistoryStore,
    sources: Sources,
    *,
    workflow_id: str | None = None,
    force: bool = False,
    prices: PriceBook | None = None,
    progress: Callable[[int, int], None] | None = None,
    application: ApplicationTable | None = None,
    preview: bool = False,
) -> ResyncReport:
    """Resync one workflow, or all ended ones; safe to run in parallel.

    A workflow that fails is among the problems, the others are done.

    Args:
        force: rows show pure replay; see `refresh.resync`.
        prices: for usage that the sources give no cost for; see `ImportOptions`.
        application: the table that is a copy of the history and gets its rows: of one workflow, or of all.
        preview: do not write to it.

    Raises:
        SourceUnreadable: the register of sources cannot be read.
        HistoryUnavailable, LedgerUnavailable: rows cannot be read or written; of the application's table: the history
            is done.
    """
    only = None if workflow_id is None else [workflow_id]
    before = history.stored(only)
    imported = reread(ledgers, sources, ImportOptions(only=only, prices=prices, progress=progress))
    report = resync(ledgers, history, workflow_ids=only, force=force)
    report.changes += _overtaken(report, history, before)
    if application is None:
        return ResyncReport(imported, report)
    rows = history.rows() if workflow_id is None else filter(None, [history.row(workflow_id)])
    reason = "resync --force" if force else "resync"
    copied = application.write(rows, pure=force, reason=reason, after_upgrade=True, preview=preview)
    report.changes = merged(report.changes, copied)
    return ResyncReport(imported, report, copied)


def merged(changes: Sequence[CostChange], copied: Writes) -> list[CostChange]:
    """Return the changes of the history and of an application's table; the table's, for a workflow that has both."""
    theirs = {change.adw_id for change in copied.changes}
    return [change for change in changes if change.adw_id not in theirs] + copied.changes


def _overtaken(report: RefreshReport, history: HistoryStore, before: dict[str, Stored]) -> Iterator[CostChange]:
    """Yield the changes since the resync started by another process, which read the new events first."""
    reported, after = {change.adw_id for change in report.changes}, history.stored(report.folded)
    for adw_id in sorted(after.keys() - reported):
        old, new = before.get(adw_id), after[adw_id]
        if old is not None and old.cost_nanousd != new.cost_nanousd:
            reason = _reason(history, adw_id, new.cost_nanousd)
            yield CostChange(adw_id, old.cost_nanousd, new.cost_nanousd, new.status, reason)


def _reason(history: HistoryStore, adw_id: str, cost_nanousd: int) -> str:
    """Return why a row shows this cost, by its audit log; an edit by hand is not in it."""
    newest_first = reversed(history.audit(adw_id))
    found = (entry.reason for entry in newest_first if money.parse_total(entry.new_cost) == cost_nanousd)
    return next(found, "edited")
