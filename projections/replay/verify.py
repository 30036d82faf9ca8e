"""Verification: every chain, checkpoint, row and its spend, compared with a pure replay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import MOVE_AWAY
from ledger.events import timestamps
from ledger.storage.directory_store import sizes_of
from ledger.storage.line import Head
from ledger.storage.parallel import ask_each
from ledger.storage.store import LedgerStore
from projections.applications.table import ApplicationTable
from projections.folding.row import Row
from projections.history.store import HistoryStore
from projections.history.suspects import recorded_ahead
from projections.replay.drift import Examined, Finding, examine, findings, with_moves
from projections.replay.refresh import PARALLEL_BYTES

__all__ = ["Finding", "Proof", "verify"]


_REFRESH_SECONDS: Final = 1.0
"""The time that a refresh may take meanwhile to read a ledger that was just opened."""
_COMPARED_AT_ONCE: Final = 500
"""The rows of an application's table that are compared in one transaction."""


@dataclass(slots=True)
class Proof:
    """The counts of a verification; complete once its findings have been iterated."""

    ledgers: int = 0
    events: int = 0
    size_bytes: int = 0
    rows: int = 0
    findings: int = 0

    def add(self, examined: Examined) -> None:
        """Count one ledger."""
        self.ledgers += not examined.problem
        self.events += examined.head.seq
        self.size_bytes += examined.head.size


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
    """Yield every finding, ledger by ledger; nothing is written.

    A row is compared with replay up to its checkpoint, so a ledger that has grown since is no finding. Others may write
    meanwhile: what differs is compared once more, as one write left it, before it is a finding.

    Args:
        proof: gets the counts.
        application: the table that is a copy of the history; its differences are findings, too.
        unread_too: a ledger that was never read into this history is a finding: its row is missing.
        progress: called with ledgers done and in all.

    Raises:
        HistoryUnavailable, LedgerUnavailable: the history, or the folder of ledgers, cannot be read.
    """
    rows = {found.adw_id: found for found in history.rows()}
    checkpoints, sizes = history.checkpoints(), sizes_of(ledgers)
    proof.rows = len(rows)
    jobs = [(name, checkpoints.get(name)) for name in sorted({*sizes, *rows, *checkpoints})]
    comparison = _Comparison(ledgers, history, rows, application, unread_too=unread_too)
    yield from _counted(proof, _without_replay(ledgers, rows.values()))
    many = processes if sum(sizes.values()) >= PARALLEL_BYTES else 1
    with ask_each(examine, ledgers, jobs, processes=many) as answers:
        for done, ((_, checkpoint), examined) in enumerate(zip(jobs, answers, strict=True), 1):
            proof.add(examined)
            yield from _counted(proof, comparison.compare(examined, checkpoint))
            if progress is not None:
                progress(done, len(jobs))
    yield from _counted(proof, comparison.compare_again())


class _Comparison:
    """Examined ledgers compared with the rows, and with an application's table.

    A missing row and a difference in that table may be of a write that is under way, so they are compared again later.
    """

    def __init__(
        self,
        ledgers: LedgerStore,
        history: HistoryStore,
        rows: Mapping[str, Row],
        application: ApplicationTable | None,
        *,
        unread_too: bool,
    ) -> None:
        self._ledgers, self._history, self._rows, self._application = ledgers, history, rows, application
        self._unread_too = unread_too
        self._replayed: list[Row] = []
        self._unread: list[str] = []
        self._different: list[str] = []
        self._moved = history.parts().keys()
        self._connected: dict[str, tuple[Examined, Head | None]] = {}

    def compare(self, examined: Examined, checkpoint: Head | None) -> Iterator[Finding]:
        """Yield the findings about one ledger; `compare_again` yields the rest."""
        name = examined.workflow_id
        if name in self._moved or (self._unread_too and examined.moves):
            self._connected[name] = (examined, checkpoint)
            return
        row = self._rows.get(name)
        if any(self._findings(examined, checkpoint, row)):
            if self._unread_too and row is None and checkpoint is None:
                self._unread.append(name)
            else:
                yield from self._found_again(name)
        self._compare_copy(examined)

    def _compare_copy(self, examined: Examined) -> None:
        if self._application is not None and examined.row is not None:
            self._replayed.append(examined.row)
            if len(self._replayed) == _COMPARED_AT_ONCE:
                self._compare_copies(self._application)

    def _compare_connected(self) -> Iterator[Finding]:
        """Yield the findings about workflows that moves connect: their rows follow from all of their ledgers."""
        checkpoints = {name: checkpoint for name, (_, checkpoint) in self._connected.items()}
        examined = with_moves(one for one, _ in self._connected.values())
        found = [
            finding
            for one in examined
            for finding in self._findings(one, checkpoints[one.workflow_id], self._rows.get(one.workflow_id))
        ]
        if found:  # once more, as all of them are stored now
            stored = {name: self._history.recorded(name) for name in self._connected}
            examined = with_moves(examine(self._ledgers, (name, one.checkpoint)) for name, one in stored.items())
            for one in examined:
                now = stored[one.workflow_id]
                yield from self._findings(one, now.checkpoint, now.row)
        for one in examined:
            self._compare_copy(one)

    def _findings(self, examined: Examined, checkpoint: Head | None, row: Row | None) -> Iterator[Finding]:
        spent = () if row is None else self._history.spend(examined.workflow_id)
        return findings(examined, checkpoint, row, spent, unread_too=self._unread_too)

    def compare_again(self) -> Iterator[Finding]:
        """Yield the findings that remain after a refresh that may have been under way."""
        yield from self._compare_connected()
        if self._application is not None:
            self._compare_copies(self._application)
        if self._unread or self._different:
            time.sleep(_REFRESH_SECONDS)
        for name in self._unread:
            yield from self._found_again(name)
        if self._application is not None:
            for name in self._different:
                names = [name, *self._connected] if name in self._connected else [name]
                jobs = [(each, self._history.recorded(each).checkpoint) for each in dict.fromkeys(names)]
                examined = with_moves(examine(self._ledgers, job) for job in jobs)[0]
                yield from _of_copy(self._application, [] if examined.row is None else [examined.row])

    def _compare_copies(self, application: ApplicationTable) -> None:
        self._different += [finding.workflow_id for finding in _of_copy(application, self._replayed)]
        self._replayed.clear()

    def _found_again(self, workflow_id: str) -> Iterator[Finding]:
        """Examine one workflow again, with all that is stored of it at one moment."""
        stored = self._history.recorded(workflow_id)
        examined = examine(self._ledgers, (workflow_id, stored.checkpoint))
        yield from findings(examined, stored.checkpoint, stored.row, stored.spend, unread_too=self._unread_too)


def _without_replay(ledgers: LedgerStore, rows: Iterable[Row]) -> Iterator[Finding]:
    """Yield findings that need no replay: files that are no ledgers, rows whose last event is ahead of the clock."""
    for stray in ledgers.strays():
        yield Finding(stray.path.name, f"is no ledger: {stray.problem}", MOVE_AWAY)
    now = timestamps.now()
    for row in rows:
        for found in recorded_ahead(row, now):
            yield Finding(found.adw_id, found.why, found.next_step)


def _of_copy(application: ApplicationTable, replayed: Sequence[Row]) -> Iterator[Finding]:
    """Yield the rows of an application's table that do not show pure replay."""
    running = {row.adw_id for row in replayed if row.status == "running"}
    for name, found in application.compare(replayed, pure=True).items():
        if found.wrong:
            held = name in running and (found.stored_nanousd or 0) > found.ledger_nanousd
            step = f"costledger resync {'--force ' if held else ''}-- {name}"
            problem = f"{found} in {application.where}" if found.differs_in_cost else f"in {application.where}"
            yield Finding(name, f"{problem}: {', '.join(found.wrong)} wrong", step)


def _counted(proof: Proof, found: Iterator[Finding]) -> Iterator[Finding]:
    for finding in found:
        proof.findings += 1
        yield finding
