"""The stored parts of workflows that moves connect, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping

from projections.folding.moves import LedgerPart, part_of_row
from projections.folding.row import Row
from projections.folding.spend import Spend
from projections.history.moved_parts import PartStore, part_of_text, text_of_part

__all__ = ["SqliteParts"]


class SqliteParts(PartStore):
    """Parts and moves in tables; every call is part of its caller's transaction.

    Args:
        row, spend: of a workflow, as stored.
    """

    def __init__(
        self, db: sqlite3.Connection, row: Callable[[str], Row | None], spend: Callable[[str], tuple[Spend, ...]]
    ) -> None:
        self._db, self._row, self._spend = db, row, spend

    def edges(self, workflow_ids: Collection[str]) -> set[tuple[str, str]]:
        query = "SELECT workflow_id, to_id FROM costledger_move WHERE workflow_id = ?1 OR to_id = ?1"
        if self._db.execute("SELECT 1 FROM costledger_move LIMIT 1").fetchone() is None:
            return set()
        return {edge for name in workflow_ids for edge in self._db.execute(query, (name,))}

    def stored(self, workflow_ids: Collection[str]) -> dict[str, LedgerPart]:
        query = "SELECT part FROM costledger_part WHERE workflow_id = ?"
        found = ((name, self._db.execute(query, (name,)).fetchone()) for name in sorted(workflow_ids))
        return {name: part_of_text(part[0]) for name, part in found if part is not None}

    def from_rows(self, workflow_ids: Collection[str]) -> dict[str, LedgerPart]:
        rows = ((name, self._row(name)) for name in sorted(workflow_ids))
        return {name: part_of_row(row, self._spend(name)) for name, row in rows if row is not None}

    def save(self, parts: Mapping[str, LedgerPart]) -> None:
        self.drop(parts)
        self._db.executemany(
            "INSERT INTO costledger_part (workflow_id, part) VALUES (?, ?)",
            [(name, text_of_part(part)) for name, part in parts.items()],
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO costledger_move (workflow_id, to_id) VALUES (?, ?)",
            [(name, move.to) for name, part in parts.items() for move in part.moves],
        )

    def drop(self, workflow_ids: Collection[str]) -> None:
        for table in ("costledger_part", "costledger_move"):
            self._db.executemany(f"DELETE FROM {table} WHERE workflow_id = ?", [(name,) for name in workflow_ids])

    def all(self) -> dict[str, LedgerPart]:
        """Return all stored parts, by workflow."""
        found = self._db.execute("SELECT workflow_id, part FROM costledger_part ORDER BY workflow_id")
        return {name: part_of_text(text) for name, text in found}
