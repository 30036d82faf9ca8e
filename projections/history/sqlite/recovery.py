"""A history whose SQLite files were damaged under it, put into a new file: as much as can still be read.

A connection that is open knows what it read of a write-ahead log that was deleted or cut since, and all connections of
a process share one index of it, so the same file cannot be opened again beside them. A new file has a log and an index
of its own.
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

    It is read through a connection of its own: one that is open has pages in memory.

    Raises:
        sqlite3.Error: that cannot be decided now: another program has it locked, say.
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
    """Put what can be read of a database into a new file in its place; nothing is there when nothing can.

    What this connection can still read comes first, then what the file holds without its log. A file of which nothing
    can be read stays as `<name>.damaged-<n>`.

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
    """Write a new file of what an open connection reads; False when it cannot read all of it."""
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
    """Copy the file without its log; False when that is not whole."""
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
    """Number changes from now on above all that were published, and let readers be undisturbed by writers."""
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
