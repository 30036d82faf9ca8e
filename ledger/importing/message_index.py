"""The index of messages: where each message counts, in all ledgers of a data directory, and how far files were read.

One message may be in many transcripts, and counts in one ledger. The index is a projection of the ledgers, updated
before it is used, in the SQLite file `transcripts.db`. When that is deleted, nothing is lost: it is built from scratch,
and transcripts that are read again add nothing to the ledgers.

One import at a time has it open, in one transaction.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.errors import (
    CostledgerError,
    DamagedLedger,
    ImportBusy,
    LedgerUnavailable,
    SourceUnreadable,
    is_shortage,
    reason,
)
from ledger.events.runs import Runs
from ledger.importing.ledger_state import LedgerState, state_of
from ledger.sources.findings import Beginning, Skipped
from ledger.sources.transcript import FileStamp, Mark
from ledger.storage.descriptors import shortage
from ledger.storage.directory_store import DirectoryStore, sizes_of
from ledger.storage.line import EMPTY, Head
from ledger.storage.store import LedgerStore

__all__ = ["INDEX_FILE", "FileRead", "IndexedMessage", "MessageIndex", "WrittenTotals"]

INDEX_FILE: Final = "transcripts.db"
_VERSION: Final = 9
_WAIT_SECONDS: Final = 600.0
"""How long an import waits for another one of the same data directory."""
_SKIPPED_MAX: Final = 1000
"""How many of the lines that could not be read are stored for one file."""
_PER_QUERY: Final = 500
_PENDING_MAX: Final = 50_000
"""Messages in memory before they are stored, some 20 MB."""

_SCHEMA: Final = """
CREATE TABLE ledgers (
    workflow_id TEXT PRIMARY KEY,
    seq INTEGER, size INTEGER, hash TEXT,      -- how far it was read
    run INTEGER, ended INTEGER, status TEXT,
    started_at TEXT, project TEXT,             -- of its starts, '' without one
    moved INTEGER                              -- to another workflow, at some time
) WITHOUT ROWID;
CREATE TABLE messages (
    message_id TEXT PRIMARY KEY,
    workflow_id TEXT, agent TEXT, session_id TEXT, model TEXT,
    measure BLOB, observed_at TEXT             -- of its largest reading
) WITHOUT ROWID;
CREATE TABLE sessions (                        -- by the kind of source that has readings of them
    session_id TEXT, workflow_id TEXT, kind TEXT,
    agent TEXT,                                -- of all its readings
    covered INTEGER,                           -- it has a reading of its own, or of one of its models
    unnamed INTEGER,                           -- some of its calls name no request id
    models TEXT, total_models TEXT,            -- of its messages, and those with readings of their own
    PRIMARY KEY (session_id, workflow_id, kind)
) WITHOUT ROWID;
CREATE TABLE totals (                          -- that clients wrote into the transcripts of their sessions
    session_id TEXT PRIMARY KEY,
    base TEXT,                                 -- carried over from a parent, NULL while unknown
    written TEXT,                              -- nanodollars and tokens of each
    short INTEGER                              -- some of them leaves out messages before it
) WITHOUT ROWID;
CREATE TABLE files (
    path BLOB,                                 -- as the operating system has it: it need not be text
    kind TEXT,                                 -- of transcripts that it was read as
    size INTEGER, mtime_ns INTEGER, inode INTEGER,
    offset INTEGER, lines INTEGER, ending TEXT, begun TEXT, state TEXT,
    messages INTEGER,                          -- how many it had
    skipped TEXT,                              -- what could not be read: lines and reasons, as JSON
    PRIMARY KEY (path, kind)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class IndexedMessage:
    """Where a message counts, and its largest reading."""

    workflow_id: str
    agent: str | None
    session_id: str | None
    model: str | None
    measure: bytes
    observed_at: str


@dataclass(frozen=True, slots=True)
class FileRead:
    """How far a file was read, and what it looked like then.

    Attributes:
        messages: how many it had.
        skipped: what of it could not be read.
    """

    stamp: FileStamp
    mark: Mark
    messages: int
    skipped: tuple[Skipped, ...] = ()


@dataclass(slots=True)
class WrittenTotals:
    """The totals that a client wrote into a session's transcript, as `(nanodollars, tokens)`.

    Attributes:
        base: what the session carries over from the one it was forked from; None while that is unknown.
        written: each of them, in the order of the file.
        short: some of them leaves out messages that the file has before it.
    """

    base: tuple[int, int] | None = None
    written: list[tuple[int, int]] = field(default_factory=list)
    short: bool = False


class MessageIndex:
    """The index of one data directory; use `opened`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._pending: list[tuple[Any, ...]] = []

    @classmethod
    @contextlib.contextmanager
    def opened(cls, ledgers: LedgerStore, *, waits: bool = True) -> Iterator[MessageIndex]:
        """Open the index of a store, updated from its ledgers and locked until the end, when it is committed.

        Args:
            waits: for another import of the same data directory, up to ten minutes.

        Raises:
            ImportBusy: another import has it locked.
            SourceUnreadable: its file can be neither read nor created.
        """
        path = ledgers.path / INDEX_FILE if isinstance(ledgers, DirectoryStore) else None
        connection = _connected(path, _WAIT_SECONDS if waits else 0.0)
        try:
            index = cls(connection)
            index._catch_up(ledgers)
            yield index
            index._store_pending()
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            where = path or Path(INDEX_FILE)
            if (refused := shortage(error)) is not None:
                raise SourceUnreadable(where, f"cannot be used: {reason(refused)}") from error
            raise SourceUnreadable(where, f"the index of messages failed ({error}); it may be deleted") from error
        finally:
            connection.close()

    def recorded(self, message_ids: Iterable[str]) -> dict[str, IndexedMessage]:
        """Return those of the messages that some ledger has."""
        self._store_pending()
        if self._db.execute("SELECT 1 FROM messages LIMIT 1").fetchone() is None:
            return {}  # a first import has very many messages to look for
        query = "SELECT message_id, workflow_id, agent, session_id, model, measure, observed_at FROM messages"
        return {row[0]: IndexedMessage(*row[1:]) for row in self._some(query, "message_id", message_ids)}

    def sessions(self) -> dict[str, set[str]]:
        """Return the workflows that have readings of each session."""
        found: dict[str, set[str]] = {}
        for session_id, workflow_id in self._db.execute("SELECT session_id, workflow_id FROM sessions"):
            found.setdefault(session_id, set()).add(workflow_id)
        return found

    def workflows_of(self, session_ids: Iterable[str], first: str = "") -> dict[str, list[str]]:
        """Return the workflows that have readings of each session.

        Args:
            first: the kind of source whose workflows come before others.
        """
        found: dict[str, set[tuple[bool, str]]] = {}
        query = "SELECT session_id, workflow_id, kind FROM sessions"
        for session_id, workflow_id, kind in self._some(query, "session_id", session_ids):
            found.setdefault(session_id, set()).add((kind != first, workflow_id))
        return {id: list(dict.fromkeys(workflow_id for _, workflow_id in sorted(of))) for id, of in found.items()}

    def ledger(self, workflow_id: str) -> tuple[Head, LedgerState]:
        """Return how far a ledger was read, and its state but for its messages."""
        row = self._db.execute(
            "SELECT seq, size, hash, run, ended, status, started_at, project, moved FROM ledgers WHERE workflow_id = ?",
            (workflow_id,),
        ).fetchone()
        if row is None:
            return EMPTY, LedgerState()
        state = LedgerState(row[0], runs=Runs(row[3], bool(row[4])), status=row[5], started_at=row[6], project=row[7])
        state.moved = bool(row[8])
        sessions = self._db.execute(
            "SELECT session_id, kind, agent, covered, unnamed, models, total_models FROM sessions"
            " WHERE workflow_id = ? ORDER BY covered",
            (workflow_id,),
        )
        for session_id, kind, agent, covered, unnamed, models, total_models in sessions:
            state.models.setdefault(session_id, set()).update(orjson.loads(models))
            state.total_models.setdefault(session_id, set()).update(orjson.loads(total_models))
            state.session_agents[session_id] = agent
            state.session_kinds.add((session_id, kind))
            if covered:
                state.covered.add(session_id)
            if unnamed:
                state.unnamed.add(session_id)
        return Head(row[0], row[1], row[2]), state

    def update(self, workflow_id: str, head: Head, state: LedgerState) -> None:
        """Store the state of a ledger at a head: the one of `ledger`, with the lines since then added to it."""
        row = (workflow_id, head.seq, head.size, head.hash, state.runs.run, state.runs.ended, state.status)
        self._db.execute(
            "INSERT OR REPLACE INTO ledgers VALUES (?,?,?,?,?,?,?,?,?,?)",
            (*row, state.started_at, state.project, state.moved),
        )
        self._pending += [(id, workflow_id, *state.messages[id], *largest) for id, largest in state.measures.items()]
        if len(self._pending) >= _PENDING_MAX:
            self._store_pending()
        self._db.executemany(
            "INSERT INTO sessions VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET agent = excluded.agent,"
            " covered = max(covered, excluded.covered), unnamed = max(unnamed, excluded.unnamed),"
            " models = excluded.models, total_models = excluded.total_models",
            (
                (
                    id,
                    workflow_id,
                    kind,
                    state.session_agents.get(id),
                    id in state.covered,
                    id in state.unnamed,
                    orjson.dumps(sorted(state.models.get(id, ()))).decode(),
                    orjson.dumps(sorted(state.total_models.get(id, ()))).decode(),
                )
                for id, kind in state.session_kinds
            ),
        )

    def totals(self, session_ids: Iterable[str]) -> dict[str, WrittenTotals]:
        """Return the totals that clients wrote into the transcripts of these sessions."""
        found = {}
        for session_id, base, written, short in self._some("SELECT * FROM totals", "session_id", session_ids):
            pairs = [(nanousd, tokens) for nanousd, tokens in orjson.loads(written)]
            carried = None if base is None else tuple(orjson.loads(base))
            found[session_id] = WrittenTotals(carried, pairs, bool(short))
        return found

    def store_totals(self, session_id: str, totals: WrittenTotals) -> None:
        """Store the totals of a session."""
        base = None if totals.base is None else orjson.dumps(totals.base).decode()
        row = (session_id, base, orjson.dumps(totals.written).decode(), totals.short)
        self._db.execute("INSERT OR REPLACE INTO totals VALUES (?,?,?,?)", row)

    def _store_pending(self) -> None:
        """Store the messages of many ledgers in the order of their ids, which takes a third of the time."""
        self._db.executemany(
            "INSERT INTO messages VALUES (?,?,?,?,?,?,?) ON CONFLICT (message_id) DO UPDATE"
            " SET measure = max(measure, excluded.measure),"
            " observed_at = max(observed_at, excluded.observed_at) WHERE workflow_id = excluded.workflow_id",
            sorted(self._pending, key=itemgetter(0)),
        )
        self._pending.clear()

    def marks(self, kind: str, files: Iterable[Path]) -> dict[Path, FileRead]:
        """Return how far files were read as this kind."""
        found = {}
        for (
            name,
            read_as,
            size,
            mtime,
            inode,
            offset,
            count,
            ending,
            beginnings,
            state,
            messages,
            skipped,
        ) in self._some("SELECT * FROM files", "path", map(os.fsencode, files)):
            if read_as != kind:
                continue
            path = Path(os.fsdecode(name))
            sessions = {id: Beginning(*fields) for id, fields in orjson.loads(beginnings).items()}
            found[path] = FileRead(
                FileStamp(size, mtime, inode),
                Mark(offset, count, ending, sessions, orjson.loads(state)),
                messages,
                tuple(Skipped(path, line, reason) for line, reason in orjson.loads(skipped)),
            )
        return found

    def mark(self, kind: str, path: Path, read: FileRead) -> None:
        """Store that a file was read up to a mark, and that all of it is in the ledgers."""
        stamp, mark = read.stamp, read.mark
        beginnings = orjson.dumps({id: tuple(found) for id, found in mark.beginnings.items()}).decode()
        row = (
            os.fsencode(path),
            kind,
            stamp.size,
            stamp.mtime_ns,
            stamp.inode,
            mark.offset,
            mark.lines,
            mark.ending,
            beginnings,
            orjson.dumps(mark.state).decode(),
        )
        skipped = [(each.line, each.reason) for each in read.skipped[:_SKIPPED_MAX]]
        self._db.execute(
            "INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            (*row, read.messages, json.dumps(skipped)),  # a reason may quote what is no text
        )

    def _some(self, query: str, column: str, values: Iterable[str | bytes]) -> Iterator[tuple[Any, ...]]:
        wanted = list(values)
        for start in range(0, len(wanted), _PER_QUERY):
            some = wanted[start : start + _PER_QUERY]
            yield from self._db.execute(f"{query} WHERE {column} IN ({','.join('?' * len(some))})", some)

    def _catch_up(self, ledgers: LedgerStore) -> None:
        """Read what was appended since; if a ledger does not continue where it was, rebuild the index."""
        sizes = sizes_of(ledgers)
        indexed_sizes: Mapping[str, int] = dict(self._db.execute("SELECT workflow_id, size FROM ledgers"))
        if any(sizes.get(workflow_id, 0) < size for workflow_id, size in indexed_sizes.items()):
            indexed_sizes = self._clear()
        grown = sorted(workflow_id for workflow_id, size in sizes.items() if size > indexed_sizes.get(workflow_id, 0))
        for workflow_id in grown:
            head, found = self.ledger(workflow_id)
            try:
                reader = ledgers.read(workflow_id, start=head)
                found = state_of(reader, found)
            except DamagedLedger:
                if not head.seq:
                    continue  # an append to it fails, too, and reports the damage
                self._clear()
                self._catch_up(ledgers)
                return
            except CostledgerError as error:
                if isinstance(error, LedgerUnavailable) and is_shortage(error.error):
                    raise  # the ledger is intact, and its messages must not be counted in another one
                continue
            self.update(workflow_id, reader.head, found)

    def _clear(self) -> dict[str, int]:
        self._pending.clear()
        for table in ("ledgers", "messages", "sessions", "totals", "files"):
            self._db.execute(f"DELETE FROM {table}")
        return {}


def _connected(path: Path | None, wait_seconds: float) -> sqlite3.Connection:
    """Connect to the file in a transaction, with its tables created; a file that is no such index is replaced."""
    for attempt in range(2):
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            return _in_transaction(sqlite3.connect(path or ":memory:", timeout=wait_seconds, isolation_level=None))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY and path is not None:
                raise ImportBusy(path) from error
            refused = shortage(error)
            problem = reason(refused) if refused else str(error)
            raise SourceUnreadable(path or Path(INDEX_FILE), f"cannot be used: {problem}") from error
        except (sqlite3.DatabaseError, OSError) as error:
            if attempt or path is None or isinstance(error, OSError):
                problem = reason(error) if isinstance(error, OSError) else f"{error}; delete it"
                raise SourceUnreadable(path or Path(INDEX_FILE), f"cannot be used: {problem}") from error
            path.unlink(missing_ok=True)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _in_transaction(connection: sqlite3.Connection) -> sqlite3.Connection:
    try:
        connection.execute("PRAGMA synchronous = OFF")  # it can be rebuilt
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in tables:
                connection.execute(f'DROP TABLE "{name}"')
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection
