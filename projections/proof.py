"""Proof: every chain, every checkpoint, every row and what was spent when, compared with a pure replay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ledger import clock
from ledger.errors import MOVE_AWAY
from ledger.store import LedgerStore, sizes_of
from ledger.workers import ask_each
from projections.drift import Finding, examine, findings
from projections.replay import PARALLEL_BYTES
from projections.stale import AHEAD, WRONG_CLOCK
from projections.store import HistoryStore

__all__ = ["Finding", "Proof", "verify"]


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
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Finding]:
    """Every finding, ledger by ledger; nothing is written.

    A row is compared with replay up to its checkpoint, so a ledger that has grown since is no finding.

    Args:
        proof: counts what was looked at.
        unread_too: a ledger that was never read into this history is a finding: its row is missing.
        progress: called with ledgers done and in all.

    Raises:
        HistoryUnavailable, LedgerUnavailable: the history, or the folder of ledgers, cannot be read.
    """
    ahead = clock.to_wire(clock.now() + AHEAD)
    rows = {found.adw_id: found for found in history.rows()}
    checkpoints = history.checkpoints()
    proof.rows = len(rows)
    sizes = sizes_of(ledgers)
    for stray in ledgers.strays():
        proof.findings += 1
        yield Finding(stray.path.name, f"is no ledger: {stray.problem}", MOVE_AWAY)
    missing = unread_too and history.inserts
    jobs = [(name, checkpoints.get(name)) for name in sorted({*sizes, *rows, *checkpoints})]
    many = processes if sum(sizes.values()) >= PARALLEL_BYTES else 1
    with ask_each(examine, ledgers, jobs, processes=many) as answers:
        for done, ((name, checkpoint), examined) in enumerate(zip(jobs, answers, strict=True), 1):
            proof.ledgers += not examined.problem
            proof.events += examined.head.seq
            if (moment := (rows[name].updated_at if name in rows else "")) > ahead:
                proof.findings += 1
                yield Finding(name, f"its last event was recorded at {moment}, ahead of the clock", WRONG_CLOCK)
            proof.size_bytes += examined.head.size
            row = rows.get(name)
            spent = () if row is None else history.spend(name)
            for finding in findings(examined, checkpoint, row, spent, history.columns, unread_too=missing):
                proof.findings += 1
                yield finding
            if progress is not None:
                progress(done, len(jobs))
