"""Where each message counts, in all ledgers of a data directory, and how far each transcript was read.

One message may stand in many transcripts, and counts in one ledger. The index is a projection of the ledgers, caught up
before it is used, in the SQLite file `transcripts.db`; nothing is lost when that is deleted: it is made anew, and
transcripts read again hold nothing that the ledgers do not.

One import at a time holds it, in one transaction from its first look to its last word.
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
_VERSION: Final = 6
_WAIT_SECONDS: Final = 600.0
"""How long an import waits for another one of the same data directory."""
_SKIPPED_MAX: Final = 1000
"""Of the lines that could not be read, so many of one file are stored."""
_PER_QUERY: Final = 500
_LEARNT_MAX: Final = 50_000
"""Messages held before they are stored, some 20 MB."""

_SCHEMA: Final = """
CREATE TABLE ledgers (
    workflow_id TEXT PRIMARY KEY,
    seq INTEGER, size INTEGER, hash TEXT,      -- how far it was read
    run INTEGER, ended INTEGER, status TEXT,
    started_at TEXT, project TEXT              -- of its starts, '' when none says it
) WITHOUT ROWID;
CREATE TABLE messages (
    message_id TEXT PRIMARY KEY,
    workflow_id TEXT, agent TEXT, session_id TEXT, model TEXT,
    measure BLOB, observed_at TEXT             -- of its largest reading
) WITHOUT ROWID;
CREATE TABLE sessions (                        -- by the kind of source that has readings of them
    session_id TEXT, workflow_id TEXT, kind TEXT,
    agent TEXT,                                -- that all of it stands under
    covered INTEGER,                           -- it has a reading of its own, or of one of its models
    unnamed INTEGER,                           -- some of its calls name no request id
    models TEXT, total_models TEXT,            -- of its messages, and those with readings of their own
    PRIMARY KEY (session_id, workflow_id, kind)
) WITHOUT ROWID;
CREATE TABLE totals (                          -- that clients wrote into the transcripts of their sessions
    session_id TEXT PRIMARY KEY,
    base TEXT,                                 -- carried over from a parent, NULL while not known
    written TEXT,                              -- nanodollars and tokens of each
    short INTEGER                              -- some of them leaves out messages before it
) WITHOUT ROWID;
CREATE TABLE files (
    path BLOB,                                 -- as the operating system has it: it need not be text
    kind TEXT,                                 -- of transcripts that it was read as
    size INTEGER, mtime_ns INTEGER, inode INTEGER,
    offset INTEGER, lines INTEGER, ending TEXT, begun TEXT, state TEXT,
    messages INTEGER,                          -- how many it was found to hold
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
        messages: how many it held.
        skipped: what of it could not be read.
    """

    written: FileStamp
    mark: Mark
    messages: int
    skipped: tuple[Skipped, ...] = ()


@dataclass(slots=True)
class WrittenTotals:
    """The totals that a client wrote into a session's transcript, as `(nanodollars, tokens)`.

    Attributes:
        base: what the session carries over from the one it was forked from; None while that is not known.
        written: each of them, in the order of the file.
        short: some of them leaves out messages that the file has before it.
    """

    base: tuple[int, int] | None = None
    written: list[tuple[int, int]] = field(default_factory=list)
    short: bool = False


class MessageIndex:
    """The index of one data directory; `opened` gives it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._learnt: list[tuple[Any, ...]] = []

    @classmethod
    @contextlib.contextmanager
    def opened(cls, ledgers: LedgerStore, *, waits: bool = True) -> Iterator[MessageIndex]:
        """The index of a store, caught up with its ledgers and locked until the end, when it is stored.

        Args:
            waits: for another import of the same data directory, some time.

        Raises:
            ImportBusy: another import has it locked.
            SourceUnreadable: its file can be neither read nor made again.
        """
        path = ledgers.path / INDEX_FILE if isinstance(ledgers, DirectoryStore) else None
        connection = _connected(path, _WAIT_SECONDS if waits else 0.0)
        try:
            index = cls(connection)
            index._catch_up(ledgers)
            yield index
            index._put_learnt()
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            where = path or Path(INDEX_FILE)
            if (refused := shortage(error)) is not None:
                raise SourceUnreadable(where, f"cannot be used: {reason(refused)}") from error
            raise SourceUnreadable(where, f"the index of messages failed ({error}); it may be deleted") from error
        finally:
            connection.close()

    def counted(self, message_ids: Iterable[str]) -> dict[str, IndexedMessage]:
        """Those of the messages that some ledger has."""
        self._put_learnt()
        query = "SELECT message_id, workflow_id, agent, session_id, model, measure, observed_at FROM messages"
        return {row[0]: IndexedMessage(*row[1:]) for row in self._some(query, "message_id", message_ids)}

    def sessions(self) -> dict[str, set[str]]:
        """The workflows that have something of each session."""
        found: dict[str, set[str]] = {}
        for session_id, workflow_id in self._db.execute("SELECT session_id, workflow_id FROM sessions"):
            found.setdefault(session_id, set()).add(workflow_id)
        return found

    def homes(self, session_ids: Iterable[str], first: str = "") -> dict[str, list[str]]:
        """The workflows that have something of each session, those before others that a kind of source gave it to."""
        found: dict[str, set[tuple[bool, str]]] = {}
        query = "SELECT session_id, workflow_id, kind FROM sessions"
        for session_id, workflow_id, kind in self._some(query, "session_id", session_ids):
            found.setdefault(session_id, set()).add((kind != first, workflow_id))
        return {id: list(dict.fromkeys(workflow_id for _, workflow_id in sorted(of))) for id, of in found.items()}

    def ledger(self, workflow_id: str) -> tuple[Head, LedgerState]:
        """How far a ledger was read, and what a plan needs to know of it but for its messages."""
        row = self._db.execute(
            "SELECT seq, size, hash, run, ended, status, started_at, project FROM ledgers WHERE workflow_id = ?",
            (workflow_id,),
        ).fetchone()
        if row is None:
            return EMPTY, LedgerState()
        told = LedgerState(row[0], runs=Runs(row[3], bool(row[4])), status=row[5], started_at=row[6], project=row[7])
        sessions = self._db.execute(
            "SELECT session_id, kind, agent, covered, unnamed, models, total_models FROM sessions"
            " WHERE workflow_id = ? ORDER BY covered",
            (workflow_id,),
        )
        for session_id, kind, agent, covered, unnamed, models, total_models in sessions:
            told.models.setdefault(session_id, set()).update(orjson.loads(models))
            told.total_models.setdefault(session_id, set()).update(orjson.loads(total_models))
            told.session_agents[session_id] = agent
            told.session_kinds.add((session_id, kind))
            if covered:
                told.covered.add(session_id)
            if unnamed:
                told.unnamed.add(session_id)
        return Head(row[0], row[1], row[2]), told

    def learn(self, workflow_id: str, head: Head, news: LedgerState) -> None:
        """Take in what a ledger says up to a head: `ledger`'s answer and what the lines since then said."""
        row = (workflow_id, head.seq, head.size, head.hash, news.runs.run, news.runs.ended, news.status)
        self._db.execute(
            "INSERT OR REPLACE INTO ledgers VALUES (?,?,?,?,?,?,?,?,?)", (*row, news.started_at, news.project)
        )
        self._learnt += [(id, workflow_id, *news.messages[id], *largest) for id, largest in news.measures.items()]
        if len(self._learnt) >= _LEARNT_MAX:
            self._put_learnt()
        self._db.executemany(
            "INSERT INTO sessions VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET agent = excluded.agent,"
            " covered = max(covered, excluded.covered), unnamed = max(unnamed, excluded.unnamed),"
            " models = excluded.models, total_models = excluded.total_models",
            (
                (
                    id,
                    workflow_id,
                    kind,
                    news.session_agents.get(id),
                    id in news.covered,
                    id in news.unnamed,
                    orjson.dumps(sorted(news.models.get(id, ()))).decode(),
                    orjson.dumps(sorted(news.total_models.get(id, ()))).decode(),
                )
                for id, kind in news.session_kinds
            ),
        )

    def totals(self, session_ids: Iterable[str]) -> dict[str, WrittenTotals]:
        """What is known of the totals that clients wrote into the transcripts of these sessions."""
        found = {}
        for session_id, base, written, short in self._some("SELECT * FROM totals", "session_id", session_ids):
            pairs = [(nanousd, tokens) for nanousd, tokens in orjson.loads(written)]
            carried = None if base is None else tuple(orjson.loads(base))
            found[session_id] = WrittenTotals(carried, pairs, bool(short))
        return found

    def keep_totals(self, session_id: str, totals: WrittenTotals) -> None:
        """Store what is known of a session's totals."""
        base = None if totals.base is None else orjson.dumps(totals.base).decode()
        row = (session_id, base, orjson.dumps(totals.written).decode(), totals.short)
        self._db.execute("INSERT OR REPLACE INTO totals VALUES (?,?,?,?)", row)

    def _put_learnt(self) -> None:
        """Store the messages of many ledgers in the order of their ids, which takes a third of the time."""
        self._db.executemany(
            "INSERT INTO messages VALUES (?,?,?,?,?,?,?) ON CONFLICT (message_id) DO UPDATE"
            " SET measure = max(measure, excluded.measure),"
            " observed_at = max(observed_at, excluded.observed_at) WHERE workflow_id = excluded.workflow_id",
            sorted(self._learnt, key=itemgetter(0)),
        )
        self._learnt.clear()

    def marks(self, kind: str, files: Iterable[Path]) -> dict[Path, FileRead]:
        """How far files were read as this kind."""
        found = {}
        for name, read_as, size, mtime, inode, offset, count, ending, begun, state, messages, skipped in self._some(
            "SELECT * FROM files", "path", map(os.fsencode, files)
        ):
            if read_as != kind:
                continue
            path = Path(os.fsdecode(name))
            sessions = {id: Beginning(*told) for id, told in orjson.loads(begun).items()}
            found[path] = FileRead(
                FileStamp(size, mtime, inode),
                Mark(offset, count, ending, sessions, orjson.loads(state)),
                messages,
                tuple(Skipped(path, line, reason) for line, reason in orjson.loads(skipped)),
            )
        return found

    def mark(self, kind: str, path: Path, read: FileRead) -> None:
        """A file was read up to a mark, and all of it is in the ledgers."""
        written, mark = read.written, read.mark
        begun = orjson.dumps({id: tuple(told) for id, told in mark.beginnings.items()}).decode()
        row = (
            os.fsencode(path),
            kind,
            written.size,
            written.mtime_ns,
            written.inode,
            mark.offset,
            mark.lines,
            mark.ending,
            begun,
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
        """Read what was appended since; a ledger that does not go on from where it was makes everything new."""
        sizes = sizes_of(ledgers)
        known_sizes: Mapping[str, int] = dict(self._db.execute("SELECT workflow_id, size FROM ledgers"))
        if any(sizes.get(workflow_id, 0) < size for workflow_id, size in known_sizes.items()):
            known_sizes = self._forget()
        grown = sorted(workflow_id for workflow_id, size in sizes.items() if size > known_sizes.get(workflow_id, 0))
        for workflow_id in grown:
            head, found = self.ledger(workflow_id)
            try:
                reader = ledgers.read(workflow_id, start=head)
                found = state_of(reader, found)
            except DamagedLedger:
                if not head.seq:
                    continue  # it takes no appends either, and says so when one is tried
                self._forget()
                self._catch_up(ledgers)
                return
            except CostledgerError as error:
                if isinstance(error, LedgerUnavailable) and is_shortage(error.error):
                    raise  # nothing is wrong with this ledger, and what it has must not be counted in another one
                continue
            self.learn(workflow_id, reader.head, found)

    def _forget(self) -> dict[str, int]:
        self._learnt.clear()
        for table in ("ledgers", "messages", "sessions", "totals", "files"):
            self._db.execute(f"DELETE FROM {table}")
        return {}


def _connected(path: Path | None, wait_seconds: float) -> sqlite3.Connection:
    """The file's connection in a transaction of its own, its tables made; a file that is no such index is replaced."""
    for attempt in range(2):
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            return _begun(sqlite3.connect(path or ":memory:", timeout=wait_seconds, isolation_level=None))
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


def _begun(connection: sqlite3.Connection) -> sqlite3.Connection:
    try:
        connection.execute("PRAGMA synchronous = OFF")  # it can be made anew
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in tables:
                connection.execute(f'DROP TABLE "{name}"')
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
