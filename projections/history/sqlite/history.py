"""The history in a SQLite file: rows, spend, checkpoints and audit log in one transaction; readers never wait."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ledger.events import money
from ledger.events import timestamps as clocks
from ledger.events.timestamps import Clock
from ledger.storage.line import EMPTY, Head
from projections.folding.moves import CountedRow, LedgerPart
from projections.folding.projection import Projected
from projections.folding.row import COLUMNS, Row, is_empty
from projections.folding.spend import Spend
from projections.history.cost_changes import decide, removed
from projections.history.moved_parts import recomposed
from projections.history.query import Page, Query
from projections.history.spend_sql import rows_asked, values_query
from projections.history.sqlite import pages
from projections.history.sqlite.chunk_sums import most, sums
from projections.history.sqlite.compaction import compact
from projections.history.sqlite.connection import SqliteConnection
from projections.history.sqlite.moved_parts import SqliteParts
from projections.history.sqlite.rebuild import fresh_rows
from projections.history.sqlite.recovery import is_whole, recover
from projections.history.sqlite.spend import SqliteSpend
from projections.history.sqlite.tables import BEFORE, MAYBE_EDITED, STORED, UPSERT, make_tables, stored_of, values_of
from projections.history.store import (
    AuditEntry,
    Before,
    CostChange,
    Derived,
    Fresh,
    Group,
    HistoryStore,
    Most,
    MostSpent,
    Recorded,
    SpendSum,
    Stored,
    Where,
)
from projections.history.suspects import suspect_conditions

__all__ = ["SqliteHistory"]

_CHECKPOINT: Final = "INSERT OR REPLACE INTO costledger_checkpoint (workflow_id, seq, size, hash) VALUES (?, ?, ?, ?)"
_AUDIT: Final = "INSERT INTO cost_audit_log (adw_id, old_cost, new_cost, reason, timestamp) VALUES (?, ?, ?, ?, ?)"


class SqliteHistory(HistoryStore):
    """Rows in a SQLite database of our own.

    The file is created when it is first needed. A database of another application or of a newer version is refused and
    left unchanged. Rows of an older version are dropped and replayed by the next refresh; its audit log stays.

    Args:
        writes: False reads a file where nothing can be written.

    Raises:
        HistoryUnavailable: at construction and by every method; HistoryUnwritable where nothing can be written.
    """

    def __init__(self, path: Path, *, writes: bool = True, clock: Clock = clocks.now) -> None:
        connection = SqliteConnection(path, writes=writes)
        self._connection, self._db, self._clock = connection, connection.db, clock
        self._spend = SqliteSpend(connection.db)
        self._parts = SqliteParts(connection.db, self.row, self._spend.of)
        try:
            with connection.errors():
                pages.prepare(self._db)
                make_tables(connection, clock)
                self._upgrades = bool(self._db.execute(f"{BEFORE} LIMIT 1").fetchall())
            connection.note_files()
        except BaseException:
            connection.close()
            raise

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self._connection.path

    @property
    def identity(self) -> object:
        return self._connection.identity

    @property
    def replaced(self) -> bool:
        return self._connection.replaced

    @property
    def was_cut(self) -> bool:
        return self._connection.was_cut

    def is_whole(self) -> bool:
        with self._connection.errors():
            return is_whole(self.path)

    def recover(self) -> None:
        if self._connection.is_there:
            with self._connection.errors():
                recover(self.path, self._db, self._clock())

    def close(self) -> None:
        self._connection.close()

    _rows = f"SELECT {', '.join(COLUMNS)} FROM workflow_history"

    def rows(self, status: str | None = None, *, since: str | None = None, cost_from: int | None = None) -> list[Row]:
        condition, values = rows_asked("?", status, since, cost_from)
        with self._connection.errors():
            found = [Row(*values) for values in self._db.execute(f"{self._rows} {condition}", values)]
        return sorted(found, key=lambda row: row.adw_id)

    def row(self, adw_id: str) -> Row | None:
        with self._connection.errors():
            values = self._db.execute(f"SELECT * FROM ({self._rows}) WHERE adw_id = ?", (adw_id,)).fetchone()
            return None if values is None else Row(*values)

    def ids(self, prefix: str) -> list[str]:
        query = "SELECT adw_id FROM workflow_history WHERE substr(adw_id, 1, ?) = ?"
        with self._connection.errors():
            return sorted(name for (name,) in self._db.execute(query, (len(prefix), prefix)))

    def recorded(self, adw_id: str) -> Recorded:
        with self._connection.errors(), self._connection.snapshot():
            return Recorded(self.row(adw_id), self.checkpoints([adw_id]).get(adw_id), self.spend(adw_id))

    def page(self, query: Query) -> Page:
        with self._connection.errors():
            return pages.page(self._db, query)

    def suspect_rows(self, limit: int, *, idle_before: str, offset: int = 0) -> list[Row]:
        with self._connection.errors():
            query = f"SELECT * FROM ({self._rows}) WHERE {suspect_conditions('?')}"
            return [Row(*values) for values in self._db.execute(query, (idle_before, limit, offset))]

    def recorded_after(self, moment: str, limit: int) -> list[Row]:
        with self._connection.errors():
            query = f"{self._rows} WHERE updated_at > ? ORDER BY updated_at DESC, adw_id LIMIT ?"
            return [Row(*values) for values in self._db.execute(query, (moment, limit))]

    def changes_after(self, number: int, limit: int) -> list[tuple[int, str]]:
        with self._connection.errors():
            return pages.changes_after(self._db, number, limit)

    def stored(self, adw_ids: Collection[str] | None = None) -> dict[str, Stored]:
        return {values[0]: stored_of(values) for values in self._selected(STORED, "adw_id", adw_ids)}

    def checkpoints(self, workflow_ids: Collection[str] | None = None) -> dict[str, Head]:
        query = "SELECT workflow_id, seq, size, hash FROM costledger_checkpoint"
        found = self._selected(query, "workflow_id", workflow_ids)
        return {workflow_id: Head(seq, size, digits) for workflow_id, seq, size, digits in found}

    def checkpoint_sizes(self) -> dict[str, int]:
        with self._connection.errors():
            return dict(self._db.execute("SELECT workflow_id, size FROM costledger_checkpoint"))

    def altered(self) -> set[str]:
        without_row = (
            "SELECT workflow_id FROM costledger_checkpoint "
            "WHERE workflow_id NOT IN (SELECT adw_id FROM workflow_history)"
        )
        with self._connection.errors():
            found = self._db.execute(f"{STORED} WHERE {MAYBE_EDITED}").fetchall()
            removed = [name for (name,) in self._db.execute(without_row)]
        return {values[0] for values in found if stored_of(values).edited}.union(removed)

    def compact(self) -> None:
        with self._connection.errors():
            compact(self._db)

    def _selected(self, query: str, key: str, keys: Collection[str] | None) -> list[tuple[Any, ...]]:
        """Return the rows of a query, all or those of some keys."""
        with self._connection.errors():
            if keys is None:
                return self._db.execute(query).fetchall()
            wanted = f"{query} WHERE {key} = ?"
            return [values for name in keys for values in self._db.execute(wanted, (name,))]

    def spend(self, adw_id: str) -> tuple[Spend, ...]:
        with self._connection.errors():
            return self._spend.of(adw_id)

    def spent(
        self,
        by: Sequence[Group | Derived] = (),
        *,
        first: int | None = None,
        last: int | None = None,
        starts: Sequence[int] | None = None,
        where: Where = (),
    ) -> Iterator[SpendSum]:
        with self._connection.errors():
            compact(self._db)
            with self._connection.snapshot():
                return sums(self._db, by, first, last, starts=starts, where=where)

    def spent_most(self, asked: Most) -> MostSpent | None:
        with self._connection.errors():
            compact(self._db)
            with self._connection.snapshot():
                return most(self._db, asked)

    def spent_between(self) -> tuple[int, int] | None:
        with self._connection.errors():
            return self._spend.between()

    def row_values(self, name: Group) -> list[str | int | None]:
        with self._connection.errors():
            return [value for (value,) in self._db.execute(values_query(name))]

    def write(self, batch: Sequence[Projected], *, pure: bool, reason: str) -> list[CostChange]:
        with self._connection.errors(), self._connection.transaction():
            return self._write_batch(batch, pure=pure, reason=reason)

    def forget(self, workflow_id: str) -> None:
        with self._connection.errors(), self._connection.transaction():
            self._db.execute("DELETE FROM costledger_checkpoint WHERE workflow_id = ?", (workflow_id,))

    def audit(self, adw_id: str | None = None, *, after: int = 0, limit: int | None = None) -> list[AuditEntry]:
        query = "SELECT id, adw_id, old_cost, new_cost, reason, timestamp FROM cost_audit_log WHERE id > ?"
        one, values = ("", ()) if adw_id is None else (" AND adw_id = ?", (adw_id,))
        most = -1 if limit is None else limit
        with self._connection.errors():
            found = self._db.execute(f"{query}{one} ORDER BY id LIMIT ?", (after, *values, most))
            return [AuditEntry(*entry) for entry in found]

    def remove(self, adw_ids: Collection[str], *, reason: str) -> list[CostChange]:
        with self._connection.errors(), self._connection.transaction():
            return self._remove_rows(adw_ids, reason)

    def forget_audit(self, adw_ids: Collection[str]) -> None:
        with self._connection.errors(), self._connection.transaction():
            for table in ("cost_audit_log", "costledger_change"):
                self._db.executemany(f"DELETE FROM {table} WHERE adw_id = ?", [(name,) for name in adw_ids])
        with self._connection.errors():
            compact(self._db)  # which have the names of agents and models

    @contextlib.contextmanager
    def rebuilding(self) -> Iterator[Fresh]:
        write, remove = self._write_batch, self._remove_rows
        with self._connection.errors(), fresh_rows(self._connection, write, remove, self._log) as fresh:
            yield fresh

    def parts(self) -> dict[str, LedgerPart]:
        with self._connection.errors():
            return self._parts.all()

    def _write_batch(self, batch: Sequence[Projected], *, pure: bool, reason: str) -> list[CostChange]:
        latest = [one for one in batch if not self._is_behind(one)]
        groups = recomposed(self._parts, sorted(latest, key=lambda one: one.head.seq))
        changes = []
        for one in latest:
            group = groups.pop(one.row.adw_id, None)
            made = one if group is None else Projected(group.row, group.spend, one.head)
            moved = group is not None and group.moved
            changes.append(self._write(made, one.head, pure=pure or moved, reason=reason))
        changes += self._write_connected(groups, reason)
        return [change for change in changes if change is not None]

    def _write_connected(self, groups: Mapping[str, CountedRow], reason: str) -> list[CostChange | None]:
        """Write the rows of workflows whose own ledgers were not read: another one was moved to them, or away."""
        return [
            self._write(Projected(one.row, one.spend, EMPTY), None, pure=one.moved, reason=reason)
            for _, one in sorted(groups.items())
        ]

    def _is_behind(self, projected: Projected) -> bool:
        """Return whether another refresh has read the ledger further."""
        query = "SELECT seq FROM costledger_checkpoint WHERE workflow_id = ?"
        read = self._db.execute(query, (projected.row.adw_id,)).fetchone()
        return read is not None and read[0] > projected.head.seq

    def _write(self, projected: Projected, head: Head | None, *, pure: bool, reason: str) -> CostChange | None:
        adw_id = projected.row.adw_id
        values = self._db.execute(f"{STORED} WHERE adw_id = ?", (adw_id,)).fetchone()
        stored = None if values is None else stored_of(values)
        before = self._before(adw_id) if self._upgrades and head is not None else None
        spent = self._spend.cost_nanousd(adw_id)
        row, change = decide(projected, stored, before, spent_nanousd=spent, pure=pure, reason=reason)
        self._store(row, head, projected.spend)
        if before is not None:
            self._db.execute("DELETE FROM costledger_upgrade WHERE adw_id = ?", (adw_id,))
        if change is not None:
            self._log(change)
        return change

    def _store(self, row: Row, checkpoint: Head | None, spend: Sequence[Spend]) -> None:
        if is_empty(row):
            self._db.execute("DELETE FROM workflow_history WHERE adw_id = ?", (row.adw_id,))
        else:
            self._db.execute(UPSERT, values_of(row))
        self._spend.put(row.adw_id, spend)
        if checkpoint is not None:
            self._db.execute(_CHECKPOINT, (row.adw_id, checkpoint.seq, checkpoint.size, checkpoint.hash))

    def _before(self, adw_id: str) -> Before | None:
        values = self._db.execute(f"{BEFORE} WHERE adw_id = ?", (adw_id,)).fetchone()
        return None if values is None else Before(stored_of(values[:-1]), values[-1])

    def _remove_rows(self, adw_ids: Collection[str], reason: str) -> list[CostChange]:
        changes = self._write_connected(recomposed(self._parts, (), removed=adw_ids), reason)
        changes += [self._remove(adw_id, reason) for adw_id in sorted(adw_ids)]
        return [change for change in changes if change is not None]

    def _remove(self, adw_id: str, reason: str) -> CostChange | None:
        values = self._db.execute(f"{STORED} WHERE adw_id = ?", (adw_id,)).fetchone()
        self._db.execute("DELETE FROM costledger_checkpoint WHERE workflow_id = ?", (adw_id,))
        self._spend.remove(adw_id)
        if values is None:
            return None
        change = removed(adw_id, stored_of(values), reason)
        self._log(change)
        self._db.execute("DELETE FROM workflow_history WHERE adw_id = ?", (adw_id,))
        return change

    def _log(self, change: CostChange) -> None:
        old = None if change.old_nanousd is None else float(money.to_wire(change.old_nanousd))
        new = float(money.to_wire(change.new_nanousd))
        self._db.execute(_AUDIT, (change.adw_id, old, new, change.reason, clocks.to_wire(self._clock())))
