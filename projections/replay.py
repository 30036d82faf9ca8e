"""Replay: from ledgers to rows. A refresh folds the ledgers that changed; a resync folds the ones it is told to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from ledger import money
from ledger.errors import CostledgerError, SharedHistory, UnknownWorkflow
from ledger.line import Head
from ledger.store import LedgerStore
from projections.fold import State, fold, initial
from projections.store import NO_LEDGER, CostChange, HistoryStore, Projected
from projections.workflow_history import row, spend

__all__ = ["Problem", "Project", "RefreshReport", "project", "projected", "refresh", "resync"]

_ROWS_PER_TRANSACTION: Final = 500
"""Bounds memory and how long other writers wait; beyond it a commit's cost is already spread thin."""

ENDED: Final = frozenset({"completed", "failed", "cancelled"})

_log = logging.getLogger("costledger")


@dataclass(frozen=True, slots=True)
class Problem:
    """A workflow that could not be replayed; its row stays as it was."""

    workflow_id: str
    error: CostledgerError


@dataclass(slots=True)
class RefreshReport:
    """What a refresh did.

    Attributes:
        folded: ids of the workflows that were replayed.
        unchanged: how many had nothing new.
    """

    changes: list[CostChange] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)
    unchanged: int = 0


def project(ledgers: LedgerStore, workflow_id: str, checkpoint: Head | None = None) -> Projected:
    """A workflow's row and spend by pure replay of its whole ledger.

    Raises:
        UnknownWorkflow, DamagedLedger, LedgerUnavailable, InvalidEvent: as the ledger is read and folded.
    """
    reader, state = ledgers.read(workflow_id, checkpoint=checkpoint), initial(workflow_id)
    for lines in reader.chunks():
        for line in lines:
            fold(state, line)
    return projected(state, reader.head)


def projected(state: State, head: Head) -> Projected:
    """What a state means, and how far the ledger was folded for it."""
    return Projected(row(state, head), spend(state), head)


Project = Callable[[LedgerStore, str, Head | None], Projected]
"""`project` itself, or another way to the same row, such as `KeptFolds.project`."""


def refresh(
    ledgers: LedgerStore,
    history: HistoryStore,
    *,
    workflow_ids: Iterable[str] | None = None,
    pure: bool = False,
    unchanged_too: bool = False,
    reason: str = "refresh",
    project: Project = project,
) -> RefreshReport:
    """Bring rows up to date with the ledgers that changed since their checkpoints.

    A ledger counts as changed when its size is not the checkpoint's (one `stat` each), or when somebody edited its
    row's cost. A ledger that cannot be read is a problem; the others are done.

    Args:
        workflow_ids: which ones; None for all, also those whose ledger has vanished.
        pure: rows show replay even where a running one holds a larger figure.
        unchanged_too: replay them whether they changed or not.
        reason: for the audit log.
        project: how a ledger is replayed.

    Raises:
        HistoryUnavailable: the history cannot be used.
        LedgerUnavailable: the ledgers cannot be listed.
        SharedHistory: projectors write it.
    """
    if history.shared:
        raise SharedHistory
    report = RefreshReport()
    named = None if workflow_ids is None else set(workflow_ids)
    checkpoints, stored = history.checkpoints(named), history.stored(named)
    edited = {adw_id for adw_id, shown in stored.items() if shown.edited}
    wanted = {*ledgers.workflow_ids(), *checkpoints} if named is None else named
    batch: list[Projected] = []
    for workflow_id in sorted(wanted):
        checkpoint = checkpoints.get(workflow_id)
        try:
            size = ledgers.size(workflow_id)
            if size is None and checkpoint is None and named is None:
                continue  # a file in which no event was ever acknowledged
            untouched = workflow_id in stored and workflow_id not in edited and not unchanged_too
            if checkpoint and size == checkpoint.size and untouched:
                report.unchanged += 1
                continue
            batch.append(project(ledgers, workflow_id, checkpoint))
            report.folded.append(workflow_id)
        except UnknownWorkflow as error:
            report.problems.append(Problem(workflow_id, _vanished(error, checkpoint)))
        except CostledgerError as error:
            report.problems.append(Problem(workflow_id, error))
        if len(batch) >= _ROWS_PER_TRANSACTION:
            _write(history, batch, report, pure=pure, reason=reason)
            batch = []
    _write(history, batch, report, pure=pure, reason=reason)
    return report


def resync(
    ledgers: LedgerStore, history: HistoryStore, *, workflow_ids: Iterable[str] | None = None, force: bool = False
) -> RefreshReport:
    """Replay rows anew whether their ledgers changed or not: the ones named, or all ended ones.

    Args:
        force: rows show pure replay. Without names this is then every workflow, also the running ones, and rows that
            no ledger ever stood behind are removed.

    Raises:
        HistoryUnavailable, LedgerUnavailable: see `refresh`.
    """
    reason = "resync --force" if force else "resync"
    foreign = _foreign(ledgers, history, workflow_ids) if force else set()
    if workflow_ids is None:
        first = refresh(ledgers, history, reason=reason) if not force else RefreshReport()
        broken = {problem.workflow_id for problem in first.problems}
        ended = {adw_id for adw_id, shown in history.stored().items() if shown.status in ENDED}
        wanted = None if force else ended - broken
    else:
        first, wanted = RefreshReport(), set(workflow_ids) - foreign
    report = refresh(ledgers, history, workflow_ids=wanted, pure=force, unchanged_too=True, reason=reason)
    report.changes[:0], report.problems[:0] = first.changes, first.problems
    removals = history.remove(foreign, reason=NO_LEDGER)
    log_changes(removals)
    report.changes += removals
    return report


def _foreign(ledgers: LedgerStore, history: HistoryStore, workflow_ids: Iterable[str] | None) -> set[str]:
    """Rows, among the ones named, that have no ledger and never had one."""
    rows = set(history.stored()) if workflow_ids is None else set(history.stored()) & set(workflow_ids)
    return rows - set(ledgers.workflow_ids()) - set(history.checkpoints())


def _vanished(error: UnknownWorkflow, checkpoint: Head | None) -> CostledgerError:
    if checkpoint is None:
        return error
    return LedgerVanished(error.workflow_id, checkpoint)


class LedgerVanished(CostledgerError):
    """A row stands, and the ledger it was folded from is gone."""

    def __init__(self, workflow_id: str, checkpoint: Head) -> None:
        super().__init__(
            f"ledger {workflow_id!r} is gone; its row, of {checkpoint.seq} events, was kept: restore the file from a "
            "backup"
        )


def _write(history: HistoryStore, batch: list[Projected], report: RefreshReport, *, pure: bool, reason: str) -> None:
    if not batch:
        return
    changes = history.write(batch, pure=pure, reason=reason)
    report.changes += changes
    log_changes(changes)


def log_changes(changes: Iterable[CostChange]) -> None:
    """Each change of a row's cost, to the logger `costledger`."""
    for change in changes:
        old, new = money.shown(change.old_nanousd or 0), money.shown(change.new_nanousd)
        _log.info("[%s] %s → %s (status: %s)", change.adw_id, old, new, change.status)
