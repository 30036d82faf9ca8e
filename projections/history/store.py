"""Where rows are kept: a small port, and the one rule that decides which cost a row shows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple, Protocol

from ledger.errors import InvalidMoney
from ledger.events import money
from ledger.storage.line import Head
from projections.folding.projection import Projected
from projections.folding.row import Row, held
from projections.folding.spend import Amounts, Spend
from projections.history.query import Page, Query

__all__ = [
    "FOLD_VERSION",
    "HELD_REASON",
    "OWN",
    "UPGRADE",
    "AuditEntry",
    "Before",
    "CostChange",
    "Fresh",
    "Group",
    "HistoryStore",
    "Recorded",
    "SpendSum",
    "Stored",
    "after_upgrade",
    "by_upgrade",
    "decide",
    "era_of",
    "number_before_first",
    "stored_cost",
    "visible_cost",
]

OWN: Final = frozenset({"agent", "session_id", "model", "spent_at_from"})
"""Groups that spend itself names; the others are named by its workflow's row."""

Group = Literal[
    "agent", "session_id", "model", "spent_at_from", "adw_id", "workflow_template", "issue_number", "project"
]

FOLD_VERSION: Final = 6
"""Raised whenever the same lines give another row; every store then has every ledger folded anew."""

UPGRADE: Final = "upgrade: retry counts"
"""Why a row changes that this `FOLD_VERSION` makes of the same lines; since version 4 no cost has changed."""

NO_LEDGER: Final = "no ledger stands behind it"
_FIFTEEN_DIGITS_USD: Final = 999_999
HELD_REASON: Final = "held above the ledger's figure until the workflow ends"


class SpendSum(NamedTuple):
    """What was spent in a quarter hour under one group, over all workflows.

    Attributes:
        group: a value for each name that was grouped by, in that order; None for what is not named.
        amounts: in the order of `spend.AMOUNTS`.
    """

    quarter: int
    group: tuple[str | int | None, ...]
    amounts: Amounts


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
class Before:
    """What a row showed when an upgrade had every ledger folded again, and how far its ledger had been folded."""

    stored: Stored
    seq: int


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


@dataclass(frozen=True, slots=True)
class Recorded:
    """All that a history stores of one workflow at one moment, between two writes of it."""

    row: Row | None
    checkpoint: Head | None
    spend: tuple[Spend, ...]


class Fresh(Protocol):
    """The rows of a rebuild until they are swapped in."""

    def add(self, batch: Sequence[Projected]) -> None:
        """Keep these rows."""
        ...

    def swap(self, *, keep: Collection[str], again: Callable[[str], Projected | None], reason: str) -> list[CostChange]:
        """Replace the old rows by the fresh ones in one transaction, and audit every cost that changes.

        Args:
            keep: rows that stay as they are.
            again: replays a workflow that is not among the fresh rows, or that a refresh has taken further since;
                None: no ledger stands behind it, and its row is removed.
        """
        ...


class HistoryStore(Protocol):
    """Rows of `workflow_history`, what was spent when, their checkpoints and the audit log.

    Every method raises HistoryUnavailable when the store cannot be used; nothing is then half-written.
    """

    @property
    def shared(self) -> bool:
        """Whether projectors write the rows, from a replica of many hosts' ledgers; a refresh must not then."""
        ...

    @property
    def identity(self) -> object:
        """Tells the file that was opened from any other one; all are equal where rows are in no file."""
        ...

    @property
    def replaced(self) -> bool:
        """Whether a file that was opened is gone or was cut, or another one lies in its place."""
        ...

    @property
    def was_cut(self) -> bool:
        """Whether a file became smaller since this was asked last, so that `is_whole` should be."""
        ...

    def is_whole(self) -> bool:
        """Read all of a file of our own; False when it is damaged. True where rows are in no file."""
        ...

    def recover(self) -> None:
        """Put what can still be read of a damaged file of our own into a new one in its place, to be opened again.

        Nothing where another file lies there already, where it is another application's, and where rows are in no file.
        """
        ...

    def origins(self, adw_id: str) -> dict[str, Head]:
        """How far projectors have read each origin's chain into a row; nothing where a refresh writes the rows."""
        ...

    def close(self) -> None:
        """Let go of what is open; the object cannot be used after that."""
        ...

    def rows(self) -> list[Row]:
        """All rows, by `adw_id`."""
        ...

    def row(self, adw_id: str) -> Row | None:
        """One row."""
        ...

    def ids(self, prefix: str) -> list[str]:
        """The ids of the rows that begin so, sorted."""
        ...

    def recorded(self, adw_id: str) -> Recorded:
        """Return a row, its checkpoint and its spend as one write left them, whatever is being written meanwhile."""
        ...

    def page(self, query: Query) -> Page:
        """Some of the rows that a query asks for, and what all of them add up to; see `pages.page_of`."""
        ...

    def suspect_rows(self, limit: int, *, idle_before: str, offset: int = 0) -> list[Row]:
        """The rows that `stale.may_need_attention` picks, the newest first, so many at most; the others are not read.

        Args:
            offset: so many of them are left out.
        """
        ...

    def recorded_after(self, moment: str, limit: int) -> list[Row]:
        """The rows whose last event was recorded after a moment in the ledger's spelling, the newest first, so many at
        most; the others are not read.
        """
        ...

    def changes_after(self, number: int, limit: int) -> list[tuple[int, str]]:
        """Rows that changed, or were removed, since the change of this number: `(number, adw_id)`, in order.

        Numbers only grow; a row has that of its last change alone. 0 gives every row. A history that is made anew
        goes on above the numbers of the one before, see `era_of`.
        """
        ...

    def stored(self, adw_ids: Collection[str] | None = None) -> dict[str, Stored]:
        """What each of these rows shows, without reading it whole; None: all rows."""
        ...

    def checkpoints(self, workflow_ids: Collection[str] | None = None) -> dict[str, Head]:
        """How far each of these ledgers has been read; None: all of them."""
        ...

    def spend(self, adw_id: str) -> tuple[Spend, ...]:
        """What one workflow spent when, in the order of `Spend`'s first five fields."""
        ...

    def spent(
        self, by: Sequence[Group] = (), *, first: int | None = None, last: int | None = None, merged: bool = False
    ) -> Iterator[SpendSum]:
        """What all workflows spent, summed by quarter hour and group, in the order of the quarter hours.

        It is the ledgers' by pure replay: what a running row is held at above that is not spent.

        Args:
            by: what to group by besides the quarter hour.
            first, last: leave out the quarter hours before and after these.
            merged: sum the quarter hours too; each group's sum is then under its last one.
        """
        ...

    def write(self, batch: Sequence[Projected], *, pure: bool, reason: str) -> list[CostChange]:
        """Store rows, spend, checkpoints and audit entries of a batch in one transaction.

        Idempotent. `decide` says which cost a row shows. A row whose stored checkpoint is already further is left
        alone: another refresh was faster.

        Args:
            pure: rows show replay, whatever is stored.

        Returns:
            The changes of cost, in the batch's order.
        """
        ...

    def forget(self, workflow_id: str) -> None:
        """Drop a checkpoint, since its ledger was rightly replaced; the row stays until it is replayed."""
        ...

    def audit(self, adw_id: str | None = None, *, after: int = 0, limit: int | None = None) -> list[AuditEntry]:
        """The audit log in the order it was written.

        Args:
            after: leave out the entries up to this id.
            limit: so many at most.
        """
        ...

    def rebuilding(self) -> AbstractContextManager[Fresh]:
        """Fresh rows and spend beside the old ones; without a `swap` they leave no trace."""
        ...

    def drop_old_versions(self) -> list[int]:
        """Drop the rows that rebuilds have replaced and kept, where they do, and say which versions they were."""
        ...

    def remove(self, adw_ids: Collection[str], *, reason: str) -> list[CostChange]:
        """Remove rows that no ledger stands behind, and their spend, each with an audit entry; the entries stay."""
        ...


_ERA_BITS: Final = 32
_ERAS_BEGIN: Final = datetime(2020, 1, 1, tzinfo=UTC)


def era_of(change: int) -> int:
    """When the history was made that a change belongs to, in seconds since 2020: the upper half of its number.

    Changes of two eras are of two histories, one of which took the place of the other. 0 is the era of those that
    were made before there were eras.
    """
    return change >> _ERA_BITS


def number_before_first(now: datetime) -> int:
    """What the changes of a history that is made now are counted from; postgres.sql says the same."""
    return max(0, int((now - _ERAS_BEGIN).total_seconds())) << _ERA_BITS


def decide(
    replayed: Row, stored: Stored | None, *, spent_nanousd: int, pure: bool, reason: str
) -> tuple[Row, CostChange | None]:
    """The row to store, and how that changes the cost people see.

    An ended workflow's row is what replay says. A running one's keeps a larger cost that another program or a person
    stored, but none that we stored ourselves: a row does not depend on when its ledger was refreshed. `pure` is replay
    always.

    Args:
        spent_nanousd: the sum of the stored spend, so what replay said when we wrote the row last.
    """
    row = replayed
    if stored is not None and not pure and replayed.status == "running":
        foreign = stored.edited or stored.exact_nanousd > spent_nanousd
        row = held(replayed, stored.cost_nanousd) if foreign else replayed
    old = None if stored is None else stored.cost_nanousd
    raised = row.actual_cost_nanousd > replayed.actual_cost_nanousd
    if stored is not None and raised and stored.edited:
        old, reason = stored.exact_nanousd, HELD_REASON  # said once: from then on both columns agree
    return row, changed(row.adw_id, old, row.actual_cost_nanousd, row.status, reason)


def after_upgrade(
    stored: Stored | None, before: Before | None, projected: Projected, reason: str
) -> tuple[Stored | None, str]:
    """What a row showed before, and why it changes: by the upgrade when its ledger has not grown meanwhile.

    Args:
        before: None: it was folded by these rules before.
    """
    if before is None:
        return stored, reason
    return stored or before.stored, UPGRADE if before.seq == projected.head.seq else reason


def by_upgrade(change: CostChange) -> bool:
    """Whether it was an upgrade of this program that changed a row's cost, and not its ledger."""
    return change.reason == UPGRADE


def changed(adw_id: str, old_nanousd: int | None, new_nanousd: int, status: str, reason: str) -> CostChange | None:
    """The change between two costs; None when there is none to tell."""
    if old_nanousd == new_nanousd or (old_nanousd is None and new_nanousd == 0):
        return None
    return CostChange(adw_id, old_nanousd, new_nanousd, status, reason)


def visible_cost(cost_total: float | None) -> int:
    """Nanodollars of what `actual_cost_total` shows; 0 for what no cost can be, such as -1."""
    if isinstance(cost_total, float) and 0 <= cost_total < _FIFTEEN_DIGITS_USD:
        # No two decimals of fifteen digits share a float, so whichever has this one is its shortest form; asked of
        # every row at every refresh, and six times faster than parsing that.
        nanousd = round(cost_total * 1e9)
        if nanousd / 10**9 == cost_total:
            return nanousd
    try:
        return money.parse_total(cost_total)
    except InvalidMoney:
        return 0


def stored_cost(cost_total: float | None, exact_nanousd: int | None, status: str) -> Stored:
    """What a database shows of a row whose `actual_cost_total` is a float, of which large ones lack digits."""
    visible = visible_cost(cost_total)
    if exact_nanousd is None:
        return Stored(visible, visible, status)
    unedited = visible != exact_nanousd and cost_total == float(money.to_wire(exact_nanousd))
    return Stored(exact_nanousd if unedited else visible, exact_nanousd, status)


def removed(adw_id: str, stored: Stored, reason: str) -> CostChange:
    """The change that removing a row makes."""
    return CostChange(adw_id, stored.cost_nanousd, 0, stored.status, reason)


def with_cost(row: Row, cost_total: float) -> Row:
    """A row as somebody edited it by hand; for tests and the in-memory store."""
    return replace(row, actual_cost_total=cost_total)
