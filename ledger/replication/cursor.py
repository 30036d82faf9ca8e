"""The cursor of a replication: how much of each ledger a replica has acknowledged, stored in `PATH/replication.db`.

It is never ahead of the replica. A lost or old cursor loses nothing: the replica reports where a chain ends.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.errors import CostledgerError, DamagedLedger, Diverged, ReplicaRefused, ReplicaUnavailable, reason
from ledger.storage.descriptors import shortage
from ledger.storage.line import Head

__all__ = ["BlockedLedger", "Cursor", "ReplicaCursor", "blocked_by", "cursor_path", "last_replica"]

_SCHEMA: Final = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS replica (
    identity        TEXT PRIMARY KEY,  -- which engine, and which making of it
    address         TEXT NOT NULL,     -- how it was reached, without passwords
    acknowledged_at TEXT,              -- when it last acknowledged a line
    problem         TEXT               -- why it could not be reached since; NULL when it could
);
CREATE TABLE IF NOT EXISTS acknowledged (
    identity    TEXT NOT NULL,
    origin      TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    seq         INTEGER NOT NULL,      -- the last line acknowledged
    size        INTEGER NOT NULL,      -- bytes of the ledger up to and including it
    hash        TEXT NOT NULL,
    repeats     INTEGER NOT NULL,      -- lines that repairs sent again: the replica has seq + repeats in all
    PRIMARY KEY (identity, origin, workflow_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (
    identity    TEXT NOT NULL,
    origin      TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    why         TEXT NOT NULL,         -- parted, refused, damaged or unreadable
    problem     TEXT NOT NULL,
    PRIMARY KEY (identity, origin, workflow_id)
) WITHOUT ROWID;
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class BlockedLedger:
    """A ledger that cannot be sent until an operator acts; the others are sent.

    Attributes:
        why: `parted` from its chain, `refused` by the replica, `damaged`, or `unreadable` for the operating system.
    """

    workflow_id: str
    why: str
    problem: str


def blocked_by(workflow_id: str, error: CostledgerError) -> BlockedLedger:
    """Return a ledger that an error blocks."""
    kinds = {"parted": Diverged, "refused": ReplicaRefused, "damaged": DamagedLedger}
    why = next((why for why, kind in kinds.items() if isinstance(error, kind)), "unreadable")
    return BlockedLedger(workflow_id, why, str(error))


@dataclass(frozen=True, slots=True)
class ReplicaCursor:
    """A replica as of the last pass; moments in the ledger's spelling."""

    identity: str
    address: str
    acknowledged_at: str | None
    problem: str | None


def cursor_path(data: Path) -> Path:
    """Return the path of the cursor of a data directory."""
    return data / "replication.db"


class Cursor:
    """The cursor of one replica and one origin.

    Attributes:
        identity: of the replica.
        heads: by workflow id, the last line that was acknowledged.
        repeats: by workflow id, how many lines the replica has more than once; 0 for the ones not named.
        blocked: by workflow id, the ledgers that cannot be sent.

    Raises:
        ReplicaUnavailable: at construction and by every method; the file cannot be used.
    """

    def __init__(self, path: Path, identity: str, origin: str, address: str) -> None:
        self.identity, self._path, self._key = identity, path, (identity, origin)
        self._stored_problem: tuple[str | None] | None = None
        with _errors(path):
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._read(address)
            except BaseException:
                self._db.close()
                raise

    def _read(self, address: str) -> None:
        """Make the tables where they are missing, and read them."""
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        insert = "INSERT INTO replica VALUES (?, ?, NULL, NULL) ON CONFLICT DO UPDATE SET address = excluded.address"
        self._db.execute(insert, (self.identity, address))
        query = "SELECT workflow_id, seq, size, hash, repeats FROM acknowledged WHERE identity = ? AND origin = ?"
        self.heads: dict[str, Head] = {}
        self.repeats: dict[str, int] = {}
        for name, *head, repeats in self._db.execute(query, self._key):
            self.heads[name] = Head(*head)
            if repeats:
                self.repeats[name] = repeats
        self.blocked = _blocked(self._db, *self._key)

    def acknowledge(self, heads: Mapping[str, Head], moment: str) -> None:
        """Store what a replica has acknowledged, with `repeats` as it is now, in one transaction, and unblock it."""
        rows = [
            (*self._key, name, head.seq, head.size, head.hash, self.repeats.get(name, 0))
            for name, head in heads.items()
        ]
        with _errors(self._path), _transaction(self._db):
            self._db.executemany("INSERT OR REPLACE INTO acknowledged VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            self._db.execute("UPDATE replica SET acknowledged_at = ? WHERE identity = ?", (moment, self._key[0]))
        self.heads |= heads
        self.unblock(heads)

    def block(self, ledgers: Iterable[BlockedLedger]) -> None:
        """Store which ledgers cannot be sent, for `last_replica`."""
        new = {one.workflow_id: one for one in ledgers if self.blocked.get(one.workflow_id) != one}
        if new:
            rows = [(*self._key, one.workflow_id, one.why, one.problem) for one in new.values()]
            with _errors(self._path), _transaction(self._db):
                self._db.executemany("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?)", rows)
            self.blocked |= new

    def unblock(self, workflow_ids: Iterable[str]) -> None:
        """Remove ledgers that can be sent, or agree with the replica."""
        if gone := self.blocked.keys() & set(workflow_ids):
            query = "DELETE FROM held WHERE identity = ? AND origin = ? AND workflow_id = ?"
            with _errors(self._path), _transaction(self._db):
                self._db.executemany(query, [(*self._key, name) for name in gone])
            self.blocked = {name: one for name, one in self.blocked.items() if name not in gone}

    def set_problem(self, problem: str | None) -> None:
        """Store why the replica cannot be reached, for `last_replica`."""
        if self._stored_problem == (problem,):
            return
        with _errors(self._path):
            self._db.execute("UPDATE replica SET problem = ? WHERE identity = ?", (problem, self._key[0]))
        self._stored_problem = (problem,)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def last_replica(data: Path, origin: str) -> tuple[ReplicaCursor | None, dict[str, Head], dict[str, BlockedLedger]]:
    """Return the replica that acknowledged a line last, what it has, and what cannot be sent; make nothing.

    Raises:
        ReplicaUnavailable: the file cannot be read.
    """
    path = cursor_path(data)
    if not path.is_file():
        return None, {}, {}
    with _errors(path), contextlib.closing(sqlite3.connect(path)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        if "acknowledged" not in tables:
            return None, {}, {}  # it is being made right now
        latest = "SELECT identity, address, acknowledged_at, problem FROM replica ORDER BY acknowledged_at DESC LIMIT 1"
        row = db.execute(latest).fetchone()
        if row is None:
            return None, {}, {}
        query = "SELECT workflow_id, seq, size, hash FROM acknowledged WHERE identity = ? AND origin = ?"
        heads = {name: Head(*head) for name, *head in db.execute(query, (row[0], origin))}
        return ReplicaCursor(*row), heads, _blocked(db, row[0], origin) if "held" in tables else {}


def _blocked(db: sqlite3.Connection, identity: str, origin: str) -> dict[str, BlockedLedger]:
    query = "SELECT workflow_id, why, problem FROM held WHERE identity = ? AND origin = ?"
    return {name: BlockedLedger(name, why, problem) for name, why, problem in db.execute(query, (identity, origin))}


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if (refused := shortage(error)) is not None:
            raise ReplicaUnavailable(str(path), f"the cursor cannot be used: {reason(refused)}") from error
        step = "if it stays so, delete the file: the replica is then asked what it has"
        raise ReplicaUnavailable(str(path), f"the cursor cannot be used: {error}; {step}") from error
