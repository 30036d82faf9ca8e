"""Queries of rows: filters, order, one page, and the totals of all pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from operator import add
from typing import Any, Final

from ledger.errors import InvalidInput
from projections.folding.row import Row
from projections.history.idle import MOVED, shown_status

__all__ = ["LIMIT_MAX", "SORTS", "STATUSES", "Page", "Query", "QueryTotals", "totals_of"]

STATUSES: Final = ("running", "completed", "failed", "cancelled", MOVED)
BASES: Final = ("reported", "priced", "partial", "none")

SORTS: Final = {
    "last_activity": "last_activity",
    "updated_at": "updated_at",
    "start_time": "start_time",
    "cost": "actual_cost_nanousd",
    "tokens": "total_tokens",
    "duration": "duration_seconds",
    "issue_number": "issue_number",
    "adw_id": "adw_id",
}
"""The sort orders, and the column of each."""

TEXT_COLUMNS: Final = ("adw_id", "workflow_template", "project", "model_used", "error_message")
"""The columns that a free text is searched in."""

LIMIT_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Query:
    """The filters and the order of rows; None does not limit.

    Attributes:
        statuses: any of them.
        basis: one of `BASES`; "none" for rows without a reading.
        since, until: of `last_activity`, in the ledger's spelling, the first included and the second not.
        project: the whole of it, or the last parts of its path.
        tool: one of the tools of a row; see `tools.tool_called`.
        text: a part of one of `TEXT_COLUMNS`, in upper or lower case.
        where: columns, each with the values of which a row has one; None: it has none.
        sort: one of `SORTS`; rows with equal values are sorted by their ids, absent values come last.
        descending: the largest first; of rows with equal values, the largest id.
    """

    statuses: tuple[str, ...] = ()
    issue_number: int | None = None
    workflow_template: str | None = None
    basis: str | None = None
    project: str | None = None
    tool: str | None = None
    since: str | None = None
    until: str | None = None
    text: str | None = None
    where: tuple[tuple[str, tuple[str | int | None, ...]], ...] = ()
    sort: str = "last_activity"
    descending: bool = True
    limit: int = 50
    offset: int = 0

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            raise InvalidInput(f"rows cannot be sorted by {self.sort!r}; use one of {', '.join(SORTS)}")
        if wrong := set(self.statuses) - set(STATUSES):
            raise InvalidInput(f"{min(wrong)!r} is not a status; use one of {', '.join(STATUSES)}")
        if self.basis is not None and self.basis not in BASES:
            raise InvalidInput(f"{self.basis!r} is not a basis; use one of {', '.join(BASES)}")
        if not 1 <= self.limit <= LIMIT_MAX or not 0 <= self.offset < 2**31:
            raise InvalidInput(f"a page has 1 to {LIMIT_MAX} rows, and starts at row 0 or later")


@dataclass(frozen=True, slots=True)
class QueryTotals:
    """The sums of rows; costs in nanodollars.

    Attributes:
        unknown_count: rows without a reading, whose cost is unknown.
        by_status: the sums of each status that occurs, which have no `by_status` themselves.
    """

    count: int = 0
    cost_nanousd: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_hit_tokens: int = 0
    output_tokens: int = 0
    unpriced_events: int = 0
    partial_count: int = 0
    unknown_count: int = 0
    by_status: dict[str, QueryTotals] = field(default_factory=dict)

    @classmethod
    def of(cls, status: str, sums: Iterable[int | None]) -> QueryTotals:
        """Return the totals of rows with one status.

        Args:
            sums: in the order of `SUMS`; None is 0, as the sum of no rows in SQL.
        """
        given: dict[str, Any] = {name: int(value or 0) for name, value in zip(SUMS, sums, strict=True)}
        each = cls(**given)
        return replace(each, by_status={status: each})

    @property
    def moved_count(self) -> int:
        """The number of rows of workflows that count in another row."""
        moved = self.by_status.get(MOVED)
        return 0 if moved is None else moved.count

    @property
    def at_least(self) -> bool:
        """Whether the true cost is above this one."""
        return bool(self.partial_count or self.unknown_count or self.unpriced_events)

    def plus(self, other: QueryTotals) -> QueryTotals:
        """Return the totals of both."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in SUMS}
        by_status = dict(self.by_status)
        for status, totals in other.by_status.items():
            by_status[status] = by_status[status].plus(totals) if status in by_status else totals
        return replace(self, **sums, by_status=by_status)


SUMS: Final = tuple(each.name for each in fields(QueryTotals) if each.name != "by_status")
"""The figures of `QueryTotals` that are plain sums."""

_NOTHING: Final = [0] * len(SUMS)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a query's rows, and the totals of all of them."""

    rows: list[Row]
    totals: QueryTotals


def totals_of(rows: Iterable[Row]) -> QueryTotals:
    """Return the totals of rows in memory."""
    by_status: dict[str, list[int]] = {}
    for row in rows:
        figures = (
            1,
            row.actual_cost_nanousd,
            row.input_tokens,
            row.cached_tokens,
            row.cache_hit_tokens,
            row.output_tokens,
            row.unpriced_events,
            int(row.cost_basis == "partial"),
            int(row.cost_basis is None),
        )
        status = shown_status(row)
        by_status[status] = list(map(add, by_status.get(status, _NOTHING), figures))
    totals = QueryTotals()
    for status, sums in by_status.items():
        totals = totals.plus(QueryTotals.of(status, sums))
    return totals
