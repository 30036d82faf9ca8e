"""The port of a store of rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol, Self

from ledger.errors import InvalidMoney
from ledger.events import money
from ledger.storage.line import Head
from projections.folding.moves import LedgerPart
from projections.folding.projection import Projected
from projections.folding.row import Row
from projections.folding.spend import Spend
from projections.history.query import Page, Query
from projections.history.spend_groups import OWN, Derived, Group, Most, MostSpent, SpendSum, Where

__all__ = [
    "FOLD_VERSION",
    "HELD_REASON",
    "KNOWN",
    "NO_LEDGER",
    "OWN",
    "UPGRADE",
    "AuditEntry",
    "Before",
    "CostChange",
    "Derived",
    "Fresh",
    "Group",
    "HistoryStore",
    "Most",
    "MostSpent",
    "Recorded",
    "SpendSum",
    "Stored",
    "Where",
    "era_of",
    "number_before_first",
    "stored_cost",
    "visible_cost",
]

FOLD_VERSION: Final = 10
"""Raised whenever the same lines give another row; every store then folds every ledger again."""

UPGRADE: Final = "upgrade: retry counts"
"""The reason of a change of cost by a new `FOLD_VERSION` alone; only retries have changed one, in versions 4 and 9."""

NO_LEDGER: Final = "it has no ledger"
_FIFTEEN_DIGITS_USD: Final = 999_999
HELD_REASON: Final = "held above the ledger's figure until the workflow ends"


@dataclass(frozen=True, slots=True)
class Stored:
    """The cost and status that a history shows of one row.

    Attributes:
        cost_nanousd: of `actual_cost_total`, the column that people read and edit.
        exact_nanousd: of `actual_cost_nanousd`; another figure means that the first was edited.
        known: the cost is a figure; $0 of a row without a reading or a price is none.
    """

    cost_nanousd: int
    exact_nanousd: int
    status: str
    known: bool = True

    @property
    def known_nanousd(self) -> int | None:
        """The cost that is shown; None where it is unknown or unpriced."""
        return self.cost_nanousd if self.known else None

    @property
    def edited(self) -> bool:
        """Whether a person or another program edited the cost."""
        return self.cost_nanousd != self.exact_nanousd


@dataclass(frozen=True, slots=True)
class Before:
    """A row as it was before an upgrade, and the seq up to which its ledger had been folded."""

    stored: Stored
    seq: int


@dataclass(frozen=True, slots=True)
class CostChange:
    """A row's cost before and after; None before the first row."""

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


@dataclass(frozen=True, slots=True)
class Recorded:
    """The row, the checkpoint and the spend of one workflow, as one write left them."""

    row: Row | None
    checkpoint: Head | None
    spend: tuple[Spend, ...]


class Fresh(Protocol):
    """The rows of a rebuild until they are swapped in."""

    def add(self, batch: Sequence[Projected]) -> None:
        """Add these rows; a later one of the same workflow replaces an earlier one."""
        ...

    def swap(self, *, keep: Collection[str], again: Callable[[str], Projected | None], reason: str) -> list[CostChange]:
        """Replace the old rows by the fresh ones in one transaction, and audit every cost that changes.

        Args:
            keep: ids of the rows that stay unchanged.
            again: replays a workflow that is not among the fresh rows, or that a refresh has folded further since;
                None: it has no ledger, and its row is removed.
        """
        ...


class HistoryStore(Protocol):
    """Rows of `workflow_history`, their spend over time, their checkpoints and the audit log.

    Adapters inherit what a store without a file, or without projectors, answers.

    Every method raises HistoryUnavailable when the store cannot be used; no write is then partial.
    """

    @property
    def shared(self) -> bool:
        """Whether projectors write the rows, from a replica of many hosts' ledgers; then a refresh must not."""
        return False

    @property
    def identity(self) -> object:
        """The identity of the opened file, which no other file has; None where rows are in no file."""
        return None

    @property
    def replaced(self) -> bool:
        """Whether the opened file is gone, was cut, or was replaced by another one."""
        return False

    @property
    def was_cut(self) -> bool:
        """Whether a file became smaller since the last call, so that `is_whole` should be called."""
        return False

    def is_whole(self) -> bool:
        """Read all of a file of our own and return whether it is undamaged. True where rows are in no file."""
        return True

    def recover(self) -> None:
        """Replace a damaged file of our own by a new one with all that can still be read; open it again after that.

        Nothing happens where the file was replaced already, is another application's, or where rows are in no file.
        """
        return

    def origins(self, adw_id: str) -> dict[str, Head]:  # noqa: ARG002
        """Return the heads up to which projectors have read each origin's chain; empty where a refresh writes rows."""
        return {}

    def close(self) -> None:
        """Close the store; the object cannot be used after that."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def rows(self, status: str | None = None, *, since: str | None = None, cost_from: int | None = None) -> list[Row]:
        """Return all rows, or those that meet conditions, sorted by `adw_id`.

        Args:
            since: last active at this moment or later.
            cost_from: with a cost of at least so many nanodollars, or a budget of their own.
        """
        ...

    def row(self, adw_id: str) -> Row | None:
        """Return one row; None when there is none."""
        ...

    def ids(self, prefix: str) -> list[str]:
        """Return the ids that start with this prefix, sorted."""
        ...

    def recorded(self, adw_id: str) -> Recorded:
        """Return a row, its checkpoint and its spend as one write left them, also during other writes."""
        ...

    def page(self, query: Query) -> Page:
        """Return one page of a query's rows, and the totals of all of them."""
        ...

    def suspect_rows(self, limit: int, *, idle_before: str, offset: int = 0) -> list[Row]:
        """Return the rows that `suspects.suspect_conditions` selects, the newest first; the others are not read.

        Args:
            limit: return at most so many.
            offset: skip so many of them.
        """
        ...

    def recorded_after(self, moment: str, limit: int) -> list[Row]:
        """The rows whose last event was recorded after a moment in the ledger's spelling, the newest first, so many at
        most; the others are not read.
        """
        ...

    def changes_after(self, number: int, limit: int) -> list[tuple[int, str]]:
        """Return the rows that changed, or were removed, after the change of this number: `(number, adw_id)`, in order.

        Numbers only grow; a row has only that of its last change. 0 gives every row. A history that is created again
        continues above the numbers of the one before, see `era_of`.
        """
        ...

    def stored(self, adw_ids: Collection[str] | None = None) -> dict[str, Stored]:
        """Return the costs and statuses that these rows show; None: all rows."""
        ...

    def checkpoints(self, workflow_ids: Collection[str] | None = None) -> dict[str, Head]:
        """Return the heads up to which these ledgers have been read; None: all ledgers."""
        ...

    def checkpoint_sizes(self) -> dict[str, int]:
        """Return the size of every ledger at its checkpoint, in bytes."""
        return {workflow_id: head.size for workflow_id, head in self.checkpoints().items()}

    def altered(self) -> set[str]:
        """Return the workflows whose row a person or another program removed, or whose cost they edited."""
        rows = self.stored()
        return {name for name, shown in rows.items() if shown.edited}.union(self.checkpoints().keys() - rows.keys())

    def compact(self) -> None:
        """Make what answers questions of sums quickly, which the first question would make otherwise."""
        return

    def spend(self, adw_id: str) -> tuple[Spend, ...]:
        """Return the spend of one workflow, in the order of `Spend`'s first five fields."""
        ...

    def parts(self) -> dict[str, LedgerPart]:
        """Return what each ledger comes to by itself of all workflows that moves connect, by workflow."""
        ...

    def spent(
        self,
        by: Sequence[Group | Derived] = (),
        *,
        first: int | None = None,
        last: int | None = None,
        starts: Sequence[int] | None = None,
        where: Where = (),
    ) -> Iterator[SpendSum]:
        """Return the spend of all workflows by quarter hour and group, without `starts` in the order of quarter hours.

        It is the spend by pure replay, without the `(held)` part of running rows.

        Args:
            by: the groups besides the quarter hour; several sums may have equal derived ones.
            first, last: leave out the quarter hours before and after these.
            starts: sum over the periods that start with these quarter hours, sorted, all before the second start being
                of the first; each sum then has a quarter hour of its period, and its last one where it is by session.
                Empty: over all of the time.
            where: leave out what does not meet these conditions.
        """
        ...

    def spent_most(self, asked: Most) -> MostSpent | None:  # noqa: ARG002
        """Return the first groups of `spent` over all of the time, and the sum of the others; None where it cannot."""
        return None

    def spent_between(self) -> tuple[int, int] | None:
        """Return the first and the last quarter hour with spend; None without any."""
        ...

    def row_values(self, name: Group) -> list[str | int | None]:
        """Return the different values that rows have in a column of theirs."""
        ...

    def write(self, batch: Sequence[Projected], *, pure: bool, reason: str) -> list[CostChange]:
        """Store rows, spend, checkpoints and audit entries of a batch in one transaction.

        Idempotent. `decide` decides which cost a row shows. A row with a later stored checkpoint stays unchanged:
        another refresh was faster. The rows that moves connect with a written one are made again.

        Args:
            pure: rows show the replayed cost, also where a larger one is stored.

        Returns:
            The changes of cost, in the batch's order.
        """
        ...

    def forget(self, workflow_id: str) -> None:
        """Delete a checkpoint whose ledger was replaced on purpose; the row stays until it is replayed."""
        ...

    def audit(self, adw_id: str | None = None, *, after: int = 0, limit: int | None = None) -> list[AuditEntry]:
        """Return the audit log in the order of its entries.

        Args:
            after: leave out the entries up to this id.
            limit: return at most so many.
        """
        ...

    def forget_audit(self, adw_ids: Collection[str]) -> None:
        """Delete the audit entries of workflows, and the numbers of their changes."""
        ...

    def rebuilding(self) -> AbstractContextManager[Fresh]:
        """Return a store of fresh rows next to the old ones; without a `swap` they leave no trace."""
        ...

    def drop_old_versions(self) -> list[int]:
        """Drop the versions of the rows that rebuilds have replaced, and return their numbers."""
        return []

    def remove(self, adw_ids: Collection[str], *, reason: str) -> list[CostChange]:
        """Remove rows without a ledger, and their spend, each with an audit entry; older entries stay."""
        ...


_ERA_BITS: Final = 32
_ERAS_BEGIN: Final = datetime(2020, 1, 1, tzinfo=UTC)


def era_of(change: int) -> int:
    """Return when the history of a change was created, in seconds since 2020: the upper half of its number.

    Changes of two eras are of two histories, one of which replaced the other. 0 is the era of those from before there
    were eras.
    """
    return change >> _ERA_BITS


def number_before_first(now: datetime) -> int:
    """Return the number from which a history created now counts its changes, as `postgres/schema.sql` does."""
    return max(0, int((now - _ERAS_BEGIN).total_seconds())) << _ERA_BITS


def visible_cost(cost_total: float | None) -> int:
    """Return the nanodollars that `actual_cost_total` shows; 0 for a value that cannot be a cost, such as -1."""
    if isinstance(cost_total, float) and 0 <= cost_total < _FIFTEEN_DIGITS_USD:
        # No two decimals of fifteen digits share a float, so the decimal of this one is its shortest form. Every
        # refresh calls this for every row, and it is six times faster than parsing the decimal.
        nanousd = round(cost_total * 1e9)
        if nanousd / 10**9 == cost_total:
            return nanousd
    try:
        return money.parse_total(cost_total)
    except InvalidMoney:
        return 0


KNOWN: Final = "((actual_cost_total <> 0 OR cost_basis IN ('reported', 'priced')) IS TRUE)"
"""Whether a row shows a figure, see `Stored.known`; in SQL of both databases."""


def stored_cost(cost_total: float | None, exact_nanousd: int | None, status: str, *, known: bool = True) -> Stored:
    """Return what a row shows whose `actual_cost_total` is a float, of which large ones lack digits."""
    visible = visible_cost(cost_total)
    if exact_nanousd is None:
        return Stored(visible, visible, status, known)
    unedited = visible != exact_nanousd and cost_total == float(money.to_wire(exact_nanousd))
    return Stored(exact_nanousd if unedited else visible, exact_nanousd, status, known)
