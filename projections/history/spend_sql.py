"""The queries of spend sums and rows, in SQL that both databases read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from projections.history.idle import MOVED
from projections.history.store import OWN, Group

__all__ = [
    "STATUS",
    "between_query",
    "has_status",
    "is_one_of",
    "period_of",
    "rows_asked",
    "sums_query",
    "values_query",
]

_MOVED: Final = "(last_activity IS NULL AND cost_basis IS NOT NULL)"
"""The rows of which `is_moved` is true."""

STATUS: Final = f"CASE WHEN {_MOVED} THEN '{MOVED}' ELSE status END"
"""The status that a row is counted under, see `shown_status`."""

_OF_SPEND = OWN | {"adw_id"}


def between_query(table: str) -> str:
    """Return the query of `HistoryStore.spent_between`; each bound is read from the index."""
    return f"SELECT (SELECT min(quarter) FROM {table}), (SELECT max(quarter) FROM {table})"


def rows_asked(mark: str, status: str | None, since: str | None, cost_from: int | None) -> tuple[str, list[str | int]]:
    """Return the condition of `HistoryStore.rows`, and its values."""
    costs = f"(actual_cost_nanousd >= {mark} OR budget_nanousd IS NOT NULL)"
    terms = {f"status = {mark}": status, f"last_activity >= {mark}": since, costs: cost_from}
    asked = {term: value for term, value in terms.items() if value is not None}
    return f"WHERE {' AND '.join(asked)}" if asked else "", list(asked.values())


def values_query(name: Group) -> str:
    """Return the query of `HistoryStore.row_values`."""
    return f"SELECT DISTINCT {name} FROM workflow_history"


def sums_query(
    table: str,
    by: Sequence[Group],
    first: int | None,
    last: int | None,
    *,
    starts: Sequence[int] | None,
    where: Sequence[tuple[Group, tuple[str | int | None, ...]]],
    mark: str,
    nothing: str,
    sums: str,
) -> tuple[str, list[Any]]:
    """Return a query of `HistoryStore.spent`, and its values; its rows are the quarter, the group and the sums.

    Args:
        mark, nothing: how a database spells the placeholder of a value, and grouping by nothing.
        table: of spend, or a query of one in brackets; it is called `spend` in what follows.
        sums: the expressions of the sums.
    """
    names = list(map(_column, by))
    if starts is None:
        quarter, keys = "spend.quarter", ["spend.quarter", *names]
    else:
        periods = [period_of("spend.quarter", starts[1:])] if len(starts) > 1 else []
        quarter, keys = "max(spend.quarter)", [*periods, *names]
    terms, values = list[str](), list[Any]()
    for sign, bound in ((">=", first), ("<=", last)):
        if bound is not None:
            terms.append(f"spend.quarter {sign} {mark}")
            values.append(bound)
    for name, asked in where:
        term, some = is_one_of(_column(name), asked, mark)
        terms.append(term)
        values += some
    groups = {*by, *(name for name, _ in where)}
    joined = "LEFT JOIN workflow_history AS history USING (adw_id)" if groups - _OF_SPEND else ""
    selected, grouped = ", ".join([quarter, *names, sums]), ", ".join(keys) or nothing
    chosen = f"WHERE {' AND '.join(terms)}" if terms else ""
    ordered = "ORDER BY 1" if starts is None else ""
    return f"SELECT {selected} FROM {table} AS spend {joined} {chosen} GROUP BY {grouped} {ordered}", values


def is_one_of(column: str, values: Sequence[Any], mark: str) -> tuple[str, list[Any]]:
    """Return the condition that a column has one of some values, and those of its placeholders; None is no value."""
    some = [value for value in values if value is not None]
    either = [f"{column} IN ({', '.join([mark] * len(some))})"] if some else []
    either += [f"{column} IS NULL"] if None in values else []
    return f"({' OR '.join(either) or '1 = 0'})", some


def has_status(asked: Sequence[Any], mark: str, column: str = "status", moved: str = _MOVED) -> tuple[str, list[Any]]:
    """Return the condition that a row is shown with one of some statuses, and the values of its placeholders.

    Args:
        moved: the condition that it was moved.
    """
    term, some = is_one_of(column, [one for one in asked if one != MOVED], mark)
    either = f" OR {moved}" if MOVED in asked else ""
    return f"({term} AND NOT {moved}{either})", some


def _column(name: Group) -> str:
    return f"spend.{name}" if name in _OF_SPEND else f"history.{name}"


def period_of(quarter: str, starts: Sequence[int], at: int = 0) -> str:
    """Return the expression that numbers the periods that these starts divide, by halves.

    Args:
        quarter: the expression of a quarter hour.
    """
    if not starts:
        return str(at)
    middle = len(starts) // 2
    before = period_of(quarter, starts[:middle], at)
    after = period_of(quarter, starts[middle + 1 :], at + middle + 1)
    return f"CASE WHEN {quarter} < {starts[middle]} THEN {before} ELSE {after} END"
