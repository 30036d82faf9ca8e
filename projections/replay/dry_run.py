"""A trial: what a resync would do, done to copies of the ledgers and the rows."""

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

__all__ = ["Trial", "tried_out"]


@dataclass(frozen=True, slots=True)
class Trial:
    """Copies, gone with the trial."""

    ledgers: DirectoryStore
    history: MemoryHistory


@contextlib.contextmanager
def tried_out(ledgers: DirectoryStore, history: HistoryStore) -> Iterator[Trial]:
    """Copies of a data directory's ledgers, in a temporary folder, and of a history, in memory.

    Raises:
        HistoryUnavailable: the history cannot be read.
        LedgerUnavailable: the ledgers cannot be copied, since there is no room for them, say.
    """
    with tempfile.TemporaryDirectory(prefix="costledger-") as folder:
        data = Path(folder, "data")
        try:
            _copy(ledgers, data)
        except OSError as error:
            raise LedgerUnavailable(data, "copy the ledgers, for a trial, to", error) from error
        yield Trial(DirectoryStore(data, durability="none"), _copied(history))


def _copy(ledgers: DirectoryStore, data: Path) -> None:
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


def _copied(history: HistoryStore) -> MemoryHistory:
    """The rows, their checkpoints, and their spend, by which a figure that another program raised is known."""
    copy, checkpoints = MemoryHistory(), history.checkpoints()
    for row in history.rows():
        copy.put(row, checkpoints.get(row.adw_id), history.spend(row.adw_id))
    return copy
