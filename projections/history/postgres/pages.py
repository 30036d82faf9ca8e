"""Pages, totals and change numbers of a history in PostgreSQL: each of them one query."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from projections.history.postgres.connection import Cursor
from projections.history.query import SORTS, SUMS, TEXT_COLUMNS, Query, QueryTotals
from projections.history.spend_sql import STATUS, has_status, is_one_of

__all__ = ["change_numbers_of_swap", "changes_after", "conditions", "number_changes", "order", "totals"]

_SUMMED: Final = {
    "count": "count(*)",
    "cost_nanousd": "sum(actual_cost_nanousd)",
    "input_tokens": "sum(input_tokens)",
    "cached_tokens": "sum(cached_tokens)",
    "cache_hit_tokens": "sum(cache_hit_tokens)",
    "output_tokens": "sum(output_tokens)",
    "unpriced_events": "sum(unpriced_events)",
    "partial_count": "count(*) FILTER (WHERE cost_basis = 'partial')",
    "unknown_count": "count(*) FILTER (WHERE cost_basis IS NULL)",
}
_TEXT: Final = " OR ".join(f"position(%s IN lower(coalesce({name}::text, ''))) > 0" for name in TEXT_COLUMNS)

_LOCK: Final = "LOCK TABLE costledger_change IN SHARE ROW EXCLUSIVE MODE"
"""Held to the end of the transaction, so that who sees a number sees all smaller ones."""
_NUMBER: Final = (
    "INSERT INTO costledger_change (adw_id, number) "
    "SELECT adw_id, nextval('costledger_change_number_sequence') FROM ({}) changed "
    "ON CONFLICT (adw_id) DO UPDATE SET number = excluded.number"
)


def conditions(query: Query) -> tuple[str, list[Any]]:
    """Return a WHERE clause and its values."""
    terms: list[str] = []
    values: list[Any] = []
    given = {
        "issue_number = %s": query.issue_number,
        "workflow_template = %s": query.workflow_template,
        "coalesce(cost_basis, 'none') = %s": query.basis,
        "starts_with(reverse('/' || project), reverse('/' || %s::text))": query.project,
        "position(', ' || %s::text || ', ' IN ', ' || tool || ', ') > 0": query.tool,
        "last_activity >= %s": query.since,
        "last_activity < %s": query.until,
    }
    for term, value in given.items():
        if value is not None:
            terms.append(term)
            values.append(value)
    where = (*query.where, *([("status", query.statuses)] if query.statuses else []))
    for column, asked in where:
        term, some = has_status(asked, "%s") if column == "status" else is_one_of(column, asked, "%s")
        terms.append(term)
        values += some
    if query.text is not None:
        terms.append(f"({_TEXT})")
        values += [query.text.lower()] * len(TEXT_COLUMNS)
    return (f" WHERE {' AND '.join(terms)}" if terms else ""), values


def order(query: Query) -> str:
    """Return an ORDER BY clause."""
    way = "DESC" if query.descending else "ASC"
    return f'{SORTS[query.sort]} {way} NULLS LAST, adw_id COLLATE "C" {way}'


def totals(cursor: Cursor, query: Query) -> QueryTotals:
    """Return the totals of a query's rows."""
    where, values = conditions(query)
    sums = ", ".join(_SUMMED[name] for name in SUMS)
    found = QueryTotals()
    for status, *figures in cursor.execute(f"SELECT {STATUS}, {sums} FROM workflow_history{where} GROUP BY 1", values):
        found = found.plus(QueryTotals.of(status, figures))
    return found


def number_changes(cursor: Cursor, adw_ids: Collection[str]) -> None:
    """Give these rows new numbers; the last step of a transaction before its commit."""
    if adw_ids:
        cursor.execute(_LOCK)
        cursor.execute(_NUMBER.format("SELECT unnest(%s::text[]) AS adw_id"), (list(adw_ids),))


def change_numbers_of_swap(cursor: Cursor, version: int) -> None:
    """Give new numbers to the rows that differ between a version and the one that is shown."""
    cursor.execute(_LOCK)
    different = (
        f"SELECT adw_id FROM (SELECT adw_id, f FROM workflow_history_{version} f) fresh FULL JOIN "
        "(SELECT adw_id, o FROM workflow_history o) old USING (adw_id) "
        "WHERE f::record IS DISTINCT FROM o::record ORDER BY adw_id"
    )
    cursor.execute(_NUMBER.format(different))


def changes_after(cursor: Cursor, number: int, limit: int) -> list[tuple[int, str]]:
    """See `HistoryStore.changes_after`; an edit by hand gets its number with the next write of its row."""
    query = "SELECT number, adw_id FROM costledger_change WHERE number > %s ORDER BY number LIMIT %s"
    return [(found, adw_id) for found, adw_id in cursor.execute(query, (number, limit))]
