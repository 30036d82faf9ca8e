"""A dry run: a resync of copies of the ledgers and the rows."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import LedgerUnavailable
from ledger.importing.message_index import INDEX_FILE
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.origin import keep_origin
from projections.history.memory import MemoryHistory
from projections.history.store import HistoryStore

__all__ = ["Copies", "copied"]


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies of a dry run, which end with it."""

    ledgers: DirectoryStore
    history: MemoryHistory


@contextlib.contextmanager
def copied(ledgers: DirectoryStore, history: HistoryStore) -> Iterator[Copies]:
    """Copy a data directory's ledgers into a temporary folder, and a history into memory.

    Raises:
        HistoryUnavailable: the history cannot be read.
        LedgerUnavailable: the ledgers cannot be copied, for example because the disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="costledger-") as folder:
        data = Path(folder, "data")
        try:
            _copy_ledgers(ledgers, data)
        except OSError as error:
            raise LedgerUnavailable(data, "copy the ledgers, for a dry run, to", error) from error
        yield Copies(DirectoryStore(data, durability="none"), _copy_history(history))


def _copy_ledgers(ledgers: DirectoryStore, data: Path) -> None:
    (data / "ledgers").mkdir(parents=True)
    for ledger in ledgers.workflow_ids():
        path = ledgers.ledger_path(ledger)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(path, data / "ledgers" / path.name)
    if (ledgers.path / "origin").exists():
        shutil.copyfile(ledgers.path / "origin", data / "origin")
        keep_origin(data)
    if (ledgers.path / INDEX_FILE).exists():
        with (
            contextlib.closing(sqlite3.connect(ledgers.path / INDEX_FILE)) as index,
            contextlib.closing(sqlite3.connect(data / INDEX_FILE)) as copy,
        ):
            index.backup(copy)


def _copy_history(history: HistoryStore) -> MemoryHistory:
    """Copy rows, checkpoints and spend, which shows the figures that another program raised."""
    copy, checkpoints = MemoryHistory(), history.checkpoints()
    for row in history.rows():
        copy.put(row, checkpoints.get(row.adw_id), history.spend(row.adw_id))
    copy.put_parts(history.parts())
    return copy
