"""Spend over time in a PostgreSQL table: written by workflow, read as sums."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from projections.folding.spend import AMOUNTS, NAMES, Spend
from projections.history.packed import pack
from projections.history.postgres.connection import Cursor
from projections.history.postgres.tables import records
from projections.history.spend_groups import Derived, Group, SpendSum, Where, columns_of, grouping
from projections.history.spend_sql import between_query, sums_query

__all__ = ["SPEND_COLUMNS", "PostgresSpend"]

SPEND_COLUMNS: Final = ("adw_id", *Spend._fields)

_SUMS: Final = ", ".join(f"sum(spend.{name})" for name in AMOUNTS)


class PostgresSpend:
    """Spend rows by workflow, as `SqliteSpend`; every call is part of its caller's transaction."""

    def __init__(self, table: str) -> None:
        columns, records_of = ", ".join(SPEND_COLUMNS), f"json_populate_recordset(NULL::{table}, %s)"
        self._table = table
        self._of = f"SELECT {columns} FROM {table} WHERE adw_id = ANY(%s)"
        self._remove = f"DELETE FROM {table} WHERE adw_id = ANY(%s)"
        named = " AND ".join(f"spend.{name} IS NOT DISTINCT FROM gone.{name}" for name in NAMES[1:])
        self._remove_some = (
            f"DELETE FROM {table} spend USING {records_of} gone "
            f"WHERE spend.adw_id = gone.adw_id AND spend.quarter = gone.quarter AND {named}"
        )
        self._insert = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {records_of}"

    def put(self, cursor: Cursor, spend: Mapping[str, Iterable[Spend]]) -> None:
        """Store these as the rows of these workflows; only those that differ are written."""
        stored = set(cursor.execute(self._of, (list(spend),)).fetchall())
        fresh = {(adw_id, *one) for adw_id, rows in spend.items() for one in rows}
        if gone := stored - fresh:
            cursor.execute(self._remove_some, (records(SPEND_COLUMNS, gone),))
        if new := fresh - stored:
            cursor.execute(self._insert, (records(SPEND_COLUMNS, new),))

    def of(self, cursor: Cursor, adw_id: str) -> tuple[Spend, ...]:
        """Return a workflow's rows, in the order of their names."""
        order = ", ".join(f"{name} NULLS FIRST" for name in NAMES)
        return tuple([Spend(*values[1:]) for values in cursor.execute(f"{self._of} ORDER BY {order}", ([adw_id],))])

    def costs_nanousd(self, cursor: Cursor, adw_ids: Collection[str]) -> dict[str, int]:
        """Return what the rows of each of these workflows sum to; those without any are left out."""
        query = f"SELECT adw_id, sum(cost_nanousd) FROM {self._table} WHERE adw_id = ANY(%s) GROUP BY adw_id"
        return {adw_id: int(cost) for adw_id, cost in cursor.execute(query, (list(adw_ids),))}

    def remove(self, cursor: Cursor, adw_ids: Collection[str]) -> None:
        """Drop the rows of these workflows."""
        cursor.execute(self._remove, (list(adw_ids),))

    def between(self, cursor: Cursor) -> tuple[int, int] | None:
        """See `HistoryStore.spent_between`."""
        first, last = cursor.execute(between_query(self._table)).fetchone() or (None, None)
        return None if first is None else (first, last)

    def sums(
        self,
        cursor: Cursor,
        by: Sequence[Group | Derived],
        bounds: tuple[int | None, int | None],
        starts: Sequence[int] | None,
        where: Where,
    ) -> Iterator[SpendSum]:
        """See `HistoryStore.spent`; the bounds are its first and its last quarter hour."""
        exact = [(name, asked) for name, asked in where if not isinstance(name, Derived)]
        derived = [(name, asked) for name, asked in where if isinstance(name, Derived)]
        columns = columns_of(by, derived)
        query, given = sums_query(
            self._table, columns, *bounds, starts=starts, where=exact, mark="%s", nothing="()", sums=_SUMS
        )
        size, group_of = len(columns), grouping(columns, by, derived)
        each = [(row[0], group_of(row[1 : size + 1]), row[size + 1 :]) for row in cursor.execute(query, given)]
        return iter(
            [
                SpendSum(quarter, group, pack(map(int, figures)))
                for quarter, group, figures in each
                if quarter is not None and group is not None
            ]
        )
