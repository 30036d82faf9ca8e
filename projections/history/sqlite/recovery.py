"""Recovery of a history whose SQLite files were damaged while open: a new file with all that can still be read.

An open connection has cached what it read of a write-ahead log that was deleted or cut since. All connections of a
process share one index of the log, so the same file cannot be opened again in this process. A new file has its own log
and index.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
from datetime import datetime
from pathlib import Path

from projections.history.store import number_before_first

__all__ = ["is_whole", "recover"]

_log = logging.getLogger("costledger")

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR})


def is_whole(path: Path) -> bool:
    """Return whether every page of a database can be read and fits the others.

    It is read through a new connection, since an open one has pages in memory.

    Raises:
        sqlite3.Error: this cannot be decided now, for example because another program has locked the database.
    """
    try:
        with contextlib.closing(sqlite3.connect(path)) as db:
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            return False
        raise
    return bool(found == "ok")


def recover(path: Path, db: sqlite3.Connection, now: datetime) -> None:
    """Replace a database by a new file with all that can be read; without any, leave no file at its path.

    First comes what this connection can still read, then the contents of the file without its log. A file of which
    nothing can be read stays as `<name>.damaged-<n>`.

    Raises:
        OSError: the file system refused.
    """
    new = path.with_name(f"{path.name}.new-{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    empty = path.stat().st_size == 0
    try:
        carried = not empty and (_read_by(db, new, now) or _read_from(path, new, now))
        if carried:
            _log.warning("%s was damaged; its rows and audit log were carried over into a new file", path)
        elif empty:
            _log.warning("%s was cut to nothing; its rows are replayed, its audit log is lost", path)
        else:
            _log.warning("%s was damaged and stays as %s; its rows are replayed", path, _put_aside(path))
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).unlink()
        if carried:
            new.replace(path)
        elif empty:
            path.unlink()
    finally:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()


def _read_by(db: sqlite3.Connection, new: Path, now: datetime) -> bool:
    """Write a new file from an open connection; return False when it cannot read all of the database."""
    try:
        with contextlib.suppress(sqlite3.OperationalError):
            db.execute("ROLLBACK")  # a transaction that failed half-way
        db.execute("VACUUM INTO ?", (str(new),))
        _begin_era(new, now)
    except sqlite3.Error:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        return False
    return True


def _read_from(path: Path, new: Path, now: datetime) -> bool:
    """Copy the file without its log; return False when the copy is damaged."""
    shutil.copyfile(path, new)
    try:
        if is_whole(new):
            _begin_era(new, now)
            return True
    except sqlite3.Error:
        pass
    new.unlink()
    return False


def _begin_era(new: Path, now: datetime) -> None:
    """Number later changes above all published ones, and set the journal mode in which readers never wait."""
    with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as db:
        query = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'costledger_change'"
        db.execute(query, (number_before_first(now),))
        db.execute("PRAGMA journal_mode = WAL")


def _put_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    return aside
