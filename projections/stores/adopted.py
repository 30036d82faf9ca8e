"""A table `workflow_history` that belongs to another application, in its own SQLite database.

We own the cost columns and those we add; the application owns `status` and all others, and its rows. Nothing is
inserted or removed unless told, and its journal mode stays as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ledger import clock as clocks
from ledger.clock import Clock
from ledger.errors import HistoryUnavailable
from projections.pages import Page, Query
from projections.store import CostChange
from projections.stores import sqlite_pages
from projections.stores.connection import Connection
from projections.stores.schema import statements
from projections.stores.sqlite import VERSIONS, SqliteHistory
from projections.workflow_history import COLUMNS, Row

__all__ = ["AdoptedHistory"]

COST_COLUMNS: Final = (
    "actual_cost_total",
    "actual_cost_nanousd",
    "cost_breakdown",
    "token_breakdown",
    "input_tokens",
    "cached_tokens",
    "cache_hit_tokens",
    "cache_miss_tokens",
    "output_tokens",
    "total_tokens",
    "cache_efficiency_percent",
    "cost_basis",
    "unpriced_events",
    "event_count",
    "ledger_seq",
    "ledger_hash",
)
"""Ours in any table."""

_TYPES: Final = {"actual_cost_total": "REAL", "estimated_cost_total": "REAL", "cache_efficiency_percent": "REAL"}
_INTEGERS: Final = frozenset({"issue_number", "duration_seconds", "unpriced_events", "event_count", "ledger_seq"})


class AdoptedHistory(SqliteHistory):
    """Rows of another application's table; a `HistoryStore` that updates in place.

    Args:
        insert_missing: also insert rows for workflows that the application has none for.
        writes: as for `SqliteHistory`.

    Raises:
        HistoryUnavailable: at construction and by every method; also when the table has no `adw_id` that is unique.
    """

    def __init__(
        self, path: Path, *, insert_missing: bool = False, writes: bool = True, clock: Clock = clocks.now
    ) -> None:
        self._insert_missing = self.inserts = insert_missing
        self._open(Connection(path, make=False, writes=writes), clock)

    def _prepare(self) -> None:
        existing = dict(self._columns())
        if not existing.get("adw_id"):
            raise HistoryUnavailable(self.path, "has no table workflow_history whose adw_id is unique")
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        versions = self._versions() if "costledger_meta" in tables else {}
        missing = [name for name in COLUMNS if name not in existing]
        if missing or versions != VERSIONS:
            self._adopt(missing)
        added = {name for (name,) in self._db.execute("SELECT name FROM costledger_column")}
        self.columns = tuple(name for name in COLUMNS if name in COST_COLUMNS or name in added)
        assignments = ", ".join(f"{name} = ?" for name in self.columns)
        different = f"({', '.join(self.columns)}) IS NOT ({', '.join('?' * len(self.columns))})"
        self._update = f"UPDATE workflow_history SET {assignments} WHERE adw_id = ? AND {different}"
        self._rows = (
            f"SELECT {', '.join(COLUMNS)} FROM workflow_history "
            "WHERE adw_id IN (SELECT workflow_id FROM costledger_checkpoint)"
        )

    def page(self, query: Query) -> Page:
        """See `HistoryStore.page`; the application's rows are counted, since nothing of ours watches its table."""
        with self._connection.errors():
            return sqlite_pages.page(self._db, query, kept=False)

    def recover(self) -> None:
        """See `HistoryStore.recover`: never another application's database."""

    def _number(self, adw_id: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO costledger_change (adw_id) VALUES (?)", (adw_id,))

    def _columns(self) -> list[tuple[str, bool]]:
        """The table's columns, and whether each is unique by itself."""
        keys = self._db.execute("SELECT name FROM pragma_table_info('workflow_history') WHERE pk")
        unique = {name for (name,) in keys}
        for (index,) in self._db.execute("SELECT name FROM pragma_index_list('workflow_history') WHERE \"unique\""):
            names = [name for (name,) in self._db.execute("SELECT name FROM pragma_index_info(?)", (index,))]
            unique |= set(names) if len(names) == 1 else set()
        found = self._db.execute("SELECT name FROM pragma_table_info('workflow_history')")
        return [(name, name in unique) for (name,) in found]

    def _adopt(self, missing: list[str]) -> None:
        """Add the columns the table lacks, and our own tables beside it."""
        with self._connection.transaction():
            self._db.execute("DROP TABLE IF EXISTS costledger_spend")  # an older version's has other columns
            for statement in statements("schema.sql"):
                if "TABLE IF NOT EXISTS workflow_history" not in statement:
                    self._db.execute(statement)
            sqlite_pages.make_changes(self._db, self._clock())
            self._db.execute("CREATE TABLE IF NOT EXISTS costledger_column (name TEXT PRIMARY KEY)")
            for name in missing:
                self._db.execute(f"ALTER TABLE workflow_history ADD COLUMN {name} {_type(name)}")
                self._db.execute("INSERT INTO costledger_column (name) VALUES (?)", (name,))
            self._begin_anew()

    def _put(self, row: Row, *, exists: bool) -> bool:
        if row.cost_basis is None:
            return False  # a ledger without a reading says nothing about the cost that the application has
        values = [getattr(row, name) for name in self.columns]
        if exists:
            if self._db.execute(self._update, (*values, row.adw_id, *values)).rowcount:
                self._number(row.adw_id)
            return True
        if self._insert_missing:
            names = ("adw_id", *dict.fromkeys((*self.columns, "status", "created_at", "updated_at")))
            marks = ", ".join("?" * len(names))
            told = [getattr(row, name) for name in names]
            self._db.execute(f"INSERT INTO workflow_history ({', '.join(names)}) VALUES ({marks})", told)
            self._number(row.adw_id)
            return True
        return False

    def _remove(self, adw_id: str, reason: str) -> CostChange | None:  # noqa: ARG002
        """The application's rows are its own; what was spent goes."""
        self._spend.remove(adw_id)
        self._db.execute("DELETE FROM costledger_checkpoint WHERE workflow_id = ?", (adw_id,))
        return None


def _type(name: str) -> str:
    if name in _TYPES:
        return _TYPES[name]
    counts = name in _INTEGERS or name.endswith(("_tokens", "_nanousd"))
    return "INTEGER" if counts else "TEXT"
