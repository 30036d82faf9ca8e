"""Sessions that the ledgers have readings of, and what could not be read of transcripts, from the index of messages."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path
from typing import Final, NamedTuple

from ledger.errors import CostledgerError
from ledger.importing.message_index import INDEX_FILE, MessageIndex
from ledger.sources.findings import Skipped
from ledger.sources.formats.sqlite_read_only import open_read_only
from ledger.storage.directory_store import DirectoryStore

__all__ = ["Indexed", "IndexedSession", "indexed"]

_WAIT_SECONDS: Final = 1.0

_SESSIONS: Final = (
    "SELECT s.kind, s.session_id, s.workflow_id, coalesce(max(m.observed_at), '') FROM sessions s "
    "LEFT JOIN messages m ON m.session_id = s.session_id AND m.workflow_id = s.workflow_id GROUP BY 1, 2, 3"
)


class IndexedSession(NamedTuple):
    """A session in a workflow, by the kind of source that has readings of it.

    Attributes:
        last_at: when its last call was observed; "" when no call has a time.
    """

    kind: str
    session_id: str
    workflow_id: str
    last_at: str


class Indexed(NamedTuple):
    """What the index has.

    Attributes:
        skipped: what could not be read of transcripts when they were read last, by the kind they were read as.
    """

    sessions: list[IndexedSession]
    skipped: list[tuple[str, Skipped]]


def indexed(ledgers: DirectoryStore) -> Indexed | None:
    """Return what the index has, updated from the ledgers unless an import is running; None when it cannot be read."""
    if not (ledgers.path / "ledgers").is_dir():
        return Indexed([], [])
    with contextlib.suppress(CostledgerError), MessageIndex.opened(ledgers, waits=False):
        pass
    try:
        with contextlib.closing(open_read_only(ledgers.path / INDEX_FILE, wait_seconds=_WAIT_SECONDS)) as db:
            sessions = [IndexedSession(*row) for row in db.execute(_SESSIONS)]
            files = db.execute("SELECT path, kind, skipped FROM files WHERE skipped <> '[]' ORDER BY path").fetchall()
    except (sqlite3.Error, OSError):
        return None
    skipped = [
        (kind, Skipped(Path(os.fsdecode(path)), line, reason))
        for path, kind, found in files
        for line, reason in json.loads(found)
    ]
    return Indexed(sessions, skipped)
