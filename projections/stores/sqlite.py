"""The history in a SQLite file: rows, checkpoints and audit log in one transaction, readers undisturbed (WAL)."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import astuple
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from ledger import clock as clocks
from ledger import money
from ledger.clock import Clock
from ledger.errors import HistoryUnavailable
from ledger.line import Head
from projections.store import AuditEntry, CostChange, Projected, Stored, decide, removed, visible_cost
from projections.workflow_history import COLUMNS, Row

__all__ = ["SqliteHistory"]

SCHEMA_VERSION: Final = 1
FOLD_VERSION: Final = 1
"""Raised whenever the same lines give another row; every ledger is then folded anew."""

_WAIT_SECONDS: Final = 30.0
"""How long a writer waits for another one; a batch of rows takes milliseconds."""

_ROW: Final = f"SELECT {', '.join(COLUMNS)} FROM workflow_history"
_UPSERT: Final = (
    f"INSERT INTO workflow_history ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    f"ON CONFLICT (adw_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[1:])}"
)
_STORED: Final = "SELECT adw_id, actual_cost_total, actual_cost_nanousd, status FROM workflow_history"
_CHECKPOINT: Final = "INSERT OR REPLACE INTO costledger_checkpoint (workflow_id, seq, size, hash) VALUES (?, ?, ?, ?)"
_AUDIT: Final = "INSERT INTO cost_audit_log (adw_id, old_cost, new_cost, reason, timestamp) VALUES (?, ?, ?, ?, ?)"


class SqliteHistory:
    """Rows in a SQLite database of our own; a `HistoryStore`.

    The file is made when it is first needed. A database of another application is refused and left as it is, so is
    one of a newer version; an older one's rows are dropped, to be replayed by the next refresh, its audit log stays.

    Raises:
        HistoryUnavailable: at construction and by every method.
    """

    def __init__(self, path: Path, *, clock: Clock = clocks.now) -> None:
        self.path = path
        self._clock = clock
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Close the database; the object cannot be used after that."""
        self._db.close()

    def __enter__(self) -> SqliteHistory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def rows(self) -> list[Row]:
        """See `HistoryStore.rows`."""
        with self._errors():
            return [Row(*values) for values in self._db.execute(f"{_ROW} ORDER BY adw_id")]

    def row(self, adw_id: str) -> Row | None:
        """See `HistoryStore.row`."""
        with self._errors():
            values = self._db.execute(f"{_ROW} WHERE adw_id = ?", (adw_id,)).fetchone()
            return None if values is None else Row(*values)

    def stored(self) -> dict[str, Stored]:
        """See `HistoryStore.stored`."""
        with self._errors():
            return {values[0]: _stored(values) for values in self._db.execute(_STORED)}

    def checkpoints(self) -> dict[str, Head]:
        """See `HistoryStore.checkpoints`."""
        with self._errors():
            found = self._db.execute("SELECT workflow_id, seq, size, hash FROM costledger_checkpoint")
            return {workflow_id: Head(seq, size, digits) for workflow_id, seq, size, digits in found}

    def write(self, batch: Sequence[Projected], *, pure: bool, reason: str) -> list[CostChange]:
        """See `HistoryStore.write`."""
        changes: list[CostChange] = []
        with self._errors(), self._transaction():
            for projected in batch:
                change = self._write(projected, pure=pure, reason=reason)
                if change is not None:
                    self._log(change)
                    changes.append(change)
        return changes

    def _write(self, projected: Projected, *, pure: bool, reason: str) -> CostChange | None:
        adw_id, head = projected.row.adw_id, projected.head
        known = self._db.execute("SELECT seq FROM costledger_checkpoint WHERE workflow_id = ?", (adw_id,)).fetchone()
        if known is not None and known[0] > head.seq:
            return None
        values = self._db.execute(f"{_STORED} WHERE adw_id = ?", (adw_id,)).fetchone()
        stored = None if values is None else _stored(values)
        row, change = decide(projected.row, stored, pure=pure, reason=reason)
        self._db.execute(_UPSERT, astuple(row))
        self._db.execute(_CHECKPOINT, (adw_id, head.seq, head.size, head.hash))
        return change

    def audit(self, adw_id: str | None = None) -> list[AuditEntry]:
        """See `HistoryStore.audit`."""
        query = "SELECT id, adw_id, old_cost, new_cost, reason, timestamp FROM cost_audit_log"
        where, values = ("", ()) if adw_id is None else (" WHERE adw_id = ?", (adw_id,))
        with self._errors():
            return [AuditEntry(*entry) for entry in self._db.execute(f"{query}{where} ORDER BY id", values)]

    def remove(self, adw_ids: Collection[str], *, reason: str) -> list[CostChange]:
        """See `HistoryStore.remove`."""
        changes: list[CostChange] = []
        with self._errors(), self._transaction():
            for adw_id in sorted(adw_ids):
                values = self._db.execute(f"{_STORED} WHERE adw_id = ?", (adw_id,)).fetchone()
                if values is not None:
                    changes.append(removed(adw_id, _stored(values), reason))
                    self._log(changes[-1])
                    self._db.execute("DELETE FROM workflow_history WHERE adw_id = ?", (adw_id,))
                self._db.execute("DELETE FROM costledger_checkpoint WHERE workflow_id = ?", (adw_id,))
        return changes

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
        if tables and "costledger_meta" not in tables:
            raise HistoryUnavailable(
                self.path, "is a database of another application and was left as it is; use another data directory"
            )
        versions = dict(self._db.execute("SELECT key, value FROM costledger_meta")) if tables else {}
        if versions.get("schema_version", 0) > SCHEMA_VERSION or versions.get("fold_version", 0) > FOLD_VERSION:
            raise HistoryUnavailable(
                self.path,
                f"was written by a newer version (schema {versions.get('schema_version')}, this one knows "
                f"{SCHEMA_VERSION}); upgrade costledger, or delete the file: `costledger refresh` makes it anew",
            )
        if versions == {"schema_version": SCHEMA_VERSION, "fold_version": FOLD_VERSION}:
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        with self._transaction():
            if versions.get("schema_version", SCHEMA_VERSION) < SCHEMA_VERSION:
                self._db.execute("DROP TABLE workflow_history")
            for statement in _statements():
                self._db.execute(statement)
            self._db.execute("DELETE FROM costledger_checkpoint")
            self._db.execute(
                "INSERT OR REPLACE INTO costledger_meta (key, value) VALUES ('schema_version', ?), ('fold_version', ?)",
                (SCHEMA_VERSION, FOLD_VERSION),
            )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except (sqlite3.Error, OSError, TypeError, ValueError) as error:
            raise HistoryUnavailable(self.path, _sentence(error)) from error


def _stored(values: tuple[Any, ...]) -> Stored:
    _, total, exact, status = values
    return Stored(visible_cost(total), exact, status)


def _statements() -> list[str]:
    text = files("projections.stores").joinpath("schema.sql").read_text(encoding="utf-8")
    plain = "\n".join(line.partition("--")[0] for line in text.splitlines())
    return [statement for statement in plain.split(";") if statement.strip()]


def _sentence(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if "not a database" in text:
        return "is not a SQLite database and was left as it is; use another data directory, or move the file away"
    if "locked" in text:
        return f"another program kept it locked for {_WAIT_SECONDS:.0f} s; try again"
    if "malformed" in text:
        return f"{text}; delete it and run `costledger refresh`: the ledgers hold everything"
    return f"{text}; the ledgers are untouched"
