"""Pages and totals of a SQLite history, from indexes and from sums that triggers maintain; neither counts all rows.

`costledger_total` has a row for each day (of `last_activity`), status, template and basis that occurs. Triggers also
give every row that changes a new number in `costledger_change`, also after an edit by hand: a client that has read
number n queries the numbers above it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from projections.folding.row import COLUMNS, Row
from projections.history.idle import MOVED
from projections.history.query import SORTS, SUMS, TEXT_COLUMNS, Page, Query, QueryTotals
from projections.history.spend_sql import STATUS, has_status, is_one_of
from projections.history.store import number_before_first
from projections.history.suspects import SUSPECT_INDEX

__all__ = ["changes_after", "make_changes", "page", "prepare", "totals"]

_ORDER_INDEX_FROM: Final = 5_000
"""With this many matching rows or more, it is faster to read the index of the order than to sort."""

_CHANGES: Final = (
    "CREATE TABLE IF NOT EXISTS costledger_change "
    "(number INTEGER PRIMARY KEY AUTOINCREMENT, adw_id TEXT NOT NULL UNIQUE) STRICT"
)
_COUNTED_FROM: Final = (
    "INSERT INTO sqlite_sequence (name, seq) SELECT 'costledger_change', ? "
    "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'costledger_change')"
)
"""See https://www.sqlite.org/autoinc.html: an application may write this table."""

_KEY: Final = ("day", "status", "workflow_template", "cost_basis")
_OF_ROW: Final = {
    "day": "ifnull(substr({0}.last_activity, 1, 10), '')",
    "status": "{0}.status",
    "workflow_template": "ifnull({0}.workflow_template, '')",
    "cost_basis": "ifnull({0}.cost_basis, 'none')",
}
_SUMMED: Final = {
    "count": "1",
    "cost_nanousd": "{0}.actual_cost_nanousd",
    "input_tokens": "{0}.input_tokens",
    "cached_tokens": "{0}.cached_tokens",
    "cache_hit_tokens": "{0}.cache_hit_tokens",
    "output_tokens": "{0}.output_tokens",
    "unpriced_events": "{0}.unpriced_events",
    "partial_count": "({0}.cost_basis IS 'partial')",
}
"""All of `SUMS` but `unknown_count`, which the key of the stored sums shows."""


_LARGE: Final = frozenset(_SUMMED) - {"count", "partial_count", "unpriced_events"}
"""Figures whose sums over all rows may be above 64 bits, so that their two halves are added up."""


def _halves() -> Iterator[tuple[str, str]]:
    """Return each figure that is summed in SQL, and its expression; `{0}` is the row."""
    for name in _SUMMED:
        if name in _LARGE:
            yield f"{name}_upper", f"(ifnull({_SUMMED[name]}, 0) >> 32)"
            yield f"{name}_lower", f"(ifnull({_SUMMED[name]}, 0) & 4294967295)"
        else:
            yield name, _SUMMED[name]


_HALVES: Final = dict(_halves())


def prepare(db: sqlite3.Connection) -> None:
    """Add the function to a connection that pages need: SQLite's own `lower` converts only ASCII."""
    db.create_function("lower_text", 1, lambda text: None if text is None else str(text).lower(), deterministic=True)


def make_changes(db: sqlite3.Connection, now: datetime) -> None:
    """Create `costledger_change`, unless it exists."""
    db.execute(_CHANGES)
    db.execute(_COUNTED_FROM, (number_before_first(now),))


def statements() -> Iterator[str]:
    """Yield the statements that create the other tables, the indexes and the triggers of `workflow_history`."""
    key, sums = ", ".join(_KEY), ", ".join(f"{name} INTEGER NOT NULL" for name in _HALVES)
    columns = ", ".join(f"{name} TEXT NOT NULL" for name in _KEY)
    yield f"CREATE TABLE IF NOT EXISTS costledger_total ({columns}, {sums}, PRIMARY KEY ({key})) STRICT, WITHOUT ROWID"
    for column in SORTS.values():
        if column != "adw_id":
            yield f"CREATE INDEX IF NOT EXISTS workflow_history_{column} ON workflow_history ({column}, adw_id)"
    yield "DROP INDEX IF EXISTS workflow_history_doubtful"  # of fold version 5, which contained every lower bound
    name = "workflow_history_attention"
    yield f"CREATE INDEX IF NOT EXISTS {name} ON workflow_history (updated_at) WHERE {SUSPECT_INDEX}"
    for column in _KEY[1:]:
        name = f"workflow_history_{column}_last_activity"
        yield f"CREATE INDEX IF NOT EXISTS {name} ON workflow_history ({column}, last_activity, adw_id)"
    new, old = _changed("NEW"), _changed("OLD")
    yield _trigger("row_added", "INSERT", "", f"{_added('NEW')} {new}")
    yield _trigger("row_removed", "DELETE", "", f"{_taken('OLD')} {old}")
    before, after = (", ".join(f"{row}.{name}" for name in COLUMNS) for row in ("OLD", "NEW"))
    when = f"WHEN ({before}) IS NOT ({after})"
    yield _trigger("row_changed", "UPDATE", when, f"{_taken('OLD')} {_added('NEW')} {new}")


def _trigger(name: str, of: str, when: str, body: str) -> str:
    return f"CREATE TRIGGER IF NOT EXISTS costledger_{name} AFTER {of} ON workflow_history {when} BEGIN {body} END"


def _added(row: str) -> str:
    values = ", ".join(text.format(row) for text in (*_OF_ROW.values(), *_HALVES.values()))
    sums = ", ".join(f"{name} = {name} + excluded.{name}" for name in _HALVES)
    return f"INSERT INTO costledger_total VALUES ({values}) ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {sums};"


def _taken(row: str) -> str:
    sums = ", ".join(f"{name} = {name} - {of_row.format(row)}" for name, of_row in _HALVES.items())
    key = " AND ".join(f"{name} = {_OF_ROW[name].format(row)}" for name in _KEY)
    return f"UPDATE costledger_total SET {sums} WHERE {key}; DELETE FROM costledger_total WHERE {key} AND count = 0;"


def _changed(row: str) -> str:
    return (
        f"DELETE FROM costledger_change WHERE adw_id = {row}.adw_id; "
        f"INSERT INTO costledger_change (adw_id) VALUES ({row}.adw_id);"
    )


def page(db: sqlite3.Connection, query: Query) -> Page:
    """See `HistoryStore.page`."""
    found = totals(db, query)
    column, way = SORTS[query.sort], "DESC" if query.descending else "ASC"
    by_index = found.count >= _ORDER_INDEX_FROM
    conditions, values = _conditions(query, "+" if by_index else "")
    order = f"{'' if by_index else '+'}{column} {way} NULLS LAST, {'' if by_index else '+'}adw_id {way}"
    text = f"SELECT {', '.join(COLUMNS)} FROM workflow_history{conditions} ORDER BY {order} LIMIT ? OFFSET ?"
    rows = [Row(*row) for row in db.execute(text, (*values, query.limit, query.offset))]
    return Page(rows, found)


def totals(db: sqlite3.Connection, query: Query) -> QueryTotals:
    """Return the totals of a query's rows: from the stored sums, and from rows where these are not enough."""
    if query.where or any(part is not None for part in (query.text, query.issue_number, query.project, query.tool)):
        conditions, values = _conditions(query, "")
        return _summed(db, _from_rows(conditions), values)
    found = _of_whole_days(db, query)
    for low, high in _edges(query):
        grouped, values = _grouped(query)
        text = " AND ".join(["last_activity >= ? AND last_activity < ?", *grouped])
        found = found.plus(_summed(db, _from_rows(f" WHERE {text}"), [low, high, *values]))
    return found


def _edges(query: Query) -> Iterator[tuple[str, str]]:
    """Yield the spans of time that are not whole days."""
    since, until = query.since, query.until
    if since is not None:
        yield since, min(until or _LATEST, since[:10] + _LATEST)
    if until is not None and (since is None or until[:10] > since[:10]):
        yield until[:10], until


_LATEST: Final = "~"
"""After every time and every time of a day, in the order of text."""


def changes_after(db: sqlite3.Connection, number: int, limit: int) -> list[tuple[int, str]]:
    """See `HistoryStore.changes_after`."""
    text = "SELECT number, adw_id FROM costledger_change WHERE number > ? ORDER BY number LIMIT ?"
    return list(db.execute(text, (number, limit)))


_MOVED_STORED: Final = "(day = '' AND cost_basis <> 'none')"
"""Which stored sums are of rows that were moved, see `STATUS`."""


def _of_whole_days(db: sqlite3.Connection, query: Query) -> QueryTotals:
    conditions, values = _grouped(query, stored=True)
    for bound, comparison in ((query.since, ">"), (query.until, "<")):
        if bound is not None:
            conditions.append(f"day {comparison} ? AND day <> ''")
            values.append(bound[:10])
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    sums = ", ".join([*(f"sum({name})" for name in _HALVES), "sum(count * (cost_basis = 'none'))"])
    status = f"CASE WHEN {_MOVED_STORED} THEN '{MOVED}' ELSE status END"
    return _summed(db, f"SELECT {status}, {sums} FROM costledger_total{where} GROUP BY 1", values)


def _from_rows(conditions: str) -> str:
    of_rows = [*_HALVES.values(), "({0}.cost_basis IS NULL)"]
    sums = ", ".join(f"sum({of_row.format('workflow_history')})" for of_row in of_rows)
    return f"SELECT {STATUS}, {sums} FROM workflow_history{conditions} GROUP BY 1"


def _summed(db: sqlite3.Connection, text: str, values: list[Any]) -> QueryTotals:
    found = QueryTotals()
    for status, *sums, unknown in db.execute(text, values):
        halves = dict(zip(_HALVES, sums, strict=True))
        halves |= {name: (halves[f"{name}_upper"] << 32) + halves[f"{name}_lower"] for name in _LARGE}
        halves["unknown_count"] = unknown
        found = found.plus(QueryTotals.of(status, [halves[name] for name in SUMS]))
    return found


def _grouped(query: Query, *, stored: bool = False, unindexed: str = "") -> tuple[list[str], list[Any]]:
    """Return the conditions on the columns that the stored sums are grouped by, and their values."""
    conditions: list[str] = []
    values: list[Any] = []
    if query.statuses:
        moved = {"moved": _MOVED_STORED} if stored else {}
        term, values = has_status(query.statuses, "?", f"{unindexed}status", **moved)
        conditions.append(term)
    if query.workflow_template is not None:
        conditions.append(f"{unindexed}workflow_template = ?")
        values.append(query.workflow_template)
    if query.basis is not None:
        absent = query.basis == "none" and not stored
        conditions.append(f"{unindexed}cost_basis IS NULL" if absent else f"{unindexed}cost_basis = ?")
        values += [] if absent else [query.basis]
    return conditions, values


def _conditions(query: Query, unindexed: str) -> tuple[str, list[Any]]:
    """Return a WHERE clause and its values.

    Args:
        unindexed: "+" prevents SQLite from using an index for a condition, so that it reads the index of the order.
    """
    conditions, values = _grouped(query, unindexed=unindexed)
    if query.issue_number is not None:
        conditions.append(f"{unindexed}issue_number = ?")
        values.append(query.issue_number)
    if query.project is not None:
        conditions.append("substr('/' || project, -length('/' || ?)) = '/' || ?")
        values += [query.project] * 2
    if query.tool is not None:
        conditions.append("instr(', ' || tool || ', ', ', ' || ? || ', ') > 0")
        values.append(query.tool)
    for column, asked in query.where:
        name = f"{unindexed}{column}"
        term, some = has_status(asked, "?", name) if column == "status" else is_one_of(name, asked, "?")
        conditions.append(term)
        values += some
    for bound, comparison in ((query.since, ">="), (query.until, "<")):
        if bound is not None:
            conditions.append(f"{'' if query.sort == 'last_activity' else unindexed}last_activity {comparison} ?")
            values.append(bound)
    if query.text is not None:
        conditions.append(_TEXT)
        values += [query.text.lower()] * len(TEXT_COLUMNS)
    return (" WHERE " + " AND ".join(conditions) if conditions else ""), values


_TEXT: Final = "(" + " OR ".join(f"instr(ifnull(lower_text({name}), ''), ?) > 0" for name in TEXT_COLUMNS) + ")"
