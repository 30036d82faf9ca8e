"""Proof: every chain, every checkpoint and every row, compared with a pure replay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from ledger import money
from ledger.errors import CostledgerError, UnknownWorkflow
from ledger.line import Head
from ledger.store import LedgerStore
from projections.fold import fold, initial
from projections.store import HistoryStore
from projections.workflow_history import Row, row

__all__ = ["Finding", "Proof", "differences", "verify"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit, and what to do about it."""

    workflow_id: str
    problem: str
    next_step: str


@dataclass(slots=True)
class Proof:
    """What a verification looked at; complete once its findings have been iterated."""

    ledgers: int = 0
    events: int = 0
    size_bytes: int = 0
    rows: int = 0
    findings: int = 0


def verify(ledgers: LedgerStore, history: HistoryStore | None, proof: Proof) -> Iterator[Finding]:
    """Every finding, ledger by ledger.

    Args:
        history: None verifies the chains alone.
        proof: counts what was looked at.

    Raises:
        HistoryUnavailable, LedgerUnavailable: the history, or the folder of ledgers, cannot be read.
    """
    rows = {} if history is None else {found.adw_id: found for found in history.rows()}
    checkpoints = {} if history is None else history.checkpoints()
    proof.rows = len(rows)
    for workflow_id in sorted({*ledgers.workflow_ids(), *rows, *checkpoints}):
        for finding in _of_one(ledgers, workflow_id, checkpoints.get(workflow_id), rows.get(workflow_id), proof):
            proof.findings += 1
            yield finding


def _of_one(
    ledgers: LedgerStore, workflow_id: str, checkpoint: Head | None, stored: Row | None, proof: Proof
) -> Iterator[Finding]:
    backup = "restore the ledger from a backup; its row stays as it is until then"
    try:
        if ledgers.size(workflow_id) is None and checkpoint is None and stored is None:
            return
        reader, state = ledgers.read(workflow_id, checkpoint=checkpoint), initial(workflow_id)
        at_checkpoint: Row | None = None
        for line in reader:
            fold(state, line)
            if checkpoint is not None and reader.head.seq == checkpoint.seq:
                at_checkpoint = row(state, reader.head)
    except UnknownWorkflow:
        yield Finding(workflow_id, "a row without a ledger", backup)
        return
    except CostledgerError as error:
        yield Finding(workflow_id, str(error), backup)
        return
    proof.ledgers += 1
    proof.events += reader.head.seq
    proof.size_bytes += reader.head.size
    if reader.torn_bytes:
        problem = f"{reader.torn_bytes:,} bytes after the last line were never acknowledged"
        yield Finding(workflow_id, problem, "nothing: the next append moves them aside")
    if at_checkpoint is not None and stored is not None:
        for difference in differences(stored, at_checkpoint):
            yield Finding(workflow_id, difference, f"costledger resync --force -- {workflow_id}")
    elif checkpoint is not None:
        yield Finding(workflow_id, "its row is missing", f"costledger resync --force -- {workflow_id}")


def differences(stored: Row, replayed: Row) -> Iterator[str]:
    """Where a stored row is not what replay says, a phrase per column."""
    for column in fields(Row):
        old: Any = getattr(stored, column.name)
        new: Any = getattr(replayed, column.name)
        if old == new:
            continue
        if column.name in ("actual_cost_total", "estimated_cost_total"):
            yield f"{column.name} is {_usd(old)}, and replay says {_usd(new)}"
        elif column.name == "actual_cost_nanousd":
            yield f"actual_cost_nanousd is {old:,}, and replay says {new:,}"
        else:
            yield f"{column.name} is {_short(old)}, and replay says {_short(new)}"


def _usd(value: float | None) -> str:
    return "nothing" if value is None else f"${money.to_wire(money.parse(value))}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
