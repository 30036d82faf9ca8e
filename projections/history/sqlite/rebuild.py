"""The rows of a rebuild in SQLite: temporary tables until they are swapped in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from ledger.storage.line import Head
from projections.folding.projection import Move, Projected
from projections.folding.row import COLUMNS, Row
from projections.history.sqlite.connection import SqliteConnection
from projections.history.sqlite.spend import SqliteSpend
from projections.history.sqlite.tables import values_of
from projections.history.store import NO_LEDGER, CostChange, Fresh

__all__ = ["fresh_rows"]

_FRESH: Final = ", ".join((*COLUMNS, "head_seq", "head_size", "head_hash"))


@contextlib.contextmanager
def fresh_rows(
    connection: SqliteConnection,
    write: Callable[..., list[CostChange]],
    remove: Callable[[Collection[str], str], list[CostChange]],
) -> Iterator[_FreshSqlite]:
    """Create the temporary tables of a rebuild, and drop them at the end.

    Args:
        write, remove: of rows, within a transaction.
    """
    db = connection.db
    _drop(connection)
    db.execute(f"CREATE TEMP TABLE fresh ({_FRESH}, PRIMARY KEY (adw_id)) WITHOUT ROWID")
    db.execute("CREATE TEMP TABLE fresh_spend AS SELECT * FROM costledger_spend WHERE 0")
    db.execute("CREATE INDEX temp.fresh_spend_adw_id ON fresh_spend (adw_id)")
    try:
        yield _FreshSqlite(connection, write, remove)
    finally:
        _drop(connection)


def _drop(connection: SqliteConnection) -> None:
    connection.db.execute("DROP TABLE IF EXISTS temp.fresh")
    connection.db.execute("DROP TABLE IF EXISTS temp.fresh_spend")


class _FreshSqlite(Fresh):
    """The rows of a rebuild until they are swapped in."""

    def __init__(
        self,
        connection: SqliteConnection,
        write: Callable[..., list[CostChange]],
        remove: Callable[[Collection[str], str], list[CostChange]],
    ) -> None:
        self._connection, self._db, self._write, self._remove = connection, connection.db, write, remove
        self._spend = SqliteSpend(connection.db, "temp.fresh_spend")
        self._moves: dict[str, tuple[Move, ...]] = {}

    def add(self, batch: Sequence[Projected]) -> None:
        marks = ", ".join("?" * (len(COLUMNS) + 3))
        records = [(*values_of(one.row), one.head.seq, one.head.size, one.head.hash) for one in batch]
        self._db.executemany(f"INSERT OR REPLACE INTO temp.fresh VALUES ({marks})", records)
        for one in batch:
            self._spend.put(one.row.adw_id, one.spend)
            self._moves.pop(one.row.adw_id, None)
            if one.moves:
                self._moves[one.row.adw_id] = one.moves

    def swap(self, *, keep: Collection[str], again: Callable[[str], Projected | None], reason: str) -> list[CostChange]:
        changes: list[CostChange] = []
        with self._connection.transaction():
            for adw_id in self._overtaken(keep):
                projected = again(adw_id)
                if projected is None:
                    changes += self._remove([adw_id], NO_LEDGER)
                else:
                    self.add([projected])
            connected = self._moves.keys() | {move.to for moves in self._moves.values() for move in moves}
            together: list[Projected] = []
            for values in self._db.execute(f"SELECT {_FRESH} FROM temp.fresh ORDER BY adw_id").fetchall():
                row = Row(*values[:-3])
                moves = self._moves.get(row.adw_id, ())
                projected = Projected(row, self._spend.of(row.adw_id), Head(*values[-3:]), moves)
                if row.adw_id in connected:
                    together.append(projected)
                else:
                    changes += self._write([projected], pure=True, reason=reason)
            changes += self._write(together, pure=True, reason=reason)
        return changes

    def _overtaken(self, keep: Collection[str]) -> list[str]:
        """Return the rows that are not among the fresh ones, or were refreshed further since."""
        found = self._db.execute(
            "SELECT h.adw_id FROM workflow_history h LEFT JOIN temp.fresh f USING (adw_id) "
            "LEFT JOIN costledger_checkpoint c ON c.workflow_id = h.adw_id "
            "WHERE f.adw_id IS NULL OR c.seq > f.head_seq ORDER BY 1"
        )
        return [adw_id for (adw_id,) in found if adw_id not in keep]
