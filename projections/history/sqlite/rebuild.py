"""The rows of a rebuild in SQLite: temporary tables until they are swapped in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from ledger.storage.line import Head
from projections.folding.projection import Move, Projected
from projections.folding.row import COLUMNS, Row
from projections.history.cost_changes import changed
from projections.history.sqlite.connection import SqliteConnection
from projections.history.sqlite.spend import SqliteSpend
from projections.history.sqlite.tables import UPSERT, stored_of, values_of
from projections.history.store import KNOWN, NO_LEDGER, CostChange, Fresh

__all__ = ["fresh_rows"]

_COLUMNS: Final = ", ".join(COLUMNS)
_FRESH: Final = ", ".join((*COLUMNS, "head_seq", "head_size", "head_hash"))
_MARKS: Final = ", ".join("?" * (len(COLUMNS) + 3))
_CHANGED: Final = (
    "SELECT f.adw_id, f.actual_cost_nanousd, f.status, "
    "h.adw_id, h.actual_cost_total, h.actual_cost_nanousd, h.status, h.known "
    f"FROM temp.fresh f LEFT JOIN (SELECT *, {KNOWN} AS known FROM workflow_history) h USING (adw_id) "
    "WHERE h.actual_cost_nanousd IS NOT "
    "f.actual_cost_nanousd OR h.actual_cost_total IS NOT f.actual_cost_total ORDER BY 1"
)
_APART: Final = (
    "SELECT workflow_id FROM costledger_move UNION SELECT to_id FROM costledger_move "
    "UNION SELECT adw_id FROM costledger_upgrade"
)
_SPENT: Final = (
    "SELECT adw_id FROM temp.fresh f WHERE EXISTS (SELECT 1 FROM costledger_spend s WHERE s.adw_id = f.adw_id)"
)
_REPLACE: Final = (
    f"{UPSERT.partition('VALUES')[0]} SELECT {_COLUMNS} FROM temp.fresh WHERE true ON CONFLICT"
    f"{UPSERT.partition('ON CONFLICT')[2]}",
    "INSERT OR REPLACE INTO costledger_checkpoint (workflow_id, seq, size, hash) "
    "SELECT adw_id, head_seq, head_size, head_hash FROM temp.fresh",
    "INSERT INTO costledger_spend SELECT * FROM temp.fresh_spend f "
    "WHERE NOT EXISTS (SELECT 1 FROM costledger_spend s WHERE s.adw_id = f.adw_id)",
)
"""Rows, checkpoints, and the spend of workflows that had none."""


@contextlib.contextmanager
def fresh_rows(
    connection: SqliteConnection,
    write: Callable[..., list[CostChange]],
    remove: Callable[[Collection[str], str], list[CostChange]],
    log: Callable[[CostChange], None],
) -> Iterator[_FreshSqlite]:
    """Create the temporary tables of a rebuild, and drop them at the end.

    Args:
        write, remove: of rows, within a transaction.
        log: audits a change, within a transaction.
    """
    db = connection.db
    _drop(connection)
    db.execute(f"CREATE TEMP TABLE fresh ({_FRESH}, PRIMARY KEY (adw_id)) WITHOUT ROWID")
    db.execute("CREATE TEMP TABLE fresh_spend AS SELECT * FROM costledger_spend WHERE 0")
    db.execute("CREATE INDEX temp.fresh_spend_adw_id ON fresh_spend (adw_id)")
    try:
        yield _FreshSqlite(connection, write, remove, log)
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
        log: Callable[[CostChange], None],
    ) -> None:
        self._connection, self._db = connection, connection.db
        self._write, self._remove, self._log = write, remove, log
        self._spend = SqliteSpend(connection.db, "temp.fresh_spend")
        self._moves: dict[str, tuple[Move, ...]] = {}

    def add(self, batch: Sequence[Projected]) -> None:
        records = [(*values_of(one.row), one.head.seq, one.head.size, one.head.hash) for one in batch]
        self._db.executemany(f"INSERT OR REPLACE INTO temp.fresh VALUES ({_MARKS})", records)
        self._spend.replace({one.row.adw_id: one.spend for one in batch})
        for one in batch:
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
            apart = self._taken_apart()
            changes += self._swap_all(reason)
            changes += self._write(apart, pure=True, reason=reason)
        return changes

    def _taken_apart(self) -> list[Projected]:
        """Take out the rows that depend on others by moves, and those whose change may be by an upgrade."""
        apart = {name for (name,) in self._db.execute(_APART)}
        apart |= self._moves.keys() | {move.to for moves in self._moves.values() for move in moves}
        found: list[Projected] = []
        for adw_id in sorted(apart):
            values = self._db.execute(f"SELECT {_FRESH} FROM temp.fresh WHERE adw_id = ?", (adw_id,)).fetchone()
            if values is not None:
                moves = self._moves.get(adw_id, ())
                found.append(Projected(Row(*values[:-3]), self._spend.of(adw_id), Head(*values[-3:]), moves))
                self._db.execute("DELETE FROM temp.fresh WHERE adw_id = ?", (adw_id,))
                self._spend.remove(adw_id)
        return found

    def _swap_all(self, reason: str) -> list[CostChange]:
        """Write all fresh rows, each as it was replayed, and audit the changes of cost."""
        changes: list[CostChange] = []
        for adw_id, new, status, *stored in self._db.execute(_CHANGED).fetchall():
            old = None if stored[0] is None else stored_of(tuple(stored)).known_nanousd
            if (change := changed(adw_id, old, new, status, reason)) is not None:
                changes.append(change)
        spend = SqliteSpend(self._db)
        for (adw_id,) in self._db.execute(_SPENT).fetchall():
            spend.put(adw_id, self._spend.of(adw_id))
        for statement in _REPLACE:
            self._db.execute(statement)
        for change in changes:
            self._log(change)
        return changes

    def _overtaken(self, keep: Collection[str]) -> list[str]:
        """Return the rows that are not among the fresh ones, or were refreshed further since."""
        found = self._db.execute(
            "SELECT h.adw_id FROM workflow_history h LEFT JOIN temp.fresh f USING (adw_id) "
            "LEFT JOIN costledger_checkpoint c ON c.workflow_id = h.adw_id "
            "WHERE f.adw_id IS NULL OR c.seq > f.head_seq ORDER BY 1"
        )
        return [adw_id for (adw_id,) in found if adw_id not in keep]
