"""Replay: from ledgers to rows. A refresh folds the ledgers that changed; a resync folds the ones it is told to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final

from ledger.errors import CostledgerError, ReplacedLedger, SharedHistory, UnknownWorkflow
from ledger.events import money
from ledger.storage.line import Head
from ledger.storage.parallel import ask_each
from ledger.storage.store import LedgerStore
from projections.folding.cost_words import cost_before
from projections.folding.fold import State, fold, initial
from projections.folding.projection import Projected
from projections.folding.row import row, spend
from projections.history.store import NO_LEDGER, CostChange, HistoryStore, by_upgrade

__all__ = [
    "PARALLEL_BYTES",
    "Accepted",
    "LedgerProblem",
    "Project",
    "RefreshReport",
    "Replayed",
    "accept",
    "project",
    "projected",
    "refresh",
    "replayed",
    "resync",
    "shown_change",
    "stray_files",
]

_ROWS_PER_TRANSACTION: Final = 500
"""Bounds memory and how long other writers wait; beyond it a commit's cost is already spread thin."""

PARALLEL_BYTES: Final = 8 * 1024 * 1024
"""Below so much to replay, some 0.2 s, starting processes costs more than it saves."""

_LOST: Final = "the ledger no longer holds what the row was folded from"

ENDED: Final = frozenset({"completed", "failed", "cancelled"})

_log = logging.getLogger("costledger")


@dataclass(frozen=True, slots=True)
class LedgerProblem:
    """A workflow that could not be replayed; its row stays as it was."""

    workflow_id: str
    error: CostledgerError


@dataclass(frozen=True, slots=True)
class Accepted:
    """A row that was made again from a ledger that no longer holds what it was folded from; costs in nanodollars."""

    workflow_id: str
    problem: str
    old_nanousd: int | None
    new_nanousd: int


@dataclass(slots=True)
class RefreshReport:
    """What a refresh did.

    Attributes:
        accepted: what somebody's explicit word let ledgers that lost something decide.
        folded: ids of the workflows that were replayed.
        unchanged: how many had nothing new.
    """

    changes: list[CostChange] = field(default_factory=list)
    problems: list[LedgerProblem] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
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


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the replay of one ledger came to.

    Attributes:
        lost: why the ledger does not extend the checkpoint; "" when it does.
        error: why nothing was projected; None when something was.
    """

    workflow_id: str
    projected: Projected | None = None
    lost: str = ""
    error: CostledgerError | None = None


def replayed(
    ledgers: LedgerStore, job: tuple[str, Head | None], *, accepts: bool, project: Project = project
) -> Replayed:
    """A workflow and its checkpoint, replayed; it never raises ours.

    Args:
        accepts: the ledger need not extend the checkpoint; its own chain has to verify whole.
    """
    workflow_id, checkpoint = job
    try:
        try:
            return Replayed(workflow_id, project(ledgers, workflow_id, checkpoint))
        except ReplacedLedger as error:
            if not accepts:
                raise
            return Replayed(workflow_id, project(ledgers, workflow_id, None), error.problem)
    except CostledgerError as error:
        return Replayed(workflow_id, error=error)


def accept(
    history: HistoryStore, replayed: Sequence[tuple[Projected, str]], report: RefreshReport, *, reason: str
) -> None:
    """Let ledgers that lost what their rows were folded from decide what the rows show.

    Args:
        replayed: each by pure replay, and what does not fit.
    """
    for projected, problem in replayed:
        adw_id = projected.row.adw_id
        before = history.stored([adw_id]).get(adw_id)
        history.forget(adw_id)
        changes = history.write([projected], pure=True, reason=f"{reason}: {_LOST}")
        report.changes += changes
        log_changes(changes)
        old = None if before is None else before.cost_nanousd
        report.accepted.append(Accepted(adw_id, problem, old, projected.row.actual_cost_nanousd))


def refresh(
    ledgers: LedgerStore,
    history: HistoryStore,
    *,
    workflow_ids: Iterable[str] | None = None,
    pure: bool = False,
    unchanged_too: bool = False,
    accepts: bool = False,
    reason: str = "refresh",
    project: Project = project,
    processes: int = 1,
) -> RefreshReport:
    """Bring rows up to date with the ledgers that changed since their checkpoints.

    A ledger counts as changed when its size is not the checkpoint's (one `stat` each), or when somebody edited its
    row's cost; of one that is named, also its end is looked at. A ledger that cannot be read, or lost what its row was
    folded from, is a problem; the others are done.

    Args:
        workflow_ids: which ones; None for all, also those whose ledger has vanished.
        pure: rows show replay even where a running one holds a larger figure.
        unchanged_too: replay them whether they changed or not.
        accepts: ledgers that verify decide, also those that lost what their rows were folded from.
        reason: for the audit log.
        project: how a ledger is replayed.
        processes: how many may share a large replay; 1 replays here, and only here may `project` be another one.

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
    right = set() if unchanged_too else {adw_id for adw_id, shown in stored.items() if not shown.edited}
    wanted = {*ledgers.workflow_ids(), *checkpoints} if named is None else named
    if named is None:
        report.problems += stray_files(ledgers)
    jobs, in_all = _changed(ledgers, wanted, checkpoints, right, report, named=named is not None)
    question = partial(replayed, accepts=accepts, project=project)
    with ask_each(question, ledgers, jobs, processes=processes if in_all >= PARALLEL_BYTES else 1) as answers:
        while batch := list(islice(answers, _ROWS_PER_TRANSACTION)):
            for one in batch:
                if one.error is not None:
                    problem = _vanished(one.error, checkpoints.get(one.workflow_id))
                    report.problems.append(LedgerProblem(one.workflow_id, problem))
                else:
                    report.folded.append(one.workflow_id)
            told = [(one.projected, one.lost) for one in batch if one.projected is not None]
            _write(history, told, report, pure=pure, reason=reason)
    return report


def stray_files(ledgers: LedgerStore) -> list[LedgerProblem]:
    """Return what lies among the ledgers and is none, each as a problem under the name of its file."""
    return [LedgerProblem(stray.path.name, stray) for stray in ledgers.strays()]


def _changed(
    ledgers: LedgerStore,
    wanted: Iterable[str],
    checkpoints: Mapping[str, Head],
    right: Container[str],
    report: RefreshReport,
    *,
    named: bool,
) -> tuple[list[tuple[str, Head | None]], int]:
    """The workflows to replay, each with its checkpoint, and how many bytes that is; the others go into the report.

    Args:
        right: those whose rows show what they were folded to.
    """
    jobs: list[tuple[str, Head | None]] = []
    in_all = 0
    for workflow_id in sorted(wanted):
        checkpoint = checkpoints.get(workflow_id)
        try:
            size = ledgers.size(workflow_id)
            if size is None and checkpoint is None and not named:
                continue  # a file in which no event was ever acknowledged
            if checkpoint and size == checkpoint.size and workflow_id in right:
                if named:
                    ledgers.read(workflow_id, checkpoint=checkpoint)
                report.unchanged += 1
                continue
            jobs.append((workflow_id, checkpoint))
            in_all += size or 0
        except CostledgerError as error:
            report.problems.append(LedgerProblem(workflow_id, _vanished(error, checkpoint)))
    return jobs, in_all


def resync(
    ledgers: LedgerStore, history: HistoryStore, *, workflow_ids: Iterable[str] | None = None, force: bool = False
) -> RefreshReport:
    """Replay rows anew whether their ledgers changed or not: the ones named, or all ended ones.

    Args:
        force: rows show pure replay, also of a ledger that lost what its row was folded from. Without names this is
            then every workflow, also the running ones, and rows that no ledger ever stood behind are removed.

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
    report = refresh(
        ledgers, history, workflow_ids=wanted, pure=force, unchanged_too=True, accepts=force, reason=reason
    )
    report.changes[:0], report.problems[:0] = first.changes, first.problems
    removals = history.remove(foreign, reason=NO_LEDGER)
    log_changes(removals)
    report.changes += removals
    return report


def _foreign(ledgers: LedgerStore, history: HistoryStore, workflow_ids: Iterable[str] | None) -> set[str]:
    """Rows, among the ones named, that have no ledger and never had one."""
    rows = set(history.stored()) if workflow_ids is None else set(history.stored()) & set(workflow_ids)
    return rows - set(ledgers.workflow_ids()) - set(history.checkpoints())


def _vanished(error: CostledgerError, checkpoint: Head | None) -> CostledgerError:
    """The error, but for a ledger that is gone and not just unknown."""
    if isinstance(error, UnknownWorkflow) and checkpoint is not None:
        return LedgerVanished(error.workflow_id, checkpoint)
    return error


class LedgerVanished(CostledgerError):
    """A row stands, and the ledger it was folded from is gone."""

    http_status = 409

    def __init__(self, workflow_id: str, checkpoint: Head) -> None:
        super().__init__(
            f"ledger {workflow_id!r} is gone; its row, of {checkpoint.seq} events, was kept: restore the file from a "
            "backup"
        )


def _write(
    history: HistoryStore, batch: Sequence[tuple[Projected, str]], report: RefreshReport, *, pure: bool, reason: str
) -> None:
    extending = [projected for projected, lost in batch if not lost]
    if extending:
        changes = history.write(extending, pure=pure, reason=reason)
        report.changes += changes
        log_changes(changes)
    accept(history, [one for one in batch if one[1]], report, reason=reason)


def log_changes(changes: Iterable[CostChange]) -> None:
    """Each change of a row's cost, to the logger `costledger`."""
    for change in changes:
        _log.info("%s", shown_change(change))


def shown_change(change: CostChange) -> str:
    """A change of cost for people, and whether an upgrade made it."""
    old, new = cost_before(change.old_nanousd), money.shown(change.new_nanousd)
    why = change.reason if by_upgrade(change) else f"status: {change.status}"
    return f"[{change.adw_id}] {old} → {new} ({why})"
