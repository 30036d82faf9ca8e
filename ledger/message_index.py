"""Where each message counts, in all ledgers of a data directory, and how far each transcript was read.

One message may stand in many transcripts, and counts in one ledger. The index is a projection of the ledgers, caught up
before it is used, in the SQLite file `transcripts.db`; nothing is lost when that is deleted: it is made anew, and
transcripts read again hold nothing that the ledgers do not.

One import at a time holds it, in one transaction from its first look to its last word.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.errors import CostledgerError, DamagedLedger, SourceUnreadable
from ledger.line import EMPTY, Head
from ledger.planning import Known, known
from ledger.runs import Runs
from ledger.sources.findings import Begun
from ledger.sources.transcript import Mark, Written
from ledger.store import DirectoryStore, LedgerStore, sizes_of

__all__ = ["INDEX_FILE", "Counted", "Fed", "MessageIndex"]

INDEX_FILE: Final = "transcripts.db"
_VERSION: Final = 4
_WAIT_SECONDS: Final = 600.0
"""How long an import waits for another one of the same data directory."""
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
CREATE TABLE sessions (                        -- that have a reading of their own, or one by another kind of source
    session_id TEXT, workflow_id TEXT, kind TEXT, agent TEXT, covered INTEGER,
    PRIMARY KEY (session_id, workflow_id, kind)
) WITHOUT ROWID;
CREATE TABLE files (
    path BLOB,                                 -- as the operating system has it: it need not be text
    kind TEXT,                                 -- of transcripts that it was read as
    size INTEGER, mtime_ns INTEGER, inode INTEGER,
    offset INTEGER, lines INTEGER, ending TEXT, begun TEXT,
    messages INTEGER,                          -- how many it was found to hold
    PRIMARY KEY (path, kind)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """Where a message counts, and its largest reading."""

    workflow_id: str
    agent: str | None
    session_id: str | None
    model: str | None
    measure: bytes
    observed_at: str


@dataclass(frozen=True, slots=True)
class Fed:
    """A session that a ledger has readings of from a source other than transcripts."""

    workflow_id: str
    kind: str


class MessageIndex:
    """The index of one data directory; `opened` gives it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._learnt: list[tuple[Any, ...]] = []

    @classmethod
    @contextlib.contextmanager
    def opened(cls, ledgers: LedgerStore) -> Iterator[MessageIndex]:
        """The index of a store, caught up with its ledgers and held until the end, when it is kept.

        Raises:
            SourceUnreadable: its file can be neither read nor made anew, or another import holds it for too long.
        """
        path = ledgers.path / INDEX_FILE if isinstance(ledgers, DirectoryStore) else None
        connection = _connected(path)
        try:
            index = cls(connection)
            index._catch_up(ledgers)
            yield index
            index._put_learnt()
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            where = path or Path(INDEX_FILE)
            raise SourceUnreadable(where, f"the index of messages failed ({error}); it may be deleted") from error
        finally:
            connection.close()

    def sessions(self, kinds: Iterable[str]) -> dict[str, tuple[set[str], set[str]]]:
        """The workflows in which sources of some kinds feed each session, and those in which others do."""
        own, found = set(kinds), dict[str, tuple[set[str], set[str]]]()
        for session_id, workflow_id, kind in self._db.execute("SELECT session_id, workflow_id, kind FROM sessions"):
            found.setdefault(session_id, (set(), set()))[kind not in own].add(workflow_id)
        return found

    def counted(self, message_ids: Iterable[str]) -> dict[str, Counted]:
        """Those of the messages that some ledger has."""
        self._put_learnt()
        query = "SELECT message_id, workflow_id, agent, session_id, model, measure, observed_at FROM messages"
        return {row[0]: Counted(*row[1:]) for row in self._some(query, "message_id", message_ids)}

    def fed(self, session_ids: Iterable[str], own: Iterable[str]) -> dict[str, Fed]:
        """Those of the sessions that sources of other kinds than our `own` feed."""
        query, mine = "SELECT session_id, workflow_id, kind FROM sessions", set(own)
        return {row[0]: Fed(*row[1:]) for row in self._some(query, "session_id", session_ids) if row[2] not in mine}

    def homes(self, session_ids: Iterable[str], kind: str) -> dict[str, list[str]]:
        """The workflows that have something of each session, those first that a kind of source feeds."""
        found: dict[str, set[tuple[bool, str]]] = {}
        query = "SELECT session_id, workflow_id, kind FROM sessions"
        for session_id, workflow_id, fed_by in self._some(query, "session_id", session_ids):
            found.setdefault(session_id, set()).add((fed_by != kind, workflow_id))
        return {id: list(dict.fromkeys(workflow_id for _, workflow_id in sorted(of))) for id, of in found.items()}

    def ledger(self, workflow_id: str) -> tuple[Head, Known]:
        """How far a ledger was read, and what a plan needs to know of it but for its messages."""
        row = self._db.execute(
            "SELECT seq, size, hash, run, ended, status, started_at, project FROM ledgers WHERE workflow_id = ?",
            (workflow_id,),
        ).fetchone()
        if row is None:
            return EMPTY, Known()
        covered = self._db.execute(
            "SELECT session_id, agent FROM sessions WHERE workflow_id = ? AND covered", (workflow_id,)
        )
        told = Known(row[0], runs=Runs(row[3], bool(row[4])), status=row[5], started_at=row[6], project=row[7])
        told.covered = dict(covered)
        return Head(row[0], row[1], row[2]), told

    def learn(self, workflow_id: str, head: Head, news: Known) -> None:
        """Take in what a ledger says up to a head: `ledger`'s answer and what the lines since then said."""
        row = (workflow_id, head.seq, head.size, head.hash, news.runs.run, news.runs.ended, news.status)
        self._db.execute(
            "INSERT OR REPLACE INTO ledgers VALUES (?,?,?,?,?,?,?,?,?)", (*row, news.started_at, news.project)
        )
        self._learnt += [(id, workflow_id, *news.messages[id], *largest) for id, largest in news.measures.items()]
        if len(self._learnt) >= _LEARNT_MAX:
            self._put_learnt()
        self._db.executemany(
            "INSERT INTO sessions VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET agent = excluded.agent, covered = 1"
            " WHERE excluded.covered",
            ((id, workflow_id, kind, news.covered.get(id), id in news.covered) for id, kind in news.feeds),
        )

    def _put_learnt(self) -> None:
        """Store the messages of many ledgers in the order of their ids, which takes a third of the time."""
        self._db.executemany(
            "INSERT INTO messages VALUES (?,?,?,?,?,?,?) ON CONFLICT (message_id) DO UPDATE"
            " SET measure = max(measure, excluded.measure),"
            " observed_at = max(observed_at, excluded.observed_at) WHERE workflow_id = excluded.workflow_id",
            sorted(self._learnt, key=itemgetter(0)),
        )
        self._learnt.clear()

    def marks(self, kind: str, files: Iterable[Path]) -> dict[Path, tuple[Written, Mark, int]]:
        """How far files were read as this kind, what they looked like then, and how many messages they held."""
        found = {}
        for path, read_as, size, mtime, inode, offset, count, ending, begun, messages in self._some(
            "SELECT * FROM files", "path", map(os.fsencode, files)
        ):
            if read_as != kind:
                continue
            sessions = {id: Begun(*told) for id, told in orjson.loads(begun).items()}
            found[Path(os.fsdecode(path))] = (
                Written(size, mtime, inode),
                Mark(offset, count, ending, sessions),
                messages,
            )
        return found

    def mark(self, kind: str, path: Path, written: Written, mark: Mark, messages: int) -> None:
        """A file was read up to a mark, and all of it is in the ledgers."""
        begun = orjson.dumps({id: tuple(told) for id, told in mark.begun.items()}).decode()
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
        )
        self._db.execute("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?,?)", (*row, messages))

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
                found = known(reader, found)
            except DamagedLedger:
                if not head.seq:
                    continue  # it takes no appends either, and says so when one is tried
                self._forget()
                self._catch_up(ledgers)
                return
            except CostledgerError:
                continue
            self.learn(workflow_id, reader.head, found)

    def _forget(self) -> dict[str, int]:
        self._learnt.clear()
        for table in ("ledgers", "messages", "sessions", "files"):
            self._db.execute(f"DELETE FROM {table}")
        return {}


def _connected(path: Path | None) -> sqlite3.Connection:
    """The file's connection in a transaction of its own, its tables made; a file that is no such index is replaced."""
    for attempt in range(2):
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            return _begun(sqlite3.connect(path or ":memory:", timeout=_WAIT_SECONDS, isolation_level=None))
        except sqlite3.OperationalError as error:
            raise SourceUnreadable(path or Path(INDEX_FILE), f"cannot be used: {error}") from error
        except (sqlite3.DatabaseError, OSError) as error:
            if attempt or path is None or isinstance(error, OSError):
                reason = error.strerror if isinstance(error, OSError) else f"{error}; delete it"
                raise SourceUnreadable(path or Path(INDEX_FILE), f"cannot be used: {reason}") from error
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
