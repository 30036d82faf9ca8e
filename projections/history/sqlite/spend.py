"""Spend over time in a SQLite table: written by workflow, read as sums."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from projections.folding.spend import AMOUNTS, NAMES, Spend
from projections.history.spend_sql import between_query, sums_query
from projections.history.sqlite import rollups
from projections.history.store import Group, SpendSum, Where

__all__ = ["SqliteSpend"]

_COLUMNS: Final = ", ".join(Spend._fields)
_SUMS: Final = ", ".join(f"sum(spend.{name})" for name in AMOUNTS)
_HALVES: Final = ", ".join(f"sum(spend.{name} >> 32), sum(spend.{name} & 4294967295)" for name in AMOUNTS)
"""The upper and the lower half of every figure: sums of these fit into 64 bits, where those of the figures may not."""


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

    def sums(
        self, by: Sequence[Group], first: int | None, last: int | None, *, starts: Sequence[int] | None, where: Where
    ) -> Iterator[SpendSum]:
        """See `HistoryStore.spent`."""
        table = rollups.source_of(by, where, first, last, starts)
        if table != self._table:
            rollups.compact(self._db)
        try:
            yield from self._summed(table, by, first, last, starts, where, _SUMS)
        except sqlite3.OperationalError as error:
            if str(error) != "integer overflow":
                raise
            yield from self._summed(table, by, first, last, starts, where, _HALVES)

    def _summed(
        self,
        table: str,
        by: Sequence[Group],
        first: int | None,
        last: int | None,
        starts: Sequence[int] | None,
        where: Where,
        sums: str,
    ) -> list[SpendSum]:
        query, given = sums_query(
            table, by, first, last, starts=starts, where=where, mark="?", nothing="NULL", sums=sums
        )
        groups, found = len(by), list[SpendSum]()
        for quarter, *values in self._db.execute(query, given):
            amounts = values[groups:]
            if sums is not _SUMS:
                amounts = [(upper << 32) + lower for upper, lower in zip(amounts[::2], amounts[1::2], strict=True)]
            found.append(SpendSum(quarter, tuple(values[:groups]), amounts))
        return found
