"""The outbox: messages of webhooks and their deliveries, in `DATA/webhooks.db`, until they are taken.

One transaction moves the position in the history's audit log and change numbers and stores the messages made from it,
so none is lost and none is made twice. Each endpoint has its own delivery of a message. Of one workflow only the
oldest waiting delivery is due; the next one becomes due when that is taken or given up.

The last message of each workflow is recorded, so that a row that comes to the same figure again, after a rebuild for
example, causes none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from projections.history.sqlite.connection import SqliteConnection

__all__ = ["NO_DELIVERIES", "Delivery", "Outbox", "WebhookMessage"]

_SCHEMA: Final = (
    # How far the history was read, and what was last sent of each workflow: JSON, by a name that the collector chooses.
    "CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS message (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, "
    "type TEXT NOT NULL, adw_id TEXT NOT NULL, body TEXT NOT NULL, made_at REAL NOT NULL) STRICT",
    # One for each endpoint that is yet to take a message; due_at NULL: an older one of the workflow goes first, or
    # it was given up. Times are seconds since 1970.
    "CREATE TABLE IF NOT EXISTS delivery (endpoint TEXT NOT NULL, number INTEGER NOT NULL, adw_id TEXT NOT NULL, "
    "due_at REAL, attempts INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0, error TEXT, "
    "PRIMARY KEY (endpoint, number)) STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS delivery_due ON delivery (endpoint, due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS delivery_workflow ON delivery (endpoint, adw_id, number) WHERE dead = 0",
    "CREATE INDEX IF NOT EXISTS delivery_dead ON delivery (number) WHERE dead = 1",
    "CREATE INDEX IF NOT EXISTS delivery_number ON delivery (number)",
    "CREATE TABLE IF NOT EXISTS endpoint (id TEXT PRIMARY KEY, delivered INTEGER NOT NULL DEFAULT 0, "
    "last_delivered_at REAL, last_error TEXT) STRICT, WITHOUT ROWID",
)
_DEAD_LETTERS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """A message, sent once to each endpoint that wants its type."""

    id: str
    type: str
    adw_id: str
    body: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is due at an endpoint."""

    endpoint: str
    number: int
    attempts: int
    message: WebhookMessage


NO_DELIVERIES: Final = {
    "pending": 0,
    "oldest_pending_at": None,
    "dead": 0,
    "delivered": 0,
    "last_delivered_at": None,
    "last_error": None,
}
"""The fields of `Outbox.tally` before the first message."""


class Outbox:
    """The outbox of a data directory; several processes may read it, one delivers. Not for two threads at once.

    What `put` and `set_note` store belongs into a `transaction`.

    Raises:
        HistoryUnavailable: at construction and by every method.
    """

    def __init__(self, data: Path) -> None:
        self._connection = SqliteConnection(data / "webhooks.db")
        self._db = self._connection.db
        try:
            with self._connection.errors():
                self._db.execute("PRAGMA journal_mode = WAL")
                with self._connection.transaction():
                    for statement in _SCHEMA:
                        self._db.execute(statement)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all that the block stores, or nothing."""
        with self._connection.errors(), self._connection.transaction():
            yield

    def _query(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._connection.errors():
            return self._db.execute(query, values).fetchall()

    def due(self, endpoint: str, now: float, limit: int) -> list[Delivery]:
        """Return the due deliveries of an endpoint, the oldest first; no two of one workflow."""
        query = (
            "SELECT d.endpoint, d.number, d.attempts, m.id, m.type, m.adw_id, m.body "
            "FROM delivery d JOIN message m USING (number) WHERE d.endpoint = ? AND d.due_at <= ? "
            "ORDER BY d.due_at, d.number LIMIT ?"
        )
        return [
            Delivery(endpoint, number, attempts, WebhookMessage(*message))
            for _, number, attempts, *message in self._query(query, endpoint, now, limit)
        ]

    def next_due_at(self, endpoint: str) -> float | None:
        """Return when the next delivery is due; None: none waits."""
        query = "SELECT min(due_at) FROM delivery WHERE endpoint = ? AND due_at IS NOT NULL"
        found: float | None = self._query(query, endpoint)[0][0]
        return found

    def taken(self, delivery: Delivery, now: float) -> None:
        """Remove a delivery that was taken."""
        with self.transaction():
            key = (delivery.endpoint, delivery.number)
            self._db.execute("DELETE FROM delivery WHERE endpoint = ? AND number = ?", key)
            left = self._db.execute("SELECT 1 FROM delivery WHERE number = ?", (delivery.number,)).fetchone()
            if left is None:
                self._db.execute("DELETE FROM message WHERE number = ?", (delivery.number,))
            self._db.execute(
                "INSERT INTO endpoint (id, delivered, last_delivered_at) VALUES (?, 1, ?) ON CONFLICT (id) DO UPDATE "
                "SET delivered = delivered + 1, last_delivered_at = excluded.last_delivered_at, last_error = NULL",
                (delivery.endpoint, now),
            )
            _promote(self._db, delivery.endpoint, delivery.message.adw_id, now)

    def failed(self, delivery: Delivery, error: str, *, again_at: float | None, now: float) -> None:
        """Record a failed attempt.

        Args:
            again_at: when it is tried again; None: it is given up, and the workflow's next message is due.
        """
        with self.transaction():
            self._db.execute(
                "UPDATE delivery SET attempts = attempts + 1, error = ?, due_at = ?, dead = ? "
                "WHERE endpoint = ? AND number = ?",
                (error, again_at, int(again_at is None), delivery.endpoint, delivery.number),
            )
            self._db.execute(
                "INSERT INTO endpoint (id, last_error) VALUES (?, ?) ON CONFLICT (id) DO UPDATE "
                "SET last_error = excluded.last_error",
                (delivery.endpoint, error),
            )
            if again_at is None:
                _promote(self._db, delivery.endpoint, delivery.message.adw_id, now)

    def resend(self, id: str, now: float) -> list[str]:
        """Make a message that was given up due again; return its endpoints."""
        with self.transaction():
            found = self._db.execute(
                "SELECT d.endpoint, d.number, d.adw_id FROM delivery d JOIN message m USING (number) "
                "WHERE d.dead = 1 AND m.id = ? ORDER BY 1",
                (id,),
            ).fetchall()
            for endpoint, number, adw_id in found:
                self._db.execute(
                    "UPDATE delivery SET dead = 0, attempts = 0 WHERE endpoint = ? AND number = ?", (endpoint, number)
                )
                _promote(self._db, endpoint, adw_id, now)
        return [endpoint for endpoint, _, _ in found]

    def tally(self, endpoint: str) -> dict[str, Any]:
        """Return the counts of an endpoint, as `EndpointDocument` names them; times are seconds since 1970."""
        query = (
            "SELECT count(*) FILTER (WHERE dead = 0), min(made_at) FILTER (WHERE dead = 0), "
            "count(*) FILTER (WHERE dead = 1) FROM delivery JOIN message USING (number) WHERE endpoint = ?"
        )
        [waiting] = self._query(query, endpoint)
        done = self._query("SELECT delivered, last_delivered_at, last_error FROM endpoint WHERE id = ?", endpoint)
        return dict(zip(NO_DELIVERIES, (*waiting, *(done or [(0, None, None)])[0]), strict=True))

    def dead_letters(self) -> list[dict[str, Any]]:
        """Return the newest thousand messages that were given up, the newest first, as `DeadLetterDocument`s."""
        names = ("id", "endpoint", "type", "adw_id", "made_at", "attempts", "last_error")
        query = (
            "SELECT m.id, d.endpoint, m.type, m.adw_id, m.made_at, d.attempts, d.error FROM delivery d "
            "JOIN message m USING (number) WHERE d.dead = 1 ORDER BY d.number DESC LIMIT ?"
        )
        return [dict(zip(names, found, strict=True)) for found in self._query(query, _DEAD_LETTERS_MAX)]

    def note(self, name: str) -> Any:
        """Return a stored note; None: never."""
        found = self._query("SELECT value FROM note WHERE name = ?", name)
        return orjson.loads(found[0][0]) if found else None

    def set_note(self, name: str, value: object) -> None:
        """Store a note."""
        self._db.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, orjson.dumps(value).decode()))

    def put(self, message: WebhookMessage, endpoints: Sequence[str], now: float) -> None:
        """Store a message for some endpoints."""
        if not endpoints:
            return
        number = self._db.execute(
            "INSERT INTO message (id, type, adw_id, body, made_at) VALUES (?, ?, ?, ?, ?)",
            (message.id, message.type, message.adw_id, message.body, now),
        ).lastrowid
        for endpoint in endpoints:
            self._db.execute(
                "INSERT INTO delivery (endpoint, number, adw_id) VALUES (?, ?, ?)", (endpoint, number, message.adw_id)
            )
            _promote(self._db, endpoint, message.adw_id, now)


def _promote(db: sqlite3.Connection, endpoint: str, adw_id: str, now: float) -> None:
    """Make a workflow's oldest waiting delivery due, unless one is."""
    of_workflow = "endpoint = :endpoint AND adw_id = :adw_id AND dead = 0"
    db.execute(
        f"UPDATE delivery SET due_at = :now WHERE {of_workflow} "
        f"AND number = (SELECT min(number) FROM delivery WHERE {of_workflow}) "
        f"AND NOT EXISTS (SELECT 1 FROM delivery WHERE {of_workflow} AND due_at IS NOT NULL)",
        {"endpoint": endpoint, "adw_id": adw_id, "now": now},
    )
