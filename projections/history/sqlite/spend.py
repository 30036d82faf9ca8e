"""Spend over time in a SQLite table: written by workflow."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from projections.folding.spend import NAMES, Spend
from projections.history.spend_sql import between_query

__all__ = ["SqliteSpend"]

_COLUMNS: Final = ", ".join(Spend._fields)


class SqliteSpend:
    """Spend rows by workflow; every call is part of its caller's transaction."""

    def __init__(self, db: sqlite3.Connection, table: str = "costledger_spend") -> None:
        self._db = db
        self._of = f"SELECT {_COLUMNS} FROM {table} WHERE adw_id = ?"
        self._remove = f"DELETE FROM {table} WHERE adw_id = ?"
        named = " AND ".join(f"{name} IS ?" for name in NAMES)
        self._remove_one = f"{self._remove} AND {named}"
        marks = ", ".join("?" * (len(Spend._fields) + 1))
        self._insert = f"INSERT INTO {table} (adw_id, {_COLUMNS}) VALUES ({marks})"
        self._table = table

    def put(self, adw_id: str, rows: Sequence[Spend]) -> None:
        """Store these as a workflow's rows; only those that differ are written."""
        stored, fresh = set(self._db.execute(self._of, (adw_id,))), set(rows)
        gone = [(adw_id, *row[: len(NAMES)]) for row in stored - fresh]
        if len(gone) == len(stored):
            self.remove(adw_id)
        else:
            self._db.executemany(self._remove_one, gone)
        self._db.executemany(self._insert, [(adw_id, *row) for row in rows if row not in stored])

    def replace(self, rows: Mapping[str, Sequence[Spend]]) -> None:
        """Store these as the rows of some workflows."""
        self._db.executemany(self._remove, [(adw_id,) for adw_id in rows])
        self._db.executemany(self._insert, [(adw_id, *row) for adw_id, spend in rows.items() for row in spend])

    def of(self, adw_id: str) -> tuple[Spend, ...]:
        """Return a workflow's rows, in the order of their names."""
        order = ", ".join(NAMES)
        return tuple([Spend(*values) for values in self._db.execute(f"{self._of} ORDER BY {order}", (adw_id,))])

    def cost_nanousd(self, adw_id: str) -> int:
        """Return what a workflow's rows sum to; 0 without any."""
        query = f"SELECT cost_nanousd FROM {self._table} WHERE adw_id = ?"
        return sum(cost for (cost,) in self._db.execute(query, (adw_id,)))  # SQL's sum could exceed 64 bits

    def remove(self, adw_id: str) -> None:
        """Drop a workflow's rows."""
        self._db.execute(self._remove, (adw_id,))

    def between(self) -> tuple[int, int] | None:
        """See `HistoryStore.spent_between`."""
        first, last = self._db.execute(between_query(self._table)).fetchone()
        return None if first is None else (first, last)
