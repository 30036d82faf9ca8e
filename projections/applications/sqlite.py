"""An application's SQLite database: read without leaving a trace, written in one short transaction."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from ledger.errors import HistoryUnavailable, HistoryUnwritable, reason
from ledger.events import timestamps as clocks
from ledger.sources.formats.sqlite_read_only import lenient_text, open_read_only
from ledger.storage.descriptors import shortage
from projections.applications.database import RunStatement

__all__ = ["SqliteDatabase"]

T = TypeVar("T")

_WAIT_SECONDS: Final = 10.0
_READ_WAIT_SECONDS: Final = 2.0
"""The time to wait for a lock of the application; shorter for a reader, since a page may be waiting for it."""


class SqliteDatabase:
    """A `Database` in a file.

    Raises:
        HistoryUnavailable: at construction and by every method; HistoryUnwritable where nothing can be written.
    """

    serial = "INTEGER PRIMARY KEY"
    for_update = ""

    def __init__(self, path: Path) -> None:
        self._path, self.where = path.resolve(), f"sqlite:{path}"
        if not path.is_file():
            raise HistoryUnavailable(self.where, "there is no such database")

    @property
    def _uri(self) -> str:
        return self._path.absolute().as_uri()

    @property
    def is_ours(self) -> bool:
        """Whether it is a history of our own; earlier versions left tables in applications' databases, but no sums."""
        names = self.read(lambda run: {name for (name,) in run("SELECT name FROM sqlite_master WHERE type = 'table'")})
        return {"costledger_meta", "costledger_total"} <= names

    def check(self) -> None:
        """Check that it has a table that can be a copy of our rows.

        Raises:
            HistoryUnavailable: it has none.
        """
        if "adw_id" not in self.read(_unique):
            raise HistoryUnavailable(self.where, "has no table workflow_history whose adw_id is unique")

    def read(self, work: Callable[[RunStatement], T]) -> T:
        """See `Database.read`."""
        with self._errors(), contextlib.closing(open_read_only(self._path, wait_seconds=_READ_WAIT_SECONDS)) as db:
            db.execute("BEGIN")
            return work(_runs(db))

    def write(self, work: Callable[[RunStatement], T]) -> T:
        """See `Database.write`."""
        with (
            self._errors(),
            contextlib.closing(_connected(f"{self._uri}?mode=rw", _WAIT_SECONDS)) as db,
        ):
            db.execute("BEGIN IMMEDIATE")
            try:
                done = work(_runs(db))
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
            return done

    def columns(self, run: RunStatement, table: str) -> dict[str, str]:
        """See `Database.columns`."""
        return dict(run("SELECT name, type FROM pragma_table_info(?)", (table,)))

    def reads(self, name: str, kind: str) -> str:  # noqa: ARG002
        """See `Database.reads`."""
        return name

    def as_column(self, kind: str, value: Any) -> Any:  # noqa: ARG002
        """See `Database.as_column`; SQLite returns the written value."""
        return value

    def back_up(self, run: RunStatement, folder: Path, columns: Sequence[str]) -> Path:  # noqa: ARG002
        """See `Database.back_up`: the whole database, by SQLite's backup API (https://www.sqlite.org/backup.html).

        The open transaction has the lock of writers, so another connection reads the state before it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self._path.stem}-{clocks.now():%Y%m%dT%H%M%S_%fZ}.db"
        with (
            contextlib.closing(_connected(f"{self._uri}?mode=ro", _WAIT_SECONDS)) as before,
            contextlib.closing(sqlite3.connect(path)) as copy,
        ):
            before.backup(copy)
        return path

    def state(self) -> object:
        """See `Database.state`: when the files were written last."""
        found = []
        for path in (self._path, self._path.with_name(f"{self._path.name}-wal")):
            with contextlib.suppress(OSError):
                stat = path.stat()
                found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return tuple(found)

    def close(self) -> None:
        """See `Database.close`: nothing stays open between two calls."""

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if (refused := shortage(error)) is not None:
                raise HistoryUnavailable(self.where, f"{reason(refused)}; nothing was written") from error
            text = str(error) or type(error).__name__
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL) or isinstance(error, PermissionError):
                raise HistoryUnwritable(self.where, text) from error
            if "locked" in text:
                text = "another program keeps it locked; try again"
            raise HistoryUnavailable(self.where, f"{text}; nothing was written") from error


def _connected(uri: str, wait_seconds: float) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, timeout=wait_seconds, isolation_level=None)
    db.text_factory = lenient_text
    return db


def _runs(db: sqlite3.Connection) -> RunStatement:
    def run(statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return db.execute(statement, values).fetchall()

    return run


def _unique(run: RunStatement) -> set[str]:
    """Return the columns of `workflow_history` that are unique by themselves."""
    keys = [name for (name,) in run("SELECT name FROM pragma_table_info('workflow_history') WHERE pk")]
    unique = set(keys) if len(keys) == 1 else set()
    for index, partial in run("SELECT name, partial FROM pragma_index_list('workflow_history') WHERE \"unique\""):
        names = [name for (name,) in run("SELECT name FROM pragma_index_info(?)", (index,))]
        unique |= set(names) if len(names) == 1 and not partial else set()
    return unique
