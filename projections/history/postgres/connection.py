"""A PostgreSQL connection with our errors, whose transactions are repeated after a lost race or connection."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import conninfo_to_dict

from ledger.errors import PERCENT_ENCODE, HistoryUnavailable

__all__ = ["Cursor", "PostgresConnection", "named"]

R = TypeVar("R")

Cursor = psycopg.Cursor[tuple[Any, ...]]

_CONNECT_SECONDS: Final = 10
_ATTEMPTS: Final = 5
"""How often a transaction that lost a race for locks is tried; the database picks a loser within a second."""
_RECONNECT_SECONDS: Final = 10.0
"""How long a server may be away between two transactions: a restart takes seconds."""

_SESSION: Final = {
    "application_name": "costledger",
    "connect_timeout": str(_CONNECT_SECONDS),
    # The server detects a host that vanished within 25 s, and releases its locks
    # (https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-TCP-KEEPALIVES-IDLE).
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}


_HOST: Final = r"(?:[A-Za-z0-9._%-]*|\[[0-9A-Fa-f:.%]+\])(?::[0-9]*)?"
_URL: Final = re.compile(
    rf"postgres(?:ql)?://(?:[^@/?#:]*(?::[^@/?#]*)?@)?{_HOST}(?:,{_HOST})*(?:/[^@/?#]*)?"
    r"(?:\?(?:[A-Za-z_]+=[^&]*(?:&|$))*)?"
)
_HOST_AND_DATABASE: Final = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9_-]*)?$")


class PostgresConnection:
    """One session with a server, opened when it is first needed and opened again after it was lost.

    Threads take turns. No message of this class contains the password.

    Args:
        url: `postgresql://user@host:port/database`, as libpq reads it; a password comes better from `PGPASSWORD`
            or `~/.pgpass` (https://www.postgresql.org/docs/current/libpq-pgpass.html). Its special characters
            are percent-encoded; otherwise a URL can be read in several ways, of which a wrong one shows a part of it.
        reconnects: False for a session whose locks matter more than its work: when it is lost, every call fails.

    Raises:
        HistoryUnavailable: the URL cannot be read in one way only.
    """

    def __init__(self, url: str, *, reconnects: bool = True) -> None:
        self._url, self._reconnects = url, reconnects
        self.where = named(url)
        if not _URL.fullmatch(url):
            raise HistoryUnavailable(self.where, f"is not postgresql://USER@HOST:PORT/DATABASE; {PERCENT_ENCODE}")
        self._lock = threading.RLock()
        self._db: psycopg.Connection | None = None
        self._closed = False

    def close(self) -> None:
        """Close the session; the object cannot be used after that."""
        self._closed = True
        if self._db is not None:
            self._db.close()

    def run(self, work: Callable[[Cursor], R]) -> R:
        """Return the result of `work` in one transaction.

        A transaction that lost a race for locks, or whose session broke, is run again from its start: `work` has to
        be idempotent, for a commit whose answer was lost may have happened.

        Raises:
            HistoryUnavailable: nothing of it was stored, or, after a broken session, perhaps all of it.
        """
        deadline, losses = time.monotonic() + _RECONNECT_SECONDS, 0
        with self._lock:
            while True:
                try:
                    with self._session().transaction(), self._session().cursor() as cursor:
                        return work(cursor)
                except (errors.DeadlockDetected, errors.SerializationFailure) as error:
                    losses += 1
                    if losses == _ATTEMPTS:
                        raise HistoryUnavailable(
                            self.where, f"another program won the race for its locks {losses} times; try again"
                        ) from error
                except psycopg.Error as error:
                    if self._usable() or not self._reconnects or self._closed or time.monotonic() > deadline:
                        raise HistoryUnavailable(self.where, self._sentence(error)) from error
                    time.sleep(0.1)

    @contextmanager
    def another(self) -> Iterator[Cursor]:
        """Open a cursor in one transaction of another session, which is rolled back unless the block completes."""
        other = PostgresConnection(self._url)
        try:
            with other._session() as db, db.transaction(), db.cursor() as cursor:
                yield cursor
        except psycopg.Error as error:
            raise HistoryUnavailable(self.where, self._sentence(error)) from error
        finally:
            other.close()

    def _session(self) -> psycopg.Connection:
        """Return the session; open one when there is none that works."""
        if self._usable():
            assert self._db is not None
            return self._db
        if self._closed:
            raise HistoryUnavailable(self.where, "was closed")
        lost = self._db is not None
        if self._db is not None:
            self._db.close()
        if lost and not self._reconnects:
            raise HistoryUnavailable(self.where, "the connection was lost")
        try:
            self._db = psycopg.connect(self._url, autocommit=True, **_settings(self._url))  # type: ignore[arg-type]
        except psycopg.Error as error:
            if lost and isinstance(error, psycopg.OperationalError):
                raise
            raise HistoryUnavailable(self.where, self._unreachable(error)) from None
        return self._db

    def _usable(self) -> bool:
        return self._db is not None and not self._db.closed and self._db.pgconn.status == pq.ConnStatus.OK

    def _unreachable(self, error: psycopg.Error) -> str:
        lines = _without_secrets(str(error).strip() or type(error).__name__, self._url).splitlines()
        text = " ".join(line.strip() for line in lines if not line.strip().startswith("Is the server"))
        return f"cannot be reached: {text}; is the server up, and does it let you in? The ledgers are untouched"

    def _sentence(self, error: psycopg.Error) -> str:
        text = _without_secrets(str(error).strip() or type(error).__name__, self._url).splitlines()[0]
        if isinstance(error, errors.InsufficientPrivilege):
            return f"{text}; grant this user what docs/postgres.md lists"
        if isinstance(error, errors.LockNotAvailable):
            return "another program keeps it locked; try again; nothing was written"
        if not self._usable():
            return f"the connection was lost ({text}); run it again: what was stored before that is not stored twice"
        return f"{text}; nothing was stored, and the ledgers are untouched"


def _settings(url: str) -> dict[str, str]:
    """Return the settings of every session, without those that the URL has itself."""
    given = conninfo_to_dict(url)
    settings = {name: value for name, value in _SESSION.items() if name not in given}
    if "options" in given:
        settings["options"] = f"{_SESSION['options']} {given['options']}"
    return settings


def named(url: str) -> str:
    """Return a URL that may be shown: without password and parameters; of an unreadable one, only the public parts."""
    if not _URL.fullmatch(url):
        found = _HOST_AND_DATABASE.match(url.rpartition("@")[2]) if "@" in url else None
        return f"{url.partition('://')[0]}://…{f'@{found[0]}' if found else ''}"
    scheme, _, rest = url.partition("://")
    location = re.split(r"[?#]", rest, maxsplit=1)[0]
    user, at, host_and_database = location.rpartition("@")
    shown = f"{scheme}://{user.partition(':')[0]}{at}{host_and_database}"
    with suppress(psycopg.Error):
        host = str(conninfo_to_dict(url).get("host") or "")
        if host.startswith("/") and host not in shown:
            return f"{shown} on {host}"
    return shown


def _without_secrets(text: str, url: str) -> str:
    """Return a message of the client library without all possible parts of the password."""
    secrets: set[str] = set()
    with suppress(psycopg.Error):
        secrets.add(str(conninfo_to_dict(url).get("password") or ""))
    user_info = re.split(r"[?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[0]
    secrets.add(user_info.partition(":")[2])
    for secret in list(secrets):  # a password with an unescaped @ or / is cut there by the library
        secrets |= {piece for piece in re.split(r"[@/:]", secret) if len(piece) > 3}
    for secret in sorted(filter(None, secrets | {unquote(secret) for secret in secrets}), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
