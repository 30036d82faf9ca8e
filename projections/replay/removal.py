"""Removing a workflow: its ledger is set aside or erased, its row and sums go, and nothing imports it again."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.errors import LedgerUnavailable
from ledger.importing.auto_import import STATE_FILE
from ledger.importing.message_index import INDEX_FILE
from ledger.importing.source_registry import SourceRegister
from ledger.importing.titles import TITLES_FILE
from ledger.maintenance.removal import Tombstone, remove_ledger
from ledger.storage.directory_store import DirectoryStore
from projections.history.store import CostChange, HistoryStore

__all__ = ["Removal", "remove", "replicas_of"]

_CACHES: Final = (INDEX_FILE, TITLES_FILE, STATE_FILE)
"""Files that are made again when they are missing."""
_DATABASE: Final = ".db"
_SEARCHED_CHARACTERS_MIN: Final = 6
"""A shorter id is found in files that have nothing to do with it."""
_KEYS: Final = ("adw_id", "workflow_id")


@dataclass(slots=True)
class Removal:
    """What a removal did.

    Attributes:
        changes: of the costs of rows.
        replicas: addresses of the shared engines that have lines of the ledger.
        still_named_in: files of the data directory that still name an id of an erased workflow.
    """

    tombstone: Tombstone
    changes: list[CostChange] = field(default_factory=list)
    replicas: list[str] = field(default_factory=list)
    still_named_in: list[Path] = field(default_factory=list)


def remove(ledgers: DirectoryStore, history: HistoryStore, workflow_id: str, *, purge: bool) -> Removal:
    """Remove a workflow: set its ledger aside, or erase its bytes from all files of the data directory.

    The row is removed with its spend, and other rows that it was moved to are made again.

    Raises:
        UnknownWorkflow, DamagedLedger, LedgerUnavailable, HistoryUnavailable, SourceUnreadable: run it again.
    """
    data = ledgers.path
    replicas = replicas_of(data, workflow_id)
    tombstone, ids = remove_ledger(ledgers, workflow_id, purge=purge)
    done = Removal(tombstone, replicas=replicas)
    if not history.shared:
        done.changes = history.remove([workflow_id], reason="purged" if purge else "removed")
    if purge:
        history.forget_audit([workflow_id])
        _erase(data, workflow_id, ids)
        done.still_named_in = sorted(_files_with(data, ids))
    return done


def replicas_of(data: Path, workflow_id: str) -> list[str]:
    """Return the addresses of the shared engines that have acknowledged lines of a ledger."""
    path = data / "replication.db"
    if not path.is_file():
        return []
    query = "SELECT DISTINCT address FROM replica JOIN acknowledged USING (identity) WHERE workflow_id = ?"
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as db:
        return [address for (address,) in db.execute(query, (workflow_id,))]
    return []


def _erase(data: Path, workflow_id: str, ids: set[str]) -> None:
    """Erase what caches, databases, the register of sources and the spool have of a workflow."""
    SourceRegister(data).drop(ids)
    try:
        for name in _CACHES:
            for path in data.glob(f"{name}*"):
                path.unlink(missing_ok=True)
        for path in sorted(data.glob(f"*{_DATABASE}")):
            _erase_rows(path, workflow_id)
        for path in sorted((data / "live").glob("*")):
            if path.is_file():
                _erase_lines(path, ids)
    except (OSError, sqlite3.Error) as error:
        problem = error if isinstance(error, OSError) else OSError(0, str(error))
        raise LedgerUnavailable(data, "erase all bytes of a workflow in", problem) from error


def _erase_rows(path: Path, workflow_id: str) -> None:
    """Delete a workflow's rows from every table of a database, and rewrite it without free pages."""
    with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete = ON")
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for key in [column for _, column, *_ in db.execute(f'PRAGMA table_info("{table}")') if column in _KEYS]:
                db.execute(f'DELETE FROM "{table}" WHERE "{key}" = ?', (workflow_id,))
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _erase_lines(path: Path, ids: Collection[str]) -> None:
    """Delete a file that is named by an id, or those of its lines that name one."""
    if any(path.name.startswith(one) for one in _searched(ids)):
        path.unlink(missing_ok=True)
        return
    needles = [one.encode() for one in _searched(ids)]
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = file.read().splitlines(keepends=True)
        kept = [line for line in lines if not any(needle in line for needle in needles)]
        if kept != lines:
            file.seek(0)
            file.writelines(kept)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())


def _files_with(data: Path, ids: Collection[str]) -> Iterator[Path]:
    """Yield the files of a data directory that contain an id."""
    needles = [one.encode() for one in _searched(ids)]
    for path in data.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with contextlib.suppress(OSError):
                content = path.read_bytes()
                if any(needle in content or needle in os.fsencode(path.name) for needle in needles):
                    yield path


def _searched(ids: Collection[str]) -> list[str]:
    return [one for one in ids if len(one) >= _SEARCHED_CHARACTERS_MIN]
