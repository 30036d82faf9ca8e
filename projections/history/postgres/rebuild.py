"""The rows of a rebuild in PostgreSQL: the tables of a new version until they are swapped in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from projections.folding.moves import LedgerPart
from projections.folding.projection import Projected
from projections.folding.row import COLUMNS, Row, is_empty
from projections.folding.spend import Spend
from projections.history.moved_parts import composed_again
from projections.history.postgres.connection import Cursor
from projections.history.postgres.moved_parts import PostgresParts
from projections.history.postgres.spend import SPEND_COLUMNS, PostgresSpend
from projections.history.postgres.tables import ROW, Tables
from projections.history.postgres.values import HEAD_COLUMNS, head_of, row_of, values_of
from projections.history.store import CostChange, Fresh

__all__ = ["FreshPostgres"]

_KEYS: Final = {
    "workflow_history": "adw_id",
    "costledger_spend": "adw_id",
    "costledger_checkpoint": "workflow_id",
    "costledger_part": "workflow_id",
    "costledger_move": "workflow_id",
}


class FreshPostgres(Fresh):
    """The rows of a rebuild: a version that is not shown yet.

    Args:
        changes: audits and returns the changes of cost by showing a version.
    """

    def __init__(
        self,
        cursor: Cursor,
        tables: Tables,
        version: int,
        changes: Callable[[Cursor, int, str], list[CostChange]],
    ) -> None:
        self._cursor, self._tables, self._version, self._changes = cursor, tables, version, changes
        spend = PostgresSpend(f"costledger_spend_{version}")
        self._parts = PostgresParts(cursor, f"_{version}", self._row, lambda adw_id: spend.of(cursor, adw_id))

    def add(self, batch: Sequence[Projected]) -> None:
        self._add_rows({one.row.adw_id: (one.row, one.spend) for one in batch})
        self._copy("costledger_checkpoint", HEAD_COLUMNS, map(head_of, batch))
        self._parts.save({one.row.adw_id: LedgerPart(one.row, one.spend, one.moves) for one in batch if one.moves})

    def _add_rows(self, rows: Mapping[str, tuple[Row, tuple[Spend, ...]]]) -> None:
        self._copy("workflow_history", COLUMNS, (values_of(row) for row, _ in rows.values() if not is_empty(row)))
        spent = ((adw_id, *one) for adw_id, (_, spend) in rows.items() for one in spend)
        self._copy("costledger_spend", SPEND_COLUMNS, spent)

    def _row(self, adw_id: str) -> Row | None:
        query = f"SELECT {ROW} FROM workflow_history_{self._version} WHERE adw_id = %s"
        values = self._cursor.execute(query, (adw_id,)).fetchone()
        return None if values is None else row_of(values)

    def _copy(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        with self._cursor.copy(f"COPY {name}_{self._version} ({', '.join(columns)}) FROM STDIN") as copy:
            for values in rows:
                copy.write_row(values)

    def swap(self, *, keep: Collection[str], again: Callable[[str], Projected | None], reason: str) -> list[CostChange]:
        cursor, version = self._cursor, self._version
        self._tables.lock_against_writers(cursor)
        overtaken = self._overtaken(keep)
        for name, key in _KEYS.items():
            cursor.execute(f"DELETE FROM {name}_{version} WHERE {key} = ANY(%s)", (overtaken,))
        self.add([projected for projected in map(again, overtaken) if projected is not None])
        for name, key in _KEYS.items():
            unchanged = f"SELECT * FROM {name} WHERE {key} = ANY(%s) ON CONFLICT DO NOTHING"
            cursor.execute(f"INSERT INTO {name}_{version} {unchanged}", (list(keep),))
        self._compose()
        changes = self._changes(cursor, version, reason)
        self._tables.show(cursor, version)
        return changes

    def _compose(self) -> None:
        """Replace the rows of workflows that moves connect by what counts in each."""
        groups = composed_again(self._parts, self._parts.moved())
        for name in ("workflow_history", "costledger_spend"):
            self._cursor.execute(f"DELETE FROM {name}_{self._version} WHERE adw_id = ANY(%s)", (list(groups),))
        self._add_rows({adw_id: (group.row, group.spend) for adw_id, group in groups.items()})

    def _overtaken(self, keep: Collection[str]) -> list[str]:
        """Return the rows that are not among the fresh ones, or were refreshed further since."""
        found = self._cursor.execute(
            f"SELECT h.adw_id FROM workflow_history h LEFT JOIN costledger_checkpoint_{self._version} f "
            "ON f.workflow_id = h.adw_id LEFT JOIN costledger_checkpoint c ON c.workflow_id = h.adw_id "
            "WHERE f.seq IS NULL OR c.seq > f.seq ORDER BY 1"
        )
        return [adw_id for (adw_id,) in found if adw_id not in keep]
