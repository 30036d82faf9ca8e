"""The history in PostgreSQL: rows, checkpoints and audit log in one transaction, any number of writers at once.

Writers lock the checkpoint rows of their workflows in the order of the ids, so they wait for each other without a
deadlock. A row that people may edit is locked and read before its new cost is decided.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import orjson

from ledger.events import timestamps as clocks
from ledger.events.timestamps import Clock
from ledger.storage.line import EMPTY, Head
from projections.folding.moves import CountedRow, LedgerPart
from projections.folding.projection import Projected
from projections.folding.row import COLUMNS, Row, is_empty
from projections.folding.spend import Spend
from projections.history.cost_changes import changed, decide, removed
from projections.history.moved_parts import connected, recomposed
from projections.history.postgres import pages
from projections.history.postgres.audit import audit_entries, log_changes
from projections.history.postgres.connection import Cursor, PostgresConnection
from projections.history.postgres.moved_parts import PostgresParts, lock_moves
from projections.history.postgres.rebuild import FreshPostgres
from projections.history.postgres.spend import PostgresSpend
from projections.history.postgres.tables import ROW, Tables, only, records
from projections.history.postgres.values import HEAD_COLUMNS, JSON_COLUMNS, head_of, row_of, stored_of, values_of
from projections.history.query import Page, Query
from projections.history.spend_sql import rows_asked, values_query
from projections.history.store import (
    KNOWN,
    NO_LEDGER,
    AuditEntry,
    Before,
    CostChange,
    Derived,
    Fresh,
    Group,
    HistoryStore,
    Recorded,
    SpendSum,
    Stored,
    Where,
)
from projections.history.suspects import suspect_conditions

__all__ = ["PostgresHistory", "open_postgres"]

_BEFORE: Final = "SELECT adw_id, actual_cost_total, actual_cost_nanousd, status, seq FROM costledger_upgrade"
_CHECKPOINTS: Final = "SELECT * FROM costledger_checkpoint WHERE seq > 0"
_NAMES: Final = ", ".join(COLUMNS)
_BEFORE_AND_AFTER: Final = [", ".join(f"{version}.{name}" for name in COLUMNS) for version in ("old", "excluded")]
_UPSERT: Final = (
    f"INSERT INTO {{history}} AS old ({_NAMES}) "
    f"SELECT {_NAMES} FROM json_populate_recordset(NULL::{{history}}, %s) "
    f"ON CONFLICT (adw_id) DO UPDATE SET ({_NAMES}) = ROW({_BEFORE_AND_AFTER[1]}) "
    f"WHERE ({_BEFORE_AND_AFTER[0]}) IS DISTINCT FROM ({_BEFORE_AND_AFTER[1]}) RETURNING adw_id"
)
_FORGET: Final = "UPDATE costledger_checkpoint SET seq = 0, size = 0, hash = '' WHERE workflow_id = ANY(%s)"


def open_postgres(url: str, *, clock: Clock = clocks.now) -> PostgresHistory:
    """Open the history at a URL; see `PostgresHistory`."""
    return PostgresHistory(PostgresConnection(url), clock=clock)


class PostgresHistory(HistoryStore):
    """Rows in tables of our own, in the schema that the session's `search_path` names first.

    The tables are created when they are first needed. Those of another application or of a newer version are refused
    and left unchanged. Rows of an older version are dropped and replayed by the next refresh; its audit log stays.

    Args:
        version: write the rows of a version that is not shown yet, and audit nothing before it is.

    Raises:
        HistoryUnavailable: at construction and by every method.
    """

    def __init__(
        self, connection: PostgresConnection, *, version: int | None = None, clock: Clock = clocks.now
    ) -> None:
        self._connection, self._clock = connection, clock
        self._hidden = "" if version is None else f"_{version}"
        self._history, self._checkpoint = f"workflow_history{self._hidden}", f"costledger_checkpoint{self._hidden}"
        self._spend = PostgresSpend(f"costledger_spend{self._hidden}")
        self._tables = Tables(connection.where)
        self._rows = f"SELECT {ROW} FROM {self._history}"
        self._stored = f"SELECT adw_id, actual_cost_total, actual_cost_nanousd, status, {KNOWN} FROM {self._history}"
        self._upsert = _UPSERT.format(history=self._history)
        try:
            connection.run(self._tables.prepare)
        except BaseException:
            connection.close()
            raise

    @property
    def path(self) -> str:
        """Its location, without any password."""
        return self._connection.where

    def close(self) -> None:
        self._connection.close()

    def rows(self, status: str | None = None, *, since: str | None = None, cost_from: int | None = None) -> list[Row]:
        condition, values = rows_asked("%s", status, since, cost_from)
        found = self._connection.run(lambda cursor: cursor.execute(f"{self._rows} {condition}", values).fetchall())
        return sorted(map(row_of, found), key=lambda row: row.adw_id)

    def row(self, adw_id: str) -> Row | None:
        return self._connection.run(lambda cursor: self._row_in(cursor, adw_id))

    def _row_in(self, cursor: Cursor, adw_id: str) -> Row | None:
        query = f"SELECT * FROM ({self._rows}) found WHERE adw_id = %s"
        values = cursor.execute(query, (adw_id,)).fetchone()
        return None if values is None else row_of(values)

    def ids(self, prefix: str) -> list[str]:
        query = f"SELECT adw_id FROM {self._history} WHERE starts_with(adw_id, %s)"
        return self._connection.run(lambda cursor: sorted(name for (name,) in cursor.execute(query, (prefix,))))

    def recorded(self, adw_id: str) -> Recorded:

        def work(cursor: Cursor) -> Recorded:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            query = f"SELECT seq, size, hash FROM ({_CHECKPOINTS}) found WHERE workflow_id = %s"
            head = cursor.execute(query, (adw_id,)).fetchone()
            row = self._row_in(cursor, adw_id)
            return Recorded(row, None if head is None else Head(*head), self._spend.of(cursor, adw_id))

        while True:
            version = self._connection.run(self._tables.meta)
            found = self._connection.run(work)
            if self._connection.run(self._tables.meta) == version:  # no rebuild has swapped in its rows meanwhile
                return found

    def page(self, query: Query) -> Page:
        where, values = pages.conditions(query)
        text = f"{self._rows}{where} ORDER BY {pages.order(query)}"

        def work(cursor: Cursor) -> Page:
            found = cursor.execute(f"{text} LIMIT %s OFFSET %s", [*values, query.limit, query.offset]).fetchall()
            return Page([row_of(row) for row in found], pages.totals(cursor, query))

        return self._connection.run(work)

    def suspect_rows(self, limit: int, *, idle_before: str, offset: int = 0) -> list[Row]:
        query = f"{self._rows} WHERE {suspect_conditions('%s')}"
        found = self._connection.run(lambda cursor: cursor.execute(query, (idle_before, limit, offset)).fetchall())
        return list(map(row_of, found))

    def recorded_after(self, moment: str, limit: int) -> list[Row]:
        query = f"{self._rows} WHERE updated_at > %s ORDER BY updated_at DESC, adw_id LIMIT %s"
        found = self._connection.run(lambda cursor: cursor.execute(query, (moment, limit)).fetchall())
        return list(map(row_of, found))

    def changes_after(self, number: int, limit: int) -> list[tuple[int, str]]:
        return self._connection.run(lambda cursor: pages.changes_after(cursor, number, limit))

    def stored(self, adw_ids: Collection[str] | None = None) -> dict[str, Stored]:
        found = self._selected(self._stored, "adw_id", adw_ids)
        return {adw_id: stored_of(*values) for adw_id, *values in found}

    def checkpoints(self, workflow_ids: Collection[str] | None = None) -> dict[str, Head]:
        query = f"SELECT workflow_id, seq, size, hash FROM ({_CHECKPOINTS}) found"
        found = self._selected(query, "workflow_id", workflow_ids)
        return {workflow_id: Head(seq, size, digits) for workflow_id, seq, size, digits in found}

    def _selected(self, query: str, key: str, keys: Collection[str] | None) -> list[tuple[Any, ...]]:
        """Return the rows of a query, all or those of some keys."""
        where, values = ("", ()) if keys is None else (f" WHERE {key} = ANY(%s)", (list(keys),))
        return self._connection.run(lambda cursor: cursor.execute(f"{query}{where}", values).fetchall())

    def spend(self, adw_id: str) -> tuple[Spend, ...]:
        return self._connection.run(lambda cursor: self._spend.of(cursor, adw_id))

    def parts(self) -> dict[str, LedgerPart]:
        return self._connection.run(lambda cursor: self._parts(cursor).all())

    def _parts(self, cursor: Cursor) -> PostgresParts:
        return PostgresParts(
            cursor, self._hidden, partial(self._row_in, cursor), lambda adw_id: self._spend.of(cursor, adw_id)
        )

    def spent(
        self,
        by: Sequence[Group | Derived] = (),
        *,
        first: int | None = None,
        last: int | None = None,
        starts: Sequence[int] | None = None,
        where: Where = (),
    ) -> Iterator[SpendSum]:
        return self._connection.run(lambda cursor: self._spend.sums(cursor, by, (first, last), starts, where))

    def spent_between(self) -> tuple[int, int] | None:
        return self._connection.run(self._spend.between)

    def row_values(self, name: Group) -> list[str | int | None]:
        found = self._connection.run(lambda cursor: cursor.execute(values_query(name)).fetchall())
        return [value for (value,) in found]

    def write(self, batch: Sequence[Projected], *, pure: bool, reason: str) -> list[CostChange]:
        return self._connection.run(lambda cursor: self.write_in(cursor, batch, pure=pure, reason=reason))

    def write_in(self, cursor: Cursor, batch: Sequence[Projected], *, pure: bool, reason: str) -> list[CostChange]:
        """Run `write` as a part of a larger transaction."""
        self._tables.lock_against_swaps(cursor)
        furthest = {one.row.adw_id: one for one in sorted(batch, key=lambda one: one.head.seq)}
        parts = self._parts(cursor)
        moved_to = {move.to for one in furthest.values() for move in one.moves}
        lock_moves(cursor, parts, furthest, moves=bool(moved_to))
        seqs, stored = self._locked(cursor, connected(parts, furthest.keys() | moved_to))
        latest = {
            adw_id: furthest[adw_id]
            for adw_id in dict.fromkeys(one.row.adw_id for one in batch)
            if seqs[adw_id] <= furthest[adw_id].head.seq
        }
        groups = recomposed(parts, latest.values())
        before = {} if self._hidden else self._before(cursor, list(latest))
        changes = self._write_rows(cursor, latest, groups, stored, before, pure=pure, reason=reason)
        if before:
            cursor.execute("DELETE FROM costledger_upgrade WHERE adw_id = ANY(%s)", (list(latest),))
        cursor.execute(
            f"UPDATE {self._checkpoint} old SET seq = new.seq, size = new.size, hash = new.hash "
            f"FROM json_populate_recordset(NULL::{self._checkpoint}, %s) new "
            "WHERE old.workflow_id = new.workflow_id",
            (records(HEAD_COLUMNS, map(head_of, latest.values())),),
        )
        return changes

    def _write_rows(
        self,
        cursor: Cursor,
        latest: Mapping[str, Projected],
        groups: Mapping[str, CountedRow],
        stored: Mapping[str, Stored],
        before: Mapping[str, Before],
        *,
        pure: bool,
        reason: str,
    ) -> list[CostChange]:
        """Store rows and spend, with their audit: of ledgers that were read, and of what moves connect with them."""
        spent = self._spend.costs_nanousd(cursor, stored)
        rows: list[Row] = []
        changes: list[CostChange] = []
        projections = dict(latest)
        for adw_id, group in sorted(groups.items()):
            head = latest[adw_id].head if adw_id in latest else EMPTY
            projections[adw_id] = Projected(group.row, group.spend, head)
        for adw_id, projected in projections.items():
            as_replayed = (pure and adw_id in latest) or (adw_id in groups and groups[adw_id].moved)
            row, change = decide(
                projected,
                stored.get(adw_id),
                before.get(adw_id),
                spent_nanousd=spent.get(adw_id, 0),
                pure=as_replayed,
                reason=reason,
            )
            rows.append(row)
            changes += [] if change is None else [change]
        different = self._put(cursor, rows)
        self._spend.put(cursor, {row.adw_id: projections[row.adw_id].spend for row in rows})
        self._log(cursor, changes)
        if not self._hidden:
            pages.number_changes(cursor, different)
        return changes

    def _before(self, cursor: Cursor, adw_ids: list[str]) -> dict[str, Before]:
        """Return what rows showed before an upgrade, for those that were not replayed since."""
        found = cursor.execute(f"{_BEFORE} WHERE adw_id = ANY(%s)", (adw_ids,))
        return {adw_id: Before(stored_of(*values), seq) for adw_id, *values, seq in found}

    def _locked(self, cursor: Cursor, adw_ids: Iterable[str]) -> tuple[dict[str, int], dict[str, Stored]]:
        """Lock these workflows until the end of the transaction; return the seqs of their checkpoints and their rows.

        A workflow without a checkpoint gets one of seq 0 first, since an absent row cannot be locked. Checkpoints are
        never deleted, so that all writers lock the same row.
        """
        names = sorted(adw_ids)
        cursor.execute(
            f"INSERT INTO {self._checkpoint} (workflow_id, seq, size, hash) "
            "SELECT workflow_id, 0, 0, '' FROM unnest(%s::text[]) AS workflow_id ON CONFLICT DO NOTHING",
            (names,),
        )
        query = f"SELECT workflow_id, seq FROM {self._checkpoint} WHERE workflow_id = ANY(%s)"
        seqs: dict[str, int] = dict(cursor.execute(f"{query} ORDER BY workflow_id FOR UPDATE", (names,)).fetchall())
        query = f"{self._stored} WHERE adw_id = ANY(%s) ORDER BY adw_id FOR UPDATE"
        stored = {adw_id: stored_of(*values) for adw_id, *values in cursor.execute(query, (names,))}
        return seqs, stored

    def _put(self, cursor: Cursor, rows: Sequence[Row]) -> list[str]:
        """Store rows, but for empty ones, and return the ids of those that changed."""
        fresh = [dict(zip(COLUMNS, values_of(row), strict=True)) for row in rows if not is_empty(row)]
        for one in fresh:
            one |= {name: orjson.Fragment(one[name]) for name in JSON_COLUMNS}
        found = cursor.execute(self._upsert, (orjson.dumps(fresh).decode(),)).fetchall()
        empty = [row.adw_id for row in rows if is_empty(row)]
        gone = f"DELETE FROM {self._history} WHERE adw_id = ANY(%s) RETURNING adw_id"
        return [adw_id for (adw_id,) in [*found, *(cursor.execute(gone, (empty,)) if empty else ())]]

    def forget(self, workflow_id: str) -> None:

        def work(cursor: Cursor) -> None:
            self._tables.lock_against_swaps(cursor)
            cursor.execute(_FORGET, ([workflow_id],))

        self._connection.run(work)

    def audit(self, adw_id: str | None = None, *, after: int = 0, limit: int | None = None) -> list[AuditEntry]:
        return self._connection.run(lambda cursor: audit_entries(cursor, adw_id, after, limit))

    def remove(self, adw_ids: Collection[str], *, reason: str) -> list[CostChange]:

        def work(cursor: Cursor) -> list[CostChange]:
            self._tables.lock_against_swaps(cursor)
            parts = self._parts(cursor)
            lock_moves(cursor, parts, adw_ids, moves=False)
            _, found = self._locked(cursor, connected(parts, adw_ids))
            stored = {adw_id: found[adw_id] for adw_id in adw_ids if adw_id in found}
            groups = recomposed(parts, (), removed=adw_ids)
            connected_changes = self._write_rows(cursor, {}, groups, found, {}, pure=False, reason=reason)
            changes = [removed(adw_id, stored[adw_id], reason) for adw_id in sorted(stored)]
            cursor.execute(_FORGET, (list(adw_ids),))
            self._spend.remove(cursor, adw_ids)
            cursor.execute("DELETE FROM workflow_history WHERE adw_id = ANY(%s)", (list(adw_ids),))
            self._log(cursor, changes)
            pages.number_changes(cursor, sorted(stored))
            return connected_changes + changes

        return self._connection.run(work)

    def forget_audit(self, adw_ids: Collection[str]) -> None:

        def work(cursor: Cursor) -> None:
            for table in ("cost_audit_log", "costledger_change"):
                cursor.execute(f"DELETE FROM {table} WHERE adw_id = ANY(%s)", (list(adw_ids),))

        self._connection.run(work)

    @contextlib.contextmanager
    def rebuilding(self) -> Iterator[Fresh]:
        """Return the rows of a new version; all of it is one transaction of a session of its own."""
        with self._connection.another() as cursor:
            yield FreshPostgres(cursor, self._tables, self._tables.make(cursor), self.changes_of_swap)

    @property
    def shared(self) -> bool:
        query = "SELECT count(*) FROM costledger_partition"
        return bool(self._connection.run(lambda cursor: only(cursor.execute(query))))

    def origins(self, adw_id: str) -> dict[str, Head]:
        query = "SELECT origin, seq, size, hash FROM costledger_chain WHERE workflow_id = %s AND seq > 0"
        found = self._connection.run(lambda cursor: cursor.execute(query, (adw_id,)).fetchall())
        return {origin: Head(*head) for origin, *head in found}

    def old_versions(self) -> list[int]:
        """Return the versions of the rows that rebuilds have replaced and not dropped yet."""
        return self._connection.run(self._tables.old_versions)

    def drop_old_versions(self) -> list[int]:

        def work(cursor: Cursor) -> list[int]:
            self._tables.lock_against_writers(cursor)
            old = self._tables.old_versions(cursor)
            self._tables.drop(cursor, old)
            return old

        return self._connection.run(work)

    def changes_of_swap(self, cursor: Cursor, version: int, reason: str) -> list[CostChange]:
        """Audit and return the changes of cost by showing a version instead of the one before it."""
        found = cursor.execute(
            f"SELECT adw_id, fresh.actual_cost_nanousd, fresh.status, visible, exact, old.status, known "
            f"FROM (SELECT adw_id, actual_cost_nanousd, status FROM workflow_history_{version}) fresh FULL JOIN "
            f"(SELECT adw_id, actual_cost_total AS visible, actual_cost_nanousd AS exact, status, {KNOWN} AS known "
            "FROM workflow_history) old USING (adw_id) "
            "WHERE visible * 1000000000 IS DISTINCT FROM fresh.actual_cost_nanousd ORDER BY adw_id"
        )
        changes: list[CostChange] = []
        for adw_id, cost, status, *before in found:
            old = None if before[2] is None else stored_of(*before)
            if cost is None and old is not None:
                changes.append(removed(adw_id, old, NO_LEDGER))
            elif change := changed(adw_id, None if old is None else old.known_nanousd, cost, status, reason):
                changes.append(change)
        self._log(cursor, changes)
        pages.change_numbers_of_swap(cursor, version)
        return changes

    def _log(self, cursor: Cursor, changes: Sequence[CostChange]) -> None:
        if not self._hidden:
            log_changes(cursor, changes, clocks.to_wire(self._clock()))
