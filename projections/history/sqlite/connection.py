"""A SQLite connection whose errors are ours and whose transactions are whole."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.errors import HistoryUnavailable, HistoryUnwritable, reason
from ledger.sources.formats.sqlite_read_only import copied_with_log
from ledger.storage.descriptors import shortage

__all__ = ["SqliteConnection"]

_WAIT_SECONDS: Final = 30.0
"""The time that a writer waits for another one; a batch of rows takes milliseconds."""
_RETRY_SECONDS: Final = 0.01

_REFUSED: Final = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}
)
"""SQLite's error codes when the file system refuses a write."""


class SqliteConnection:
    """One connection to a database file.

    Args:
        make: create the file when it does not exist.
        writes: False reads it where nothing can be written, not even the other files that SQLite needs next to it.

    Raises:
        HistoryUnavailable: at construction.
    """

    def __init__(self, path: Path, *, make: bool = True, writes: bool = True) -> None:
        self.path, self.writes = path, writes
        with self.errors():
            if make and writes:
                path.parent.mkdir(parents=True, exist_ok=True)
            elif not path.is_file():
                raise HistoryUnavailable(path, "there is no such database")
            self.db = _connected(path) if writes else _reading(path)
            try:
                self.db.execute("PRAGMA user_version").fetchone()  # open the file now, not at the first query
                self.note_files()
            except BaseException:
                self.db.close()
                raise

    def close(self) -> None:
        """Close the connection."""
        self.db.close()

    def note_files(self) -> None:
        """Record the identities of the files in use: the database, and its write-ahead log where it has one."""
        with self.errors():
            logs = self.writes and self.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        self._file = _identity(self.path)
        self._log = _identity(_log_of(self.path)) if logs else None
        self._log_size = 0
        self.identity = (self._file, self._log)

    @property
    def is_there(self) -> bool:
        """Whether the path still names the database that was opened."""
        return self._file is not None and _identity(self.path) == self._file

    @property
    def replaced(self) -> bool:
        """Whether an opened file is gone, was cut, or was replaced by another one."""
        return _identity(self.path) != self._file or self._damaged()

    def _damaged(self) -> bool:
        """Return whether another program truncated the database to nothing, or removed its log.

        SQLite removes a log only as its last connection closes (https://www.sqlite.org/walformat.html).
        """
        if self._log is None:
            return False
        try:
            return os.stat(self.path).st_size == 0 or _identity(_log_of(self.path)) != self._log
        except OSError:
            return True

    @property
    def was_cut(self) -> bool:
        """Whether the log is smaller than at the last call: another program made a checkpoint, or cut it."""
        if self._log is None:
            return False
        with contextlib.suppress(OSError):
            size, before = os.stat(_log_of(self.path)).st_size, self._log_size
            self._log_size = size
            return size < before
        return True

    def use_write_ahead_log(self) -> None:
        """Switch the database to a write-ahead log.

        Of several that create a database at once, SQLite answers all but one "locked" without a wait: they would wait
        for each other (https://www.sqlite.org/c3ref/busy_handler.html).
        """
        until = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                self.db.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(_RETRY_SECONDS)
            else:
                return

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all of the block or nothing; other writers wait, readers read the state before."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let the block read one state of the database; writers go on (https://www.sqlite.org/isolation.html)."""
        self.db.execute("BEGIN")
        try:
            yield
        finally:
            with contextlib.suppress(sqlite3.Error):
                self.db.execute("ROLLBACK")

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raise SQLite's errors as HistoryUnavailable or HistoryUnwritable."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if (refused := shortage(error)) is not None:
                raise HistoryUnavailable(self.path, f"{reason(refused)}; the ledgers are untouched") from error
            if (cause := _unwritable(self.path, error, writes=self.writes)) is not None:
                raise HistoryUnwritable(self.path, cause) from error
            raise HistoryUnavailable(self.path, _sentence(error)) from error


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connected(name: Path | str) -> sqlite3.Connection:
    uri = isinstance(name, str)
    return sqlite3.connect(name, uri=uri, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)


def _reading(path: Path) -> sqlite3.Connection:
    """Open a database for reading where no file can be written next to it.

    SQLite reads a WAL database only where its index `-shm` exists or can be created, or with `immutable=1`, which
    declares that no process changes the file (https://www.sqlite.org/wal.html#readonly). With that it does not read the
    WAL, so the WAL of a killed process is read from a copy.
    """
    where = path.absolute().as_uri()
    db = _connected(f"{where}?mode=ro")
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        db.close()
    except BaseException:
        db.close()
        raise
    else:
        return db
    journal = _log_of(path)
    if not journal.is_file() or not journal.stat().st_size:
        return _connected(f"{where}?immutable=1")
    db = copied_with_log(path, journal)
    db.text_factory = str
    return db


def _unwritable(path: Path, error: sqlite3.Error | OSError, *, writes: bool) -> str | None:
    """Return why nothing can be written in the folder of a database; None when the error has another cause."""
    code = None if isinstance(error, OSError) else getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code is not None and code not in _REFUSED:
        return None
    with contextlib.suppress(OSError):
        found = os.statvfs(path.parent)
        if found.f_flag & os.ST_RDONLY:
            return "its file system is read-only"
        if (found.f_blocks and not found.f_bavail) or code == sqlite3.SQLITE_FULL:
            return "its disk is full"
        if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            return "this user may not write there"
    return None if writes else "it was opened for reading only"


def _sentence(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if "not a database" in text:
        return "is not a SQLite database and was left as it is; use another data directory, or move the file away"
    if "locked" in text:
        return f"another program had it locked for {_WAIT_SECONDS:.0f} s; try again"
    if "malformed" in text:
        return f"{text}; delete it and run `costledger refresh`: the ledgers have all data"
    return f"{text}; the ledgers are untouched"
