"""The history in a SQLite file: rows, spend, checkpoints and audit log in one transaction, readers undisturbed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from ledger.errors import HistoryUnavailable
from ledger.events import money
from ledger.events import timestamps as clocks
from ledger.events.timestamps import Clock
from ledger.storage.line import Head
from projections.folding.projection import Projected
from projections.folding.row import COLUMNS, Row
from projections.folding.spend import Spend
from projections.history.query import Page, Query
from projections.history.sql_scripts import statements
from projections.history.sqlite import pages
from projections.history.sqlite.connection import SqliteConnection
from projections.history.sqlite.recovery import is_whole, recover
from projections.history.sqlite.spend import SpendTable
from projections.history.store import (
    FOLD_VERSION,
    NO_LEDGER,
    AuditEntry,
    Before,
    CostChange,
    Group,
    Recorded,
    SpendSum,
    Stored,
    after_upgrade,
    decide,
    removed,
    stored_cost,
)
from projections.history.suspects import suspect_conditions

__all__ = ["SqliteHistory"]

SCHEMA_VERSION: Final = 6
VERSIONS: Final = {"schema_version": SCHEMA_VERSION, "fold_version": FOLD_VERSION}

_CHECKPOINT: Final = "INSERT OR REPLACE INTO costledger_checkpoint (workflow_id, seq, size, hash) VALUES (?, ?, ?, ?)"
_AUDIT: Final = "INSERT INTO cost_audit_log (adw_id, old_cost, new_cost, reason, timestamp) VALUES (?, ?, ?, ?, ?)"
_STORED: Final = "SELECT adw_id, actual_cost_total, actual_cost_nanousd, status FROM workflow_history"
_BEFORE: Final = "SELECT adw_id, actual_cost_total, actual_cost_nanousd, status, seq FROM costledger_upgrade"
_values: Final = attrgetter(*COLUMNS)
"""A row's values in the order of its columns."""

_FRESH: Final = ", ".join((*COLUMNS, "head_seq", "head_size", "head_hash"))


class SqliteHistory:
    """Rows in a SQLite database of our own; a `HistoryStore`.

    The file is made when it is first needed. A database of another application is refused and left as it is, so is
    one of a newer version; an older one's rows are dropped, to be replayed by the next refresh, its audit log stays.

    Args:
        writes: False reads what is stored where nothing can be written.

    Raises:
        HistoryUnavailable: at construction and by every method; HistoryUnwritable where nothing can be written.
    """

    shared = False

    def __init__(self, path: Path, *, writes: bool = True, clock: Clock = clocks.now) -> None:
        connection = SqliteConnection(path, writes=writes)
        self._connection, self._db, self._clock = connection, connection.db, clock
        self._spend = SpendTable(connection.db)
        try:
            with connection.errors():
                pages.prepare(self._db)
                self._prepare()
                self._upgrades = bool(self._db.execute(f"{_BEFORE} LIMIT 1").fetchall())
            connection.note_files()
        except BaseException:
            connection.close()
            raise

    @property
    def path(self) -> Path:
        return self._connection.path

    @property
    def identity(self) -> object:
        """See `HistoryStore.identity`."""
        return self._connection.identity

    @property
    def replaced(self) -> bool:
        """See `HistoryStore.replaced`."""
        return self._connection.replaced

    @property
    def was_cut(self) -> bool:
        """See `HistoryStore.was_cut`."""
        return self._connection.was_cut

    def is_whole(self) -> bool:
        """See `HistoryStore.is_whole`."""
        with self._connection.errors():
            return is_whole(self.path)

    def recover(self) -> None:
        """See `HistoryStore.recover`."""
        if self._connection.is_there:
            with self._connection.errors():
                recover(self.path, self._db, self._clock())

    def origins(self, adw_id: str) -> dict[str, Head]:  # noqa: ARG002
        """See `HistoryStore.origins`."""
        return {}

    def close(self) -> None:
        """Close the database; the object cannot be used after that."""
        self._connection.close()

    def __enter__(self) -> SqliteHistory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    _rows = f"SELECT {', '.join(COLUMNS)} FROM workflow_history"

    def rows(self) -> list[Row]:
        """See `HistoryStore.rows`."""
        with self._connection.errors():
            found = [Row(*values) for values in self._db.execute(self._rows)]
        return sorted(found, key=lambda row: row.adw_id)

    def row(self, adw_id: str) -> Row | None:
        """See `HistoryStore.row`."""
        with self._connection.errors():
            values = self._db.execute(f"SELECT * FROM ({self._rows}) WHERE adw_id = ?", (adw_id,)).fetchone()
            return None if values is None else Row(*values)

    def ids(self, prefix: str) -> list[str]:
        """See `HistoryStore.ids`."""
        query = "SELECT adw_id FROM workflow_history WHERE substr(adw_id, 1, ?) = ?"
        with self._connection.errors():
            return sorted(name for (name,) in self._db.execute(query, (len(prefix), prefix)))

    def recorded(self, adw_id: str) -> Recorded:
        """See `HistoryStore.recorded`."""
        with self._connection.errors(), self._connection.snapshot():
            return Recorded(self.row(adw_id), self.checkpoints([adw_id]).get(adw_id), self.spend(adw_id))

    def page(self, query: Query) -> Page:
        """See `HistoryStore.page`."""
        with self._connection.errors():
            return pages.page(self._db, query)

    def suspect_rows(self, limit: int, *, idle_before: str, offset: int = 0) -> list[Row]:
        """See `HistoryStore.suspect_rows`."""
        with self._connection.errors():
            query = f"SELECT * FROM ({self._rows}) WHERE {suspect_conditions('?')}"
            return [Row(*values) for values in self._db.execute(query, (idle_before, limit, offset))]

    def recorded_after(self, moment: str, limit: int) -> list[Row]:
        """See `HistoryStore.recorded_after`."""
        with self._connection.errors():
            query = f"{self._rows} WHERE updated_at > ? ORDER BY updated_at DESC, adw_id LIMIT ?"
            return [Row(*values) for values in self._db.execute(query, (moment, limit))]

    def changes_after(self, number: int, limit: int) -> list[tuple[int, str]]:
        """See `HistoryStore.changes_after`."""
        with self._connection.errors():
            return pages.changes_after(self._db, number, limit)

    def stored(self, adw_ids: Collection[str] | None = None) -> dict[str, Stored]:
        """See `HistoryStore.stored`."""
        return {values[0]: _stored(values) for values in self._selected(_STORED, "adw_id", adw_ids)}

    def checkpoints(self, workflow_ids: Collection[str] | None = None) -> dict[str, Head]:
        """See `HistoryStore.checkpoints`."""
        query = "SELECT workflow_id, seq, size, hash FROM costledger_checkpoint"
        found = self._selected(query, "workflow_id", workflow_ids)
        return {workflow_id: Head(seq, size, digits) for workflow_id, seq, size, digits in found}

    def _selected(self, query: str, key: str, keys: Collection[str] | None) -> list[tuple[Any, ...]]:
        """The rows of a query, all or those of some keys."""
        with self._connection.errors():
            if keys is None:
                return self._db.execute(query).fetchall()
            wanted = f"{query} WHERE {key} = ?"
            return [values for name in keys for values in self._db.execute(wanted, (name,))]

    def spend(self, adw_id: str) -> tuple[Spend, ...]:
        """See `HistoryStore.spend`."""
        with self._connection.errors():
            return self._spend.of(adw_id)

    def spent(
        self, by: Sequence[Group] = (), *, first: int | None = None, last: int | None = None, merged: bool = False
    ) -> Iterator[SpendSum]:
        """See `HistoryStore.spent`."""
        with self._connection.errors():
            yield from self._spend.sums(by, first, last, merged=merged)

    def write(self, batch: Sequence[Projected], *, pure: bool, reason: str) -> list[CostChange]:
        """See `HistoryStore.write`."""
        with self._connection.errors(), self._connection.transaction():
            changes = [self._write(projected, pure=pure, reason=reason) for projected in batch]
        return [change for change in changes if change is not None]

    def forget(self, workflow_id: str) -> None:
        """See `HistoryStore.forget`."""
        with self._connection.errors(), self._connection.transaction():
            self._db.execute("DELETE FROM costledger_checkpoint WHERE workflow_id = ?", (workflow_id,))

    def audit(self, adw_id: str | None = None, *, after: int = 0, limit: int | None = None) -> list[AuditEntry]:
        """See `HistoryStore.audit`."""
        query = "SELECT id, adw_id, old_cost, new_cost, reason, timestamp FROM cost_audit_log WHERE id > ?"
        one, values = ("", ()) if adw_id is None else (" AND adw_id = ?", (adw_id,))
        most = -1 if limit is None else limit
        with self._connection.errors():
            found = self._db.execute(f"{query}{one} ORDER BY id LIMIT ?", (after, *values, most))
            return [AuditEntry(*entry) for entry in found]

    def remove(self, adw_ids: Collection[str], *, reason: str) -> list[CostChange]:
        """See `HistoryStore.remove`."""
        with self._connection.errors(), self._connection.transaction():
            changes = [self._remove(adw_id, reason) for adw_id in sorted(adw_ids)]
        return [change for change in changes if change is not None]

    @contextlib.contextmanager
    def rebuilding(self) -> Iterator[_FreshSqlite]:
        """See `HistoryStore.rebuilding`; the fresh rows are a temporary table, gone with the connection."""
        with self._connection.errors():
            self._db.execute("DROP TABLE IF EXISTS temp.fresh")
            self._db.execute("DROP TABLE IF EXISTS temp.fresh_spend")
            self._db.execute(f"CREATE TEMP TABLE fresh ({_FRESH}, PRIMARY KEY (adw_id)) WITHOUT ROWID")
            self._db.execute("CREATE TEMP TABLE fresh_spend AS SELECT * FROM costledger_spend WHERE 0")
            self._db.execute("CREATE INDEX temp.fresh_spend_adw_id ON fresh_spend (adw_id)")
            try:
                yield _FreshSqlite(self._connection, self._write, self._remove)
            finally:
                self._db.execute("DROP TABLE IF EXISTS temp.fresh")
                self._db.execute("DROP TABLE IF EXISTS temp.fresh_spend")

    def drop_old_versions(self) -> list[int]:
        """See `HistoryStore.drop_old_versions`; nothing is kept here."""
        return []

    def _write(self, projected: Projected, *, pure: bool, reason: str) -> CostChange | None:
        adw_id, head = projected.row.adw_id, projected.head
        known = self._db.execute("SELECT seq FROM costledger_checkpoint WHERE workflow_id = ?", (adw_id,)).fetchone()
        if known is not None and known[0] > head.seq:
            return None
        values = self._db.execute(f"{_STORED} WHERE adw_id = ?", (adw_id,)).fetchone()
        exists, stored = values is not None, None if values is None else _stored(values)
        before = self._before(adw_id) if self._upgrades else None
        stored, why = after_upgrade(stored, before, projected, reason)
        ours = stored.exact_nanousd if not exists and stored is not None else self._spend.cost_nanousd(adw_id)
        row, change = decide(projected.row, stored, spent_nanousd=ours, pure=pure, reason=why)
        self._db.execute(_UPSERT, _values(row))
        if before is not None:
            self._db.execute("DELETE FROM costledger_upgrade WHERE adw_id = ?", (adw_id,))
        self._spend.put(adw_id, projected.spend)
        self._db.execute(_CHECKPOINT, (adw_id, head.seq, head.size, head.hash))
        if change is not None:
            self._log(change)
        return change

    def _before(self, adw_id: str) -> Before | None:
        values = self._db.execute(f"{_BEFORE} WHERE adw_id = ?", (adw_id,)).fetchone()
        return None if values is None else Before(_stored(values[:-1]), values[-1])

    def _remove(self, adw_id: str, reason: str) -> CostChange | None:
        values = self._db.execute(f"{_STORED} WHERE adw_id = ?", (adw_id,)).fetchone()
        self._db.execute("DELETE FROM costledger_checkpoint WHERE workflow_id = ?", (adw_id,))
        self._spend.remove(adw_id)
        if values is None:
            return None
        change = removed(adw_id, _stored(values), reason)
        self._log(change)
        self._db.execute("DELETE FROM workflow_history WHERE adw_id = ?", (adw_id,))
        return change

    def _log(self, change: CostChange) -> None:
        old = None if change.old_nanousd is None else float(money.to_wire(change.old_nanousd))
        new = float(money.to_wire(change.new_nanousd))
        self._db.execute(_AUDIT, (change.adw_id, old, new, change.reason, clocks.to_wire(self._clock())))

    def _prepare(self) -> None:
        """Make our tables, or see that these are ours.

        Raises:
            HistoryUnavailable: they are not.
        """
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and ("costledger_meta" not in tables or "costledger_column" in tables):
            raise HistoryUnavailable(
                self.path,
                "is a database of another application and was left as it is; use another data directory, or "
                f"have its table kept right with --history sqlite:{self.path}",
            )
        versions = self._versions() if tables else {}
        if versions == VERSIONS:
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        with self._connection.transaction():
            if versions:
                self._note_rows()
            if versions.get("schema_version", SCHEMA_VERSION) < SCHEMA_VERSION:
                self._db.execute("DROP TABLE workflow_history")
                self._db.execute("DROP TABLE IF EXISTS costledger_spend")
                self._db.execute("DROP TABLE IF EXISTS costledger_total")
            pages.make_changes(self._db, self._clock())
            for statement in (*statements("sqlite"), *pages.statements()):
                self._db.execute(statement)
            self._begin_anew()

    def _versions(self) -> dict[str, int]:
        """The versions this database was written by.

        Raises:
            HistoryUnavailable: they are newer than this program.
        """
        versions: dict[str, int] = dict(self._db.execute("SELECT key, value FROM costledger_meta"))
        if versions.get("schema_version", 0) > SCHEMA_VERSION or versions.get("fold_version", 0) > FOLD_VERSION:
            raise HistoryUnavailable(
                self.path,
                f"was written by a newer version (schema {versions.get('schema_version')}, this one knows "
                f"{SCHEMA_VERSION}); upgrade costledger, or delete the file: `costledger refresh` makes it anew",
            )
        return versions

    def _note_rows(self) -> None:
        """Remember what rows show before every ledger is folded anew."""
        for statement in statements("sqlite"):
            if "costledger_upgrade" in statement:
                self._db.execute(statement)
        self._db.execute(
            "INSERT OR IGNORE INTO costledger_upgrade SELECT h.adw_id, h.actual_cost_total, h.actual_cost_nanousd, "
            "h.status, c.seq FROM workflow_history h JOIN costledger_checkpoint c ON c.workflow_id = h.adw_id"
        )

    def _begin_anew(self) -> None:
        """Every ledger is to be folded anew, by the versions of this program."""
        self._db.execute("DELETE FROM costledger_checkpoint")
        self._db.execute(
            "INSERT OR REPLACE INTO costledger_meta (key, value) VALUES ('schema_version', ?), ('fold_version', ?)",
            (SCHEMA_VERSION, FOLD_VERSION),
        )


_UPSERT: Final = (
    f"INSERT INTO workflow_history ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    f"ON CONFLICT (adw_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[1:])}"
)


class _FreshSqlite:
    """The rows of a rebuild until they are swapped in."""

    def __init__(
        self,
        connection: SqliteConnection,
        write: Callable[..., CostChange | None],
        remove: Callable[[str, str], CostChange | None],
    ) -> None:
        self._connection, self._db, self._write, self._remove = connection, connection.db, write, remove
        self._spend = SpendTable(connection.db, "temp.fresh_spend")

    def add(self, batch: Sequence[Projected]) -> None:
        """See `Fresh.add`."""
        marks = ", ".join("?" * (len(COLUMNS) + 3))
        told = [(*_values(one.row), one.head.seq, one.head.size, one.head.hash) for one in batch]
        self._db.executemany(f"INSERT OR REPLACE INTO temp.fresh VALUES ({marks})", told)
        for one in batch:
            self._spend.put(one.row.adw_id, one.spend)

    def swap(self, *, keep: Collection[str], again: Callable[[str], Projected | None], reason: str) -> list[CostChange]:
        """See `Fresh.swap`."""
        changes: list[CostChange | None] = []
        with self._connection.transaction():
            for adw_id in self._overtaken(keep):
                projected = again(adw_id)
                if projected is None:
                    changes.append(self._remove(adw_id, NO_LEDGER))
                else:
                    self.add([projected])
            for values in self._db.execute(f"SELECT {_FRESH} FROM temp.fresh ORDER BY adw_id").fetchall():
                row = Row(*values[:-3])
                projected = Projected(row, self._spend.of(row.adw_id), Head(*values[-3:]))
                changes.append(self._write(projected, pure=True, reason=reason))
        return [change for change in changes if change is not None]

    def _overtaken(self, keep: Collection[str]) -> list[str]:
        """Rows that are not among the fresh ones, or were refreshed further since."""
        found = self._db.execute(
            "SELECT h.adw_id FROM workflow_history h LEFT JOIN temp.fresh f USING (adw_id) "
            "LEFT JOIN costledger_checkpoint c ON c.workflow_id = h.adw_id "
            "WHERE f.adw_id IS NULL OR c.seq > f.head_seq ORDER BY 1"
        )
        return [adw_id for (adw_id,) in found if adw_id not in keep]


def _stored(values: tuple[Any, ...]) -> Stored:
    _, total, exact, status = values
    return stored_cost(total, exact, status)
