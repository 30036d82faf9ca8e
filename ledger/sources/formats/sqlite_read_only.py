"""A SQLite database of another program, read without making a file and without changing one."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["copied_with_log", "lenient_text", "open_read_only"]

_WAL: Final = b"\x02\x02"
"""Bytes 18 and 19 of a database in WAL mode (https://www.sqlite.org/fileformat2.html#the_database_header)."""


def open_read_only(path: Path, *, wait_seconds: float) -> sqlite3.Connection:
    """Open a database to read it.

    In WAL mode a reader would make the files `-wal` and `-shm` where they are missing. Without them no program has the
    database open, so all of it is in the file. If a killed program left content in them, it is read from a copy.

    Args:
        wait_seconds: how long to wait for a lock of another program.

    Raises:
        sqlite3.Error, OSError: it cannot be read.
    """
    path = path.resolve()  # SQLite's own files are next to the database, not next to a link to it
    uri = path.as_uri()
    wal, index = (path.with_name(f"{path.name}-{suffix}") for suffix in ("wal", "shm"))
    with path.open("rb") as file:
        in_wal_mode = file.read(20)[18:] == _WAL
    if in_wal_mode and not index.exists():
        if not wal.exists() or not wal.stat().st_size:
            return _connected(f"{uri}?immutable=1", wait_seconds)
        return copied_with_log(path, wal)
    db = _connected(f"{uri}?mode=ro", wait_seconds)
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        db.close()
        sidecar = wal if in_wal_mode else path.with_name(f"{path.name}-journal")
        if "locked" in str(error) or not sidecar.exists():
            raise
        return copied_with_log(path, sidecar)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _connected(uri: str, wait_seconds: float) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, timeout=wait_seconds, isolation_level=None)
    db.text_factory = lenient_text
    return db


def lenient_text(raw: bytes) -> str:
    """Return text of another program's database, whatever its bytes: one bad cell hides no row."""
    return raw.decode("utf-8", "replace")


def copied_with_log(path: Path, log: Path) -> sqlite3.Connection:
    """Return a copy in memory of a database and what its log (`-wal` or `-journal`) adds; any thread may use it.

    Raises:
        sqlite3.Error, OSError: it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="costledger-") as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder, file.name))
        db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        db.text_factory = lenient_text
        try:
            with contextlib.closing(sqlite3.connect(Path(folder, path.name))) as copy:
                copy.backup(db)
        except BaseException:
            db.close()
            raise
        return db
