"""The conditions of a query of spend: what a store tests by a column, and what is tested by values of dimensions."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import NamedTuple

from ledger.errors import InvalidInput
from projections.history.query import LIMIT_MAX, Page, Query, totals_of
from projections.history.store import Group, HistoryStore, Where
from projections.reports.dimensions import Dimension, Value, dimension
from projections.reports.periods import start_of
from projections.reports.tags import TagRules

__all__ = ["Conditions", "NotOfWorkflows", "SpendFilter", "page_where", "spend_filter", "without_reading"]

Conditions = tuple[tuple[str, tuple[str, ...]], ...]
"""By the name of a dimension the values that are asked for, see `SpendQuery`."""


class SpendFilter(NamedTuple):
    """The conditions of a query.

    Attributes:
        exact: what a store tests by a column.
        rest: what is tested by values of the dimension.
        of_spend: the name of the first dimension that is a property of spend, and not of workflows.
    """

    exact: tuple[tuple[Group, tuple[Value, ...]], ...]
    rest: list[tuple[Dimension, tuple[str, ...]]]
    of_spend: str | None

    @property
    def where(self) -> Where:
        """All of them, for `HistoryStore.spent`."""
        return [*self.exact, *((one.test(asked), (True,)) for one, asked in self.rest)]


def spend_filter(history: HistoryStore, conditions: Conditions, rules: TagRules) -> SpendFilter:
    """Return conditions as a store and the dimensions test them.

    Raises:
        InvalidInput: a name is no dimension and no tag, or a value is none of its dimension.
        HistoryUnavailable: the store cannot be used.
    """
    of_spend, exact, rest = None, list[tuple[Group, tuple[Value, ...]]](), list[tuple[Dimension, tuple[str, ...]]]()
    known = cache(history.row_values)
    for name, asked in conditions:
        one = dimension(name, rules, known, where="where")
        values = one.exact(asked, known)
        if of_spend is None and one.is_of_spend:
            of_spend = name
        if values is None:
            rest.append((one, asked))
        else:
            exact.append((one.columns[0], values))
    return SpendFilter(tuple(exact), rest, of_spend)


def without_reading(history: HistoryStore, first: int | None, last: int | None, filtered: SpendFilter) -> int:
    """Return how many workflows were last active in a time and have no reading, so that their cost is unknown.

    It is 0 with a condition on spend: no agent, model, session or run is known of them.

    Args:
        first, last: quarter hours, both included; None: no bound.
    """
    if filtered.of_spend is not None:
        return 0
    since, until = start_of(first), start_of(None if last is None else last + 1)
    return _page(history, Query(basis="none", since=since, until=until, limit=1), filtered).totals.count


class NotOfWorkflows(InvalidInput):
    """A condition on what a workflow may have several of, such as agents."""

    def __init__(self, name: str) -> None:
        super().__init__(f"where {name}: a workflow may have several; ask for spend by workflow, where {name}=…")


def page_where(history: HistoryStore, query: Query, conditions: Conditions, rules: TagRules) -> Page:
    """Return a page of the rows that also meet the conditions of a `SpendQuery`, and what all of them come to.

    Raises:
        NotOfWorkflows: a condition is not on workflows.
        InvalidInput: a name is no dimension and no tag, or a value is none of its dimension.
        HistoryUnavailable: the store cannot be used.
    """
    filtered = spend_filter(history, conditions, rules)
    if filtered.of_spend is not None:
        raise NotOfWorkflows(filtered.of_spend)
    return _page(history, query, filtered)


def _page(history: HistoryStore, query: Query, filtered: SpendFilter) -> Page:
    query = replace(query, where=filtered.exact)
    page = history.page(query if not filtered.rest else replace(query, limit=LIMIT_MAX, offset=0))
    if not filtered.rest:
        return page
    rows = list(page.rows)
    for offset in range(LIMIT_MAX, page.totals.count, LIMIT_MAX):
        rows += history.page(replace(query, limit=LIMIT_MAX, offset=offset)).rows
    rows = [row for row in rows if all(one.matches_row(row, asked) for one, asked in filtered.rest)]
    return Page(rows[query.offset : query.offset + query.limit], totals_of(rows))
