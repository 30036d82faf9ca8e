"""Proof: every chain, every checkpoint, every row and what was spent when, compared with a pure replay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ledger.store import LedgerStore
from ledger.workers import ask_each
from projections.drift import Finding, examine, findings
from projections.replay import PARALLEL_BYTES
from projections.store import HistoryStore

__all__ = ["Finding", "Proof", "verify"]


_REFRESH_SECONDS: Final = 1.0
"""How long a refresh that runs at the same time may take to read a ledger that was just opened."""


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

    A row is compared with replay up to its checkpoint, so a ledger that has grown since is no finding. Rows and
    checkpoints are read many at a time, and others may write meanwhile: what does not fit is looked at once more, as
    one write left it, before it is a finding.

    Args:
        proof: counts what was looked at.
        unread_too: a ledger that was never read into this history is a finding: its row is missing.
        progress: called with ledgers done and in all.

    Raises:
        HistoryUnavailable, LedgerUnavailable: the history, or the folder of ledgers, cannot be read.
    """
    rows = {found.adw_id: found for found in history.rows()}
    checkpoints = history.checkpoints()
    proof.rows = len(rows)
    sizes = {name: size for name in ledgers.workflow_ids() if (size := ledgers.size(name)) is not None}
    missing = unread_too and history.inserts
    jobs = [(name, checkpoints.get(name)) for name in sorted({*sizes, *rows, *checkpoints})]
    many = processes if sum(sizes.values()) >= PARALLEL_BYTES else 1
    unread: list[str] = []
    with ask_each(examine, ledgers, jobs, processes=many) as answers:
        for done, ((name, checkpoint), examined) in enumerate(zip(jobs, answers, strict=True), 1):
            proof.ledgers += not examined.problem
            proof.events += examined.head.seq
            proof.size_bytes += examined.head.size
            row = rows.get(name)
            spent = () if row is None else history.spend(name)
            if any(findings(examined, checkpoint, row, spent, history.columns, unread_too=missing)):
                if missing and row is None and checkpoint is None:
                    unread.append(name)
                else:
                    yield from _counted(proof, _found_again(ledgers, history, name, unread_too=missing))
            if progress is not None:
                progress(done, len(jobs))
    if unread:
        time.sleep(_REFRESH_SECONDS)
    for name in unread:
        yield from _counted(proof, _found_again(ledgers, history, name, unread_too=missing))


def _found_again(
    ledgers: LedgerStore, history: HistoryStore, workflow_id: str, *, unread_too: bool
) -> Iterator[Finding]:
    """Examine one workflow again, with all that is stored of it at one moment."""
    stored = history.recorded(workflow_id)
    examined = examine(ledgers, (workflow_id, stored.checkpoint))
    yield from findings(examined, stored.checkpoint, stored.row, stored.spend, history.columns, unread_too=unread_too)


def _counted(proof: Proof, found: Iterator[Finding]) -> Iterator[Finding]:
    for finding in found:
        proof.findings += 1
        yield finding
