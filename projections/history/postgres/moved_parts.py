"""The stored parts of workflows that moves connect, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from psycopg import errors

from projections.folding.moves import LedgerPart, part_of_row
from projections.folding.row import Row
from projections.folding.spend import Spend
from projections.history.moved_parts import PartStore, part_of_text, text_of_part
from projections.history.postgres.connection import Cursor
from projections.history.postgres.tables import records

__all__ = ["PostgresParts", "lock_moves"]

_PART: Final = ("workflow_id", "part")
_MOVE: Final = ("workflow_id", "to_id")
_LOCK: Final = "hashtextextended('costledger moves ' || current_schema(), 0)"


class PostgresParts(PartStore):
    """Parts and moves in tables, as `SqliteParts`, within one transaction.

    Args:
        version: the end of the tables' names; "" for those that are shown.
        row, spend: of a workflow, as stored.
    """

    def __init__(
        self,
        cursor: Cursor,
        version: str,
        row: Callable[[str], Row | None],
        spend: Callable[[str], tuple[Spend, ...]],
    ) -> None:
        self._cursor, self._row, self._spend = cursor, row, spend
        self._part, self._move = f"costledger_part{version}", f"costledger_move{version}"

    def edges(self, workflow_ids: Collection[str]) -> set[tuple[str, str]]:
        query = f"SELECT workflow_id, to_id FROM {self._move} WHERE workflow_id = ANY(%s) OR to_id = ANY(%s)"
        names = list(workflow_ids)
        return {(name, to) for name, to in self._cursor.execute(query, (names, names))}

    def stored(self, workflow_ids: Collection[str]) -> dict[str, LedgerPart]:
        query = f"SELECT workflow_id, part FROM {self._part} WHERE workflow_id = ANY(%s) ORDER BY 1"
        return {name: part_of_text(text) for name, text in self._cursor.execute(query, (list(workflow_ids),))}

    def from_rows(self, workflow_ids: Collection[str]) -> dict[str, LedgerPart]:
        rows = ((name, self._row(name)) for name in sorted(workflow_ids))
        return {name: part_of_row(row, self._spend(name)) for name, row in rows if row is not None}

    def save(self, parts: Mapping[str, LedgerPart]) -> None:
        self.drop(parts)
        texts = [(name, text_of_part(part)) for name, part in parts.items()]
        moves = {(name, move.to) for name, part in parts.items() for move in part.moves}
        for table, columns, rows in ((self._part, _PART, texts), (self._move, _MOVE, sorted(moves))):
            names = ", ".join(columns)
            into = f"INSERT INTO {table} ({names}) SELECT {names} FROM json_populate_recordset(NULL::{table}, %s)"
            self._cursor.execute(into, (records(columns, rows),))

    def drop(self, workflow_ids: Collection[str]) -> None:
        for table in (self._part, self._move):
            self._cursor.execute(f"DELETE FROM {table} WHERE workflow_id = ANY(%s)", (list(workflow_ids),))

    def moved(self) -> set[str]:
        """Return all workflows that a move is from or to."""
        found = self._cursor.execute(f"SELECT workflow_id FROM {self._move} UNION SELECT to_id FROM {self._move}")
        return {name for (name,) in found}

    def all(self) -> dict[str, LedgerPart]:
        """Return all stored parts, by workflow."""
        found = self._cursor.execute(f"SELECT workflow_id, part FROM {self._part} ORDER BY workflow_id")
        return {name: part_of_text(text) for name, text in found}


def lock_moves(cursor: Cursor, parts: PostgresParts, workflow_ids: Collection[str], *, moves: bool) -> None:
    """Let one writer at a time write workflows that moves connect; the others write at once.

    Args:
        moves: one of the workflows was moved.

    Raises:
        SerializationFailure: a move was stored meanwhile that connects them; the transaction starts again.
    """
    if moves or parts.edges(workflow_ids):
        cursor.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        return
    cursor.execute(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")
    if parts.edges(workflow_ids):
        raise errors.SerializationFailure("a move connects these workflows now")
