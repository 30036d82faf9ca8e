"""Rebuild: replay every ledger into fresh rows, during reads and writes, and swap them in at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Final

from ledger.errors import SharedHistory, UnknownWorkflow
from ledger.storage.directory_store import sizes_of
from ledger.storage.parallel import ask_each
from ledger.storage.store import LedgerStore
from projections.folding.projection import Projected
from projections.history.store import Fresh, HistoryStore
from projections.replay.refresh import (
    PARALLEL_BYTES,
    LedgerProblem,
    LedgerVanished,
    RefreshReport,
    Replayed,
    accept,
    log_changes,
    project,
    replayed,
    stray_files,
)

__all__ = ["rebuild"]

_BATCH_ROWS: Final = 1000


def rebuild(
    ledgers: LedgerStore,
    history: HistoryStore,
    *,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> RefreshReport:
    """Replace every row by pure replay of its ledger, in one transaction at the end.

    Readers read the old rows until then; an interruption leaves no trace. The audit log stays, and gets an entry for
    every cost that changes. A ledger that verifies decides, also when it lost lines its row was folded from; one that
    cannot be read is a problem, and its row stays. A row that never had a ledger is removed.

    Args:
        processes: the number of processes that share a large replay.
        progress: called with ledgers done and in all.

    Raises:
        HistoryUnavailable, LedgerUnavailable: the history, or the folder of ledgers, cannot be used.
        SharedHistory: projectors write it.
    """
    if history.shared:
        raise SharedHistory
    report, checkpoints, sizes = RefreshReport(), history.checkpoints(), sizes_of(ledgers)
    report.problems += stray_files(ledgers)
    jobs = [(name, checkpoints.get(name)) for name in sizes]
    many = processes if sum(sizes.values()) >= PARALLEL_BYTES else 1
    question = partial(replayed, accepts=True)
    with ask_each(question, ledgers, jobs, processes=many) as answers, history.rebuilding() as fresh:
        lost = _fill(fresh, answers, report, lambda done: progress(done, len(jobs)) if progress else None)
        for name in sorted(checkpoints.keys() - sizes.keys()):
            report.problems.append(LedgerProblem(name, LedgerVanished(name, checkpoints[name])))
        unchanged = {problem.workflow_id for problem in report.problems} | {one.row.adw_id for one, _ in lost}
        report.changes += fresh.swap(keep=unchanged, again=partial(_replay_again, ledgers), reason="rebuild")
    log_changes(report.changes)
    accept(history, lost, report, reason="rebuild")
    return report


def _fill(
    fresh: Fresh, answers: Iterator[Replayed], report: RefreshReport, progress: Callable[[int], None]
) -> list[tuple[Projected, str]]:
    """Add the rows of all ledgers, and return those of ledgers that lost lines, each with the problem."""
    lost: list[tuple[Projected, str]] = []
    done = 0
    while batch := list(islice(answers, _BATCH_ROWS)):
        report.problems += [LedgerProblem(one.workflow_id, one.error) for one in batch if one.error is not None]
        lost += [(one.projected, one.lost) for one in batch if one.projected is not None and one.lost]
        report.folded += [one.workflow_id for one in batch if one.projected is not None]
        fresh.add([one.projected for one in batch if one.projected is not None and not one.lost])
        done += len(batch)
        progress(done)
    return lost


def _replay_again(ledgers: LedgerStore, workflow_id: str) -> Projected | None:
    """Replay a row that was refreshed or added during the rebuild; None when it has no ledger."""
    try:
        return project(ledgers, workflow_id)
    except UnknownWorkflow:
        return None
