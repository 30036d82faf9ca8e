"""Drift: differences between stored rows and pure replay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.errors import CostledgerError, LockedLedger, ReplacedLedger, UnknownWorkflow
from ledger.events import money
from ledger.storage.line import EMPTY, Head
from ledger.storage.store import LedgerStore
from projections.folding.fold import fold, initial
from projections.folding.moves import LedgerPart, composed
from projections.folding.projection import Move, Projected, projected
from projections.folding.row import COLUMNS, Row, is_empty
from projections.folding.spend import Spend

__all__ = ["Examined", "Finding", "differences", "examine", "findings", "with_moves"]

RESTORE = "keep what verifies: costledger salvage -- {}; or restore a backup, which lacks what was appended since"
ACCEPT = "restore the ledger from a backup, or accept it as it is: costledger resync --force -- {}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference or a damage, and the next step."""

    workflow_id: str
    problem: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Examined:
    """The replay of one ledger, of which every byte was verified.

    Attributes:
        row, spend, moves: by pure replay up to the checkpoint; up to the end without one.
        problem: why there is no row; "" when there is one.
        replaced: the ledger lost lines that the checkpoint's row was folded from.
        locked: the process that has not released the ledger's lock; "" when it was read under that lock.
    """

    workflow_id: str
    row: Row | None = None
    spend: tuple[Spend, ...] = ()
    moves: tuple[Move, ...] = ()
    head: Head = field(default=EMPTY)
    torn_bytes: int = 0
    problem: str = ""
    unknown: bool = False
    replaced: bool = False
    locked: str = ""


def examine(ledgers: LedgerStore, job: tuple[str, Head | None]) -> Examined:
    """Verify one ledger to its end, and replay it to its checkpoint.

    Args:
        job: the workflow and its checkpoint.
    """
    workflow_id, checkpoint = job
    try:
        reader, state = ledgers.read(workflow_id, checkpoint=checkpoint, locked_too=True), initial(workflow_id)
        replayed: Projected | None = None
        for line in reader:
            if replayed is None:
                fold(state, line)
                if checkpoint is not None and reader.head.seq == checkpoint.seq:
                    replayed = projected(state, reader.head)
        replayed = replayed or projected(state, reader.head)
    except UnknownWorkflow as error:
        return Examined(workflow_id, problem=str(error), unknown=True)
    except ReplacedLedger as error:
        return Examined(workflow_id, problem=f"{error.path}, line {error.line}: {error.problem}", replaced=True)
    except CostledgerError as error:
        return Examined(workflow_id, problem=str(error))
    found = Examined(workflow_id, replayed.row, replayed.spend, replayed.moves, reader.head)
    if reader.locked is not None:  # the end may be of an append that is under way
        return replace(found, locked=reader.locked.problem)
    return replace(found, torn_bytes=reader.torn_bytes)


def with_moves(examined: Iterable[Examined]) -> list[Examined]:
    """Return ledgers with the rows and the spend that moves make of them; those without a row stay as they are."""
    found = list(examined)
    parts = {one.workflow_id: LedgerPart(one.row, one.spend, one.moves) for one in found if one.row is not None}
    made = composed(parts)
    for at, one in enumerate(found):
        if (group := made.get(one.workflow_id)) is not None:
            found[at] = replace(one, row=group.row, spend=group.spend)
    return found


def findings(
    examined: Examined,
    checkpoint: Head | None,
    stored: Row | None,
    spent: tuple[Spend, ...],
    *,
    unread_too: bool,
) -> Iterator[Finding]:
    """Yield the differences between a ledger, its checkpoint and its row.

    Args:
        spent: the stored spend.
        unread_too: a ledger that was never read into this history is a finding: its row is missing.
    """
    workflow_id = examined.workflow_id
    resync = f"costledger resync --force -- {workflow_id}"
    if examined.unknown:
        if checkpoint is not None:
            yield Finding(workflow_id, "its ledger is gone", "restore it from a backup; its row is kept")
        elif stored is not None:
            yield Finding(workflow_id, "a row without a ledger", resync)
    elif examined.row is None:
        step = ACCEPT if examined.replaced else RESTORE
        yield Finding(workflow_id, examined.problem, step.format(workflow_id))
    else:
        yield from _of_ledger(examined)
        if stored is not None:
            for difference in differences(stored, examined.row):
                yield Finding(workflow_id, difference, resync)
            if spent != examined.spend:
                yield Finding(workflow_id, _other_spend(spent, examined.spend), resync)
        elif (checkpoint is not None or unread_too) and not is_empty(examined.row):
            yield Finding(workflow_id, "its row is missing", resync)


def _of_ledger(examined: Examined) -> Iterator[Finding]:
    """Yield the findings about the end of a ledger that could be replayed."""
    workflow_id = examined.workflow_id
    if examined.locked:
        problem = f"its ledger is locked, so nothing is appended and no row follows: {examined.locked}"
        yield Finding(workflow_id, problem, f"{LockedLedger.next_step}; what is in it was verified up to its end")
    if examined.torn_bytes:
        problem = f"{examined.torn_bytes:,} bytes after the last line were never acknowledged"
        yield Finding(workflow_id, problem, "nothing: the next append moves them aside")


def differences(stored: Row, replayed: Row) -> Iterator[str]:
    """Yield a phrase for each column in which a stored row differs from replay."""
    for name in COLUMNS:
        old: Any = getattr(stored, name)
        new: Any = getattr(replayed, name)
        if old == new:
            continue
        if name == "actual_cost_total":
            yield f"{name} is {_usd(old)}, and replay says {_usd(new)}"
        else:
            yield f"{name} is {_short(old)}, and replay says {_short(new)}"


def _other_spend(stored: tuple[Spend, ...], replayed: tuple[Spend, ...]) -> str:
    old, new = (money.to_wire(sum(part.cost_nanousd for part in parts)) for parts in (stored, replayed))
    if old == new:
        return f"what was spent, ${new}, is not when, or by whom, replay says"
    return f"what was spent sums to ${old}, and replay says ${new}"


def _usd(value: float | None) -> str:
    try:
        return f"${money.to_wire(money.parse_total(value))}"
    except CostledgerError:
        return repr(value)


def _short(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int) else repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
