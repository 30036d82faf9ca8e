"""Proof: every chain, every checkpoint, every row and what was spent when, compared with a pure replay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import MOVE_AWAY
from ledger.events import timestamps
from ledger.storage.directory_store import sizes_of
from ledger.storage.parallel import ask_each
from ledger.storage.store import LedgerStore
from projections.applications.table import ApplicationTable
from projections.folding.row import Row
from projections.history.store import HistoryStore
from projections.history.suspects import recorded_ahead
from projections.replay.drift import Finding, examine, findings
from projections.replay.refresh import PARALLEL_BYTES

__all__ = ["Finding", "Proof", "verify"]


_REFRESH_SECONDS: Final = 1.0
"""How long a refresh that runs at the same time may take to read a ledger that was just opened."""
_COMPARED_AT_ONCE: Final = 500
"""Rows that an application's table is asked for in one transaction."""


@dataclass(slots=True)
class Proof:
    """What a verification looked at; complete once its findings have been iterated."""

    ledgers: int = 0
    events: int = 0
    size_bytes: int = 0
    rows: int = 0
    findings: int = 0


def verify(
    ledgers: LedgerStore,
    history: HistoryStore,
    proof: Proof,
    *,
    unread_too: bool = False,
    application: ApplicationTable | None = None,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Finding]:
    """Every finding, ledger by ledger; nothing is written.

    A row is compared with replay up to its checkpoint, so a ledger that has grown since is no finding. Rows and
    checkpoints are read many at a time, and others may write meanwhile: what does not fit is looked at once more, as
    one write left it, before it is a finding.

    Args:
        proof: counts what was looked at.
        application: the table that is a copy of the history; what it does not show is a finding, too.
        unread_too: a ledger that was never read into this history is a finding: its row is missing.
        progress: called with ledgers done and in all.

    Raises:
        HistoryUnavailable, LedgerUnavailable: the history, or the folder of ledgers, cannot be read.
    """
    rows = {found.adw_id: found for found in history.rows()}
    checkpoints = history.checkpoints()
    proof.rows = len(rows)
    sizes = sizes_of(ledgers)
    yield from _counted(proof, _beside_replay(ledgers, rows.values()))
    jobs = [(name, checkpoints.get(name)) for name in sorted({*sizes, *rows, *checkpoints})]
    many = processes if sum(sizes.values()) >= PARALLEL_BYTES else 1
    replayed: list[Row] = []
    unread: list[str] = []
    unlike: list[str] = []
    with ask_each(examine, ledgers, jobs, processes=many) as answers:
        for done, ((name, checkpoint), examined) in enumerate(zip(jobs, answers, strict=True), 1):
            proof.ledgers += not examined.problem
            proof.events += examined.head.seq
            proof.size_bytes += examined.head.size
            row = rows.get(name)
            spent = () if row is None else history.spend(name)
            if any(findings(examined, checkpoint, row, spent, unread_too=unread_too)):
                if unread_too and row is None and checkpoint is None:
                    unread.append(name)
                else:
                    yield from _counted(proof, _found_again(ledgers, history, name, unread_too=unread_too))
            replayed += [] if application is None or examined.row is None else [examined.row]
            if application is not None and (len(replayed) == _COMPARED_AT_ONCE or done == len(jobs)):
                unlike += [finding.workflow_id for finding in _of_copy(application, replayed)]
                replayed.clear()
            if progress is not None:
                progress(done, len(jobs))
    if unread or unlike:
        time.sleep(_REFRESH_SECONDS)
    for name in unread:
        yield from _counted(proof, _found_again(ledgers, history, name, unread_too=unread_too))
    if application is not None:
        for name in unlike:
            yield from _counted(proof, _of_copy_again(ledgers, history, application, name))


def _beside_replay(ledgers: LedgerStore, rows: Iterable[Row]) -> Iterator[Finding]:
    """What is found without a replay: files that are no ledgers, and rows whose last event is ahead of the clock."""
    for stray in ledgers.strays():
        yield Finding(stray.path.name, f"is no ledger: {stray.problem}", MOVE_AWAY)
    now = timestamps.now()
    for row in rows:
        for found in recorded_ahead(row, now):
            yield Finding(found.adw_id, found.why, found.next_step)


def _found_again(
    ledgers: LedgerStore, history: HistoryStore, workflow_id: str, *, unread_too: bool
) -> Iterator[Finding]:
    """Examine one workflow again, with all that is stored of it at one moment."""
    stored = history.recorded(workflow_id)
    examined = examine(ledgers, (workflow_id, stored.checkpoint))
    yield from findings(examined, stored.checkpoint, stored.row, stored.spend, unread_too=unread_too)


def _of_copy(application: ApplicationTable, replayed: Sequence[Row]) -> Iterator[Finding]:
    """Where an application's table does not show pure replay."""
    running = {row.adw_id for row in replayed if row.status == "running"}
    for name, found in application.compare(replayed, pure=True).items():
        if found.wrong:
            held = name in running and (found.stored_nanousd or 0) > found.ledger_nanousd
            step = f"costledger resync {'--force ' if held else ''}-- {name}"
            problem = f"{found} in {application.where}" if found.differs_in_cost else f"in {application.where}"
            yield Finding(name, f"{problem}: {', '.join(found.wrong)} wrong", step)


def _of_copy_again(
    ledgers: LedgerStore, history: HistoryStore, application: ApplicationTable, workflow_id: str
) -> Iterator[Finding]:
    """Compare one row of the application's table again, with replay up to the checkpoint that is stored by now."""
    examined = examine(ledgers, (workflow_id, history.recorded(workflow_id).checkpoint))
    yield from _of_copy(application, [] if examined.row is None else [examined.row])


def _counted(proof: Proof, found: Iterator[Finding]) -> Iterator[Finding]:
    for finding in found:
        proof.findings += 1
        yield finding
