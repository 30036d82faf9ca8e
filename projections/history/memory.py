"""The history in memory: the one in SQLite, without a file; it ends with the process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ledger.events import timestamps as clocks
from ledger.events.timestamps import Clock
from ledger.storage.line import Head
from projections.folding.moves import LedgerPart
from projections.folding.row import Row
from projections.folding.spend import Spend
from projections.history.sqlite.history import SqliteHistory

__all__ = ["MemoryHistory"]


class MemoryHistory(SqliteHistory):
    """Rows in a SQLite database in memory."""

    def __init__(self, *, clock: Clock = clocks.now) -> None:
        super().__init__(Path(":memory:"), clock=clock)

    def put(self, row: Row, checkpoint: Head | None, spend: Sequence[Spend]) -> None:
        """Store a row of another history; nothing is audited."""
        with self._connection.errors(), self._connection.transaction():
            self._store(row, checkpoint, spend)

    def put_parts(self, parts: Mapping[str, LedgerPart]) -> None:
        """Store the parts of another history's workflows that moves connect."""
        with self._connection.errors(), self._connection.transaction():
            self._parts.save(parts)
