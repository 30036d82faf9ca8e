"""Replay: from ledgers to rows. A refresh folds the ledgers that changed; a resync also those that did not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from ledger.errors import CostledgerError, ReplacedLedger, SharedHistory, StrayFile, UnknownWorkflow
from ledger.events import money
from ledger.storage.line import Head
from ledger.storage.parallel import ask_each
from ledger.storage.store import LedgerStore
from projections.folding.cost_words import cost_before
from projections.folding.fold import fold_lines, initial
from projections.folding.projection import Projected, projected
from projections.history.cost_changes import by_upgrade
from projections.history.store import NO_LEDGER, CostChange, HistoryStore

__all__ = [
    "ENDED",
    "PARALLEL_BYTES",
    "Accepted",
    "LedgerProblem",
    "LedgerVanished",
    "Looked",
    "Project",
    "RefreshReport",
    "Replayed",
    "accept",
    "looked_at",
    "project",
    "refresh",
    "replayed",
    "resync",
    "shown_change",
    "stray_files",
]

_ROWS_PER_TRANSACTION: Final = 500
"""Bounds memory and the time that other writers wait; larger batches save little per row."""

PARALLEL_BYTES: Final = 8 * 1024 * 1024
"""Below this size, some 0.2 s of replay, starting processes costs more than it saves."""

_LOOKED_AT: Final = 1_000
_NAMES_MAX: Final = 5_000
"""Beyond so many workflows one query for all is faster than one for each."""

_LOST: Final = "the ledger no longer holds what the row was folded from"

ENDED: Final = frozenset({"completed", "failed", "cancelled"})

_log = logging.getLogger("costledger")


@dataclass(frozen=True, slots=True)
class LedgerProblem:
    """A workflow that could not be replayed; its row stays unchanged."""

    workflow_id: str
    error: CostledgerError


@dataclass(frozen=True, slots=True)
class Accepted:
    """A row that was replayed from a ledger that lost lines the row was folded from; costs in nanodollars."""

    workflow_id: str
    problem: str
    old_nanousd: int | None
    new_nanousd: int


@dataclass(slots=True)
class RefreshReport:
    """The result of a refresh.

    Attributes:
        accepted: rows of ledgers that lost lines, which the caller accepted explicitly.
        folded: ids of the workflows that were replayed.
        unchanged: the number of workflows without a change.
    """

    changes: list[CostChange] = field(default_factory=list)
    problems: list[LedgerProblem] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)
    unchanged: int = 0


def project(ledgers: LedgerStore, workflow_id: str, checkpoint: Head | None = None) -> Projected:
    """Return a workflow's row and spend by pure replay of its whole ledger.

    Raises:
        UnknownWorkflow, DamagedLedger, LedgerUnavailable, InvalidEvent: as the ledger is read and folded.
    """
    reader, state = ledgers.read(workflow_id, checkpoint=checkpoint), initial(workflow_id)
    for lines in reader.typed_chunks():
        fold_lines(state, lines)
    return projected(state, reader.head)


Project = Callable[[LedgerStore, str, Head | None], Projected]
"""`project`, or another function with the same result, such as `FoldCache.project`."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of replaying one ledger.

    Attributes:
        projected: None after an error.
        lost: why the ledger does not extend the checkpoint; "" when it does.
    """

    workflow_id: str
    projected: Projected | None = None
    lost: str = ""
    error: CostledgerError | None = None


def replayed(
    ledgers: LedgerStore, job: tuple[str, Head | None], *, accepts: bool, project: Project = project
) -> Replayed:
    """Replay a workflow and return its result; a CostledgerError is a part of it and not raised.

    Args:
        job: the workflow and its checkpoint.
        accepts: the ledger need not extend the checkpoint; its whole chain must verify.
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
        return Replayed(workflow_id, error=_vanished(error, checkpoint))


def accept(
    history: HistoryStore, replayed: Sequence[tuple[Projected, str]], report: RefreshReport, *, reason: str
) -> None:
    """Store rows of ledgers that lost lines the rows were folded from.

    Args:
        replayed: the rows by pure replay, each with the problem of its ledger.
    """
    for one, problem in replayed:
        adw_id = one.row.adw_id
        before = history.stored([adw_id]).get(adw_id)
        history.forget(adw_id)
        changes = history.write([one], pure=True, reason=f"{reason}: {_LOST}")
        report.changes += changes
        log_changes(changes)
        old = None if before is None else before.cost_nanousd
        report.accepted.append(Accepted(adw_id, problem, old, one.row.actual_cost_nanousd))


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
    """Bring rows up to date with the ledgers that changed since their checkpoints; report those with a problem.

    A ledger has changed when its size is not the checkpoint's (one `stat` each), or when its row's cost was edited; of
    one that is named, also its end is read.

    Args:
        workflow_ids: the workflows; None for all, also those whose ledger has vanished.
        pure: rows show the replayed cost, also where a running one has a larger figure.
        unchanged_too: replay ledgers that did not change, too.
        accepts: ledgers that verify decide, also those that lost lines that their rows were folded from.
        reason: for the audit log.
        project: replays one ledger; another function than `project` only with one process.
        processes: the number of processes that share a large replay.

    Raises:
        HistoryUnavailable, LedgerUnavailable: the history cannot be used, or the ledgers cannot be listed.
        SharedHistory: projectors write it.
    """
    if history.shared:
        raise SharedHistory
    report = RefreshReport()
    jobs, size = _jobs(ledgers, history, workflow_ids, report, unchanged_too=unchanged_too)
    question = partial(replayed, accepts=accepts, project=project)
    with ask_each(question, ledgers, jobs, processes=processes if size >= PARALLEL_BYTES else 1) as answers:
        while batch := list(islice(answers, _ROWS_PER_TRANSACTION)):
            _store(history, batch, report, pure=pure, reason=reason)
    return report


def stray_files(ledgers: LedgerStore) -> list[LedgerProblem]:
    """Return the files in the folder of ledgers that are none, each as a problem under the name of its file."""
    return [LedgerProblem(stray.path.name, stray) for stray in ledgers.strays()]


def _jobs(
    ledgers: LedgerStore,
    history: HistoryStore,
    workflow_ids: Iterable[str] | None,
    report: RefreshReport,
    *,
    unchanged_too: bool,
) -> tuple[list[tuple[str, Head | None]], int]:
    """Return the workflows to replay, each with its checkpoint, and their bytes; the others go into the report."""
    named = None if workflow_ids is None else set(workflow_ids)
    names = _all_ledgers(ledgers, history, report, unchanged_too=unchanged_too) if named is None else sorted(named)
    checkpoints = history.checkpoints(names if len(names) < _NAMES_MAX else None)
    stored = {} if unchanged_too or named is None else history.stored(named)
    jobs: list[tuple[str, Head | None]] = []
    bytes_in_all = 0
    for workflow_id in names:
        checkpoint, shown = checkpoints.get(workflow_id), stored.get(workflow_id)
        try:
            size = ledgers.size(workflow_id)
            if size is None and checkpoint is None and named is None:
                continue  # a file without any acknowledged event
            if checkpoint and size == checkpoint.size and shown is not None and not shown.edited:
                ledgers.read(workflow_id, checkpoint=checkpoint)
                report.unchanged += 1
                continue
            jobs.append((workflow_id, checkpoint))
            bytes_in_all += size or 0
        except CostledgerError as error:
            report.problems.append(LedgerProblem(workflow_id, _vanished(error, checkpoint)))
    return jobs, bytes_in_all


def _all_ledgers(
    ledgers: LedgerStore, history: HistoryStore, report: RefreshReport, *, unchanged_too: bool
) -> list[str]:
    names, problems = list[str](), list[LedgerProblem]()
    for seen in looked_at(ledgers, history):
        names += [*seen.changed, *seen.unchanged] if unchanged_too else seen.changed
        report.unchanged += 0 if unchanged_too else len(seen.unchanged)
        problems += seen.problems
    report.problems += sorted(problems, key=lambda problem: problem.workflow_id)
    return sorted(names)


class Looked(NamedTuple):
    """What a look at some ledgers found.

    Attributes:
        changed, unchanged: since their checkpoints.
        problems: other files in the folder.
    """

    changed: list[str]
    unchanged: list[str]
    problems: list[LedgerProblem]


def looked_at(ledgers: LedgerStore, history: HistoryStore) -> Iterator[Looked]:
    """Look at all ledgers, one `stat` each, in portions that take some milliseconds.

    Raises:
        HistoryUnavailable, LedgerUnavailable: the history cannot be used, or the ledgers cannot be listed.
    """
    sizes, altered, listing = history.checkpoint_sizes(), history.altered(), ledgers.listing()
    while found := list(islice(listing, _LOOKED_AT)):
        yield _look(ledgers, found, sizes, altered)
    yield Looked(list(sizes), [], [])  # their ledgers have vanished


def _look(
    ledgers: LedgerStore, found: Iterable[str | StrayFile], sizes: dict[str, int], altered: Collection[str]
) -> Looked:
    """Look at some ledgers, and take them out of the sizes."""
    seen = Looked([], [], [])
    for one in found:
        if not isinstance(one, str):
            seen.problems.append(LedgerProblem(one.path.name, one))
            continue
        before, size = sizes.pop(one, None), _size(ledgers, one)
        if size != before or one in altered:
            seen.changed.append(one)
        elif before is not None:
            seen.unchanged.append(one)
    return seen


def _size(ledgers: LedgerStore, workflow_id: str) -> int | None:
    try:
        return ledgers.size(workflow_id)
    except CostledgerError:
        return -1  # the replay reports it


def _store(history: HistoryStore, batch: Sequence[Replayed], report: RefreshReport, *, pure: bool, reason: str) -> None:
    report.problems += [LedgerProblem(one.workflow_id, one.error) for one in batch if one.error is not None]
    report.folded += [one.workflow_id for one in batch if one.error is None]
    projections = [(one.projected, one.lost) for one in batch if one.projected is not None]
    if extending := [projected for projected, lost in projections if not lost]:
        changes = history.write(extending, pure=pure, reason=reason)
        report.changes += changes
        log_changes(changes)
    accept(history, [one for one in projections if one[1]], report, reason=reason)


def resync(
    ledgers: LedgerStore, history: HistoryStore, *, workflow_ids: Iterable[str] | None = None, force: bool = False
) -> RefreshReport:
    """Replay rows whether their ledgers changed or not: the named ones, or all ended ones.

    Args:
        force: rows show pure replay, also of a ledger that lost lines its row was folded from. Without names this
            replays every workflow, also the running ones, and removes rows that never had a ledger.

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
    """Return the rows, of the named ones, that never had a ledger."""
    rows = set(history.stored()) if workflow_ids is None else set(history.stored()) & set(workflow_ids)
    return rows - set(ledgers.workflow_ids()) - set(history.checkpoints())


def _vanished(error: CostledgerError, checkpoint: Head | None) -> CostledgerError:
    """Return the error, or LedgerVanished for a ledger that is gone and not just unknown."""
    if isinstance(error, UnknownWorkflow) and checkpoint is not None:
        return LedgerVanished(error.workflow_id, checkpoint)
    return error


class LedgerVanished(CostledgerError):
    """The ledger of a stored row is gone."""

    http_status = 409

    def __init__(self, workflow_id: str, checkpoint: Head) -> None:
        super().__init__(
            f"{workflow_id}.jsonl is gone; its row, of {checkpoint.seq} events, was not changed: restore the file "
            "from a backup"
        )


def log_changes(changes: Iterable[CostChange]) -> None:
    """Log each change of a row's cost to the logger `costledger`."""
    for change in changes:
        _log.info("%s", shown_change(change))


def shown_change(change: CostChange) -> str:
    """Return a change of cost for people, with its reason if an upgrade made it, else with the status."""
    old, new = cost_before(change.old_nanousd), money.shown(change.new_nanousd)
    why = change.reason if by_upgrade(change) else f"status: {change.status}"
    return f"[{change.adw_id}] {old} → {new} ({why})"
