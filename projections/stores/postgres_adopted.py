"""A table `workflow_history` that belongs to another application, in its own PostgreSQL database.

The rules are those of `adopted.py`: we own the cost columns and those we add; the application owns `status` and all
others, and its rows. Nothing is inserted or removed unless told, and a rebuild updates in place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence

from ledger import clock as clocks
from ledger.clock import Clock
from ledger.errors import HistoryUnavailable
from projections.store import CostChange, Fresh, Projected
from projections.stores.adopted import COST_COLUMNS
from projections.stores.postgres import FORGET, PostgresHistory, values_of
from projections.stores.postgres_connection import Cursor, PostgresConnection
from projections.stores.postgres_tables import VERSIONS, Columns, Tables
from projections.workflow_history import COLUMNS, Row

__all__ = ["PostgresAdopted", "history_of", "open_postgres"]


def open_postgres(url: str, *, insert_missing: bool = False, clock: Clock = clocks.now) -> PostgresHistory:
    """The history at a URL; see `history_of`."""
    return history_of(PostgresConnection(url), insert_missing=insert_missing, clock=clock)


def history_of(
    connection: PostgresConnection, *, insert_missing: bool = False, clock: Clock = clocks.now
) -> PostgresHistory:
    """The history of a session: another application's where there is a `workflow_history` that we did not make.

    Args:
        insert_missing: in another application's table, also insert rows that it lacks.

    Raises:
        HistoryUnavailable: it cannot be used; the session is then closed.
    """
    tables = Tables(connection.where)
    try:
        adopted = connection.run(lambda cursor: _is_of_another(cursor, tables))
    except BaseException:
        connection.close()
        raise
    if adopted:
        return PostgresAdopted(connection, insert_missing=insert_missing, clock=clock)
    return PostgresHistory(connection, clock=clock)


def _is_of_another(cursor: Cursor, tables: Tables) -> bool:
    # In this order: somebody may be making ours meanwhile, all in one transaction.
    return tables.exists(cursor, "workflow_history") and "rows_version" not in tables.meta(cursor)


class PostgresAdopted(PostgresHistory):
    """Rows of another application's table; a `HistoryStore` that updates in place.

    Args:
        insert_missing: also insert rows for workflows that the application has none for.

    Raises:
        HistoryUnavailable: at construction and by every method; also when the table has no `adw_id` that is unique.
    """

    _only = " WHERE adw_id IN (SELECT workflow_id FROM costledger_checkpoint WHERE seq > 0)"

    def __init__(
        self, connection: PostgresConnection, *, insert_missing: bool = False, clock: Clock = clocks.now
    ) -> None:
        self._insert_missing = self.inserts = insert_missing
        super().__init__(connection, clock=clock)

    def _prepare(self, cursor: Cursor) -> None:
        tables, found = self._tables, Columns(cursor)
        if "adw_id" not in found.unique:
            raise HistoryUnavailable(self.path, "has no table workflow_history whose adw_id is unique")
        if not found.counts_money:
            kind = found.kinds["actual_cost_total"]
            raise HistoryUnavailable(self.path, f"its column actual_cost_total is {kind}, not a number")
        missing = [name for name in COLUMNS if name not in found.kinds]
        if missing or tables.meta(cursor) != VERSIONS:
            tables.lock(cursor)
            self._adopt(cursor, [name for name in COLUMNS if name not in Columns(cursor).kinds])
            tables.remember(cursor, **VERSIONS)
        added = {name for (name,) in cursor.execute("SELECT name FROM costledger_column")}
        self.columns = tuple(name for name in COLUMNS if name in COST_COLUMNS or name in added)
        self._look(Columns(cursor))

    def _adopt(self, cursor: Cursor, missing: list[str]) -> None:
        """Add the columns the table lacks, and our own tables beside it; every ledger is then folded anew."""
        cursor.execute("DROP TABLE IF EXISTS costledger_spend")  # an older version's has other columns
        self._tables.make_adopted(cursor)
        kinds = self._tables.kinds()
        for name in missing:
            cursor.execute(f"ALTER TABLE workflow_history ADD COLUMN {name} {kinds[name]}")
            cursor.execute("INSERT INTO costledger_column (name) VALUES (%s)", (name,))
        cursor.execute("DELETE FROM costledger_checkpoint")

    def _takes(self, row: Row, *, exists: bool) -> bool:
        """A ledger without a reading says nothing about the cost that the application has."""
        return row.cost_basis is not None and (exists or self._insert_missing)

    def _put(self, cursor: Cursor, rows: Sequence[Row], stored: Collection[str]) -> list[str]:
        names = tuple(dict.fromkeys(("adw_id", *self.columns, "status", "created_at", "updated_at")))
        insert = f"INSERT INTO workflow_history ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"
        assignments = ", ".join(f"{name} = %s" for name in self.columns)
        update = f"UPDATE workflow_history SET {assignments} WHERE adw_id = %s"
        before = self._values(cursor, [row.adw_id for row in rows])
        for row in rows:
            given = dict(zip(COLUMNS, values_of(row), strict=True))
            if row.adw_id in stored:
                cursor.execute(update, [given[name] for name in (*self.columns, "adw_id")])
            else:
                cursor.execute(insert, [given[name] for name in names])
        after = self._values(cursor, [row.adw_id for row in rows])
        return sorted(name for name, values in after.items() if before.get(name) != values)

    def _values(self, cursor: Cursor, adw_ids: list[str]) -> dict[str, str]:
        """Our columns of some rows, as one text each."""
        ours = ", ".join(self.columns)
        query = f"SELECT adw_id, ROW({ours})::text FROM workflow_history WHERE adw_id = ANY(%s)"
        return dict(cursor.execute(query, (adw_ids,)).fetchall())

    def remove(self, adw_ids: Collection[str], *, reason: str) -> list[CostChange]:  # noqa: ARG002
        """See `HistoryStore.remove`; the application's rows are its own, what was spent goes."""
        self._connection.run(lambda cursor: self._forget(cursor, adw_ids))
        return []

    def _forget(self, cursor: Cursor, adw_ids: Collection[str]) -> None:
        self._tables.lock_against_swaps(cursor)
        cursor.execute(FORGET, (list(adw_ids),))
        self._spend.remove(cursor, adw_ids)

    @contextlib.contextmanager
    def rebuilding(self) -> Iterator[Fresh]:
        """See `HistoryStore.rebuilding`; the fresh rows wait in memory, and are written in one transaction."""
        yield _InPlace(self)

    def drop_old_versions(self) -> list[int]:
        """Nothing: there are no versions of another application's table."""
        return []

    def write_fresh(
        self,
        fresh: dict[str, Projected],
        *,
        keep: Collection[str],
        again: Callable[[str], Projected | None],
        reason: str,
    ) -> list[CostChange]:
        """Write the rows of a rebuild; see `Fresh.swap`."""

        def work(cursor: Cursor) -> list[CostChange]:
            self._tables.lock_against_writers(cursor)
            found = cursor.execute("SELECT workflow_id, seq FROM costledger_checkpoint WHERE seq > 0").fetchall()
            known: dict[str, int] = dict(found)
            rows = dict(fresh)
            for adw_id in sorted(known.keys() - set(keep)):
                if adw_id not in fresh or known[adw_id] > fresh[adw_id].head.seq:
                    projected = again(adw_id)
                    if projected is not None:
                        rows[adw_id] = projected
                    else:
                        self._forget(cursor, [adw_id])
            return self.write_in(cursor, [rows[adw_id] for adw_id in sorted(rows)], pure=True, reason=reason)

        return self._connection.run(work)


class _InPlace:
    """The rows of a rebuild until they are written over the old ones."""

    def __init__(self, history: PostgresAdopted) -> None:
        self._history = history
        self._fresh: dict[str, Projected] = {}

    def add(self, batch: Sequence[Projected]) -> None:
        """See `Fresh.add`."""
        self._fresh |= {projected.row.adw_id: projected for projected in batch}

    def swap(self, *, keep: Collection[str], again: Callable[[str], Projected | None], reason: str) -> list[CostChange]:
        """See `Fresh.swap`."""
        return self._history.write_fresh(self._fresh, keep=keep, again=again, reason=reason)
