"""Where rows are kept: a small port, and the one rule that decides which cost a row shows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from ledger import money
from ledger.errors import InvalidMoney
from ledger.line import Head
from projections.workflow_history import Row, held

__all__ = ["AuditEntry", "CostChange", "HistoryStore", "Projected", "Stored", "decide"]

HELD_REASON: Final = "held above the ledger's figure until the workflow ends"


@dataclass(frozen=True, slots=True)
class Projected:
    """A row by pure replay, and how far the ledger was folded for it."""

    row: Row
    head: Head


@dataclass(frozen=True, slots=True)
class Stored:
    """What a history shows of one row.

    Attributes:
        cost_nanousd: of `actual_cost_total`, the column that people see and edit.
        exact_nanousd: of `actual_cost_nanousd`; another figure means that somebody edited the first.
    """

    cost_nanousd: int
    exact_nanousd: int
    status: str

    @property
    def edited(self) -> bool:
        return self.cost_nanousd != self.exact_nanousd


@dataclass(frozen=True, slots=True)
class CostChange:
    """A row's cost before and after; None when there was no row."""

    adw_id: str
    old_nanousd: int | None
    new_nanousd: int
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of `cost_audit_log`; costs in USD, the moment in the ledger's spelling."""

    id: int
    adw_id: str
    old_cost: float | None
    new_cost: float
    reason: str
    timestamp: str


class HistoryStore(Protocol):
    """Rows of `workflow_history`, their checkpoints and the audit log.

    Every method raises HistoryUnavailable when the store cannot be used; nothing is then half-written.
    """

    def rows(self) -> list[Row]:
        """All rows, by `adw_id`."""
        ...

    def row(self, adw_id: str) -> Row | None:
        """One row."""
        ...

    def stored(self) -> dict[str, Stored]:
        """What every row shows, without reading the rows whole."""
        ...

    def checkpoints(self) -> dict[str, Head]:
        """How far each ledger has been read."""
        ...

    def write(self, batch: Sequence[Projected], *, pure: bool, reason: str) -> list[CostChange]:
        """Store rows, checkpoints and audit entries of a batch in one transaction.

        Idempotent. `decide` says which cost a row shows. A row whose stored checkpoint is already further is left
        alone: another refresh was faster.

        Args:
            pure: rows show replay, whatever is stored.

        Returns:
            The changes of cost, in the batch's order.
        """
        ...

    def audit(self, adw_id: str | None = None) -> list[AuditEntry]:
        """The audit log in the order it was written."""
        ...

    def remove(self, adw_ids: Collection[str], *, reason: str) -> list[CostChange]:
        """Remove rows that no ledger stands behind, each with an audit entry; the entries stay."""
        ...


def decide(replayed: Row, stored: Stored | None, *, pure: bool, reason: str) -> tuple[Row, CostChange | None]:
    """The row to store, and how that changes the cost people see.

    An ended workflow's row is what replay says. A running one's keeps a larger cost that is stored: nobody sees a
    running cost fall. `pure` is replay always.
    """
    row = replayed
    if stored is not None and not pure and replayed.status == "running":
        row = held(replayed, stored.cost_nanousd)
    old = None if stored is None else stored.cost_nanousd
    raised = row.actual_cost_nanousd > replayed.actual_cost_nanousd
    if stored is not None and raised and stored.edited:
        old, reason = stored.exact_nanousd, HELD_REASON  # said once: from then on both columns agree
    if old == row.actual_cost_nanousd or (old is None and row.actual_cost_nanousd == 0):
        return row, None
    return row, CostChange(row.adw_id, old, row.actual_cost_nanousd, row.status, reason)


def visible_cost(cost_total: float) -> int:
    """Nanodollars of what `actual_cost_total` shows; 0 for what no cost can be, such as -1."""
    try:
        return money.parse(cost_total)
    except InvalidMoney:
        return 0


def removed(adw_id: str, stored: Stored, reason: str) -> CostChange:
    """The change that removing a row makes."""
    return CostChange(adw_id, stored.cost_nanousd, 0, stored.status, reason)


def with_cost(row: Row, cost_total: float) -> Row:
    """A row as somebody edited it by hand; for tests and the in-memory store."""
    return replace(row, actual_cost_total=cost_total)
