"""Rebuild: replay every ledger into fresh rows, beside readers and writers, and swap them in at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Final

from ledger.errors import SharedHistory, UnknownWorkflow
from ledger.storage.directory_store import sizes_of
from ledger.storage.parallel import ask_each
from ledger.storage.store import LedgerStore
from projections.folding.projection import Projected
from projections.history.store import HistoryStore
from projections.replay.refresh import (
    PARALLEL_BYTES,
    LedgerProblem,
    LedgerVanished,
    RefreshReport,
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

    Readers see the old rows until then; an interruption leaves no trace. Audit entries are kept, and added for every
    cost that changes. A ledger that verifies decides, also when it lost what its row was folded from; one that cannot
    be read keeps its row and is a problem. A row that no ledger ever stood behind is removed.

    Args:
        processes: that replay beside each other.
        progress: called with ledgers done and in all.

    Raises:
        HistoryUnavailable, LedgerUnavailable: the history, or the folder of ledgers, cannot be used.
        SharedHistory: projectors write it.
    """
    if history.shared:
        raise SharedHistory
    report = RefreshReport()
    checkpoints = history.checkpoints()
    sizes = sizes_of(ledgers)
    report.problems += stray_files(ledgers)
    jobs = [(name, checkpoints.get(name)) for name in sizes]
    many = processes if sum(sizes.values()) >= PARALLEL_BYTES else 1
    lost: list[tuple[Projected, str]] = []
    question = partial(replayed, accepts=True)
    with ask_each(question, ledgers, jobs, processes=many) as answers, history.rebuilding() as fresh:
        done = 0
        while batch := list(islice(answers, _BATCH_ROWS)):
            report.problems += [LedgerProblem(one.workflow_id, one.error) for one in batch if one.error is not None]
            lost += [(one.projected, one.lost) for one in batch if one.projected is not None and one.lost]
            report.folded += [one.workflow_id for one in batch if one.projected is not None]
            fresh.add([one.projected for one in batch if one.projected is not None and not one.lost])
            done += len(batch)
            if progress is not None:
                progress(done, len(jobs))
        for name in sorted(checkpoints.keys() - sizes.keys()):
            report.problems.append(LedgerProblem(name, LedgerVanished(name, checkpoints[name])))
        kept = {problem.workflow_id for problem in report.problems} | {one.row.adw_id for one, _ in lost}

        def again(workflow_id: str) -> Projected | None:
            """A row that was refreshed, or came, while this rebuild was on."""
            try:
                return project(ledgers, workflow_id)
            except UnknownWorkflow:
                return None

        report.changes += fresh.swap(keep=kept, again=again, reason="rebuild")
    log_changes(report.changes)
    accept(history, lost, report, reason="rebuild")
    return report
