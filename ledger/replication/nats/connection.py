"""A connection to NATS for blocking code: an event loop in a thread of its own, and JetStream's API as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from ledger.errors import InvalidReplica, ReplicaUnavailable
from ledger.replication.nats.client import GuardedClient

__all__ = ["JetStreamError", "NatsConnection", "address_of"]

T = TypeVar("T")

_RECONNECT_SECONDS: Final = 0.25
_CONNECT_SECONDS: Final = 2
_DENIED_SECONDS: Final = 1.0
"""In addition to the timeout of a request: its denial came no longer ago."""

_ATTEMPTS: Final = 2
"""Per server; then the client is closed, and the next request makes another one."""

_log = logging.getLogger("costledger")


class JetStreamError(Exception):
    """JetStream answered with an error; its codes are listed in nats-server's `server/errors.json`."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.code, self.number = error.get("code", 0), error.get("err_code", 0)
        super().__init__(error.get("description", "refused without a reason"))


def address_of(name: str) -> tuple[list[str], dict[str, str]]:
    """Return the servers of `nats://USER:PASSWORD@HOST:PORT,…`, and what `nats.connect` needs to know of the user.

    The first user is used for all servers, which are returned without any: they can be shown.

    A password that is not percent-encoded can be read in several ways; such names are refused, since a wrong guess
    would show a part of the password as a host.

    Raises:
        InvalidReplica: the name is no list of servers.
    """
    servers: list[str] = []
    users: list[str] = []
    for number, part in enumerate(name.split(",")):
        found = _ADDRESS.fullmatch(part.strip())
        if found is None or (number and found["user"] is not None and found["scheme"] is None):
            raise InvalidReplica(_surely_no_secret(name), has_user="@" in name)
        port = int(found["port"] or 4222)
        if port > 65535:
            raise InvalidReplica(_surely_no_secret(name), has_user="@" in name)
        servers.append(f"{found['scheme'] or 'nats'}://{found['host'].lower()}:{port}")
        if found["user"] is not None:
            users.append(found["user"])
    if not users:
        return servers, {}
    user, colon, password = users[0].partition(":")
    if not colon:
        return servers, {"token": unquote(user)}
    return servers, {"user": unquote(user), "password": unquote(password)}


_ADDRESS: Final = re.compile(
    r"(?:(?P<scheme>nats|tls|ws|wss)://)?(?:(?P<user>[^@/?#,:]*(?::[^@/?#,:]*)?)@)?"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\])(?::(?P<port>[0-9]{1,5}))?/?"
)
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?(?=/|$)")


def _surely_no_secret(name: str) -> str:
    """Return the part of an invalid name that can be shown: nothing before its last @."""
    scheme, separator, rest = name.rpartition("://") if name.count("://") == 1 else ("", "", name)
    if not re.fullmatch(r"[a-z]*", scheme):
        return "…"
    _, at, host = rest.rpartition("@")
    if not at and ":" not in rest:
        return name
    found = _HOST.match(host) if at else None
    return f"{scheme}{separator}…{at}{found[0] if found else ''}"


class NatsConnection:
    """One connection, made at the first request and again after it was lost.

    Args:
        credentials: the path of a NATS credentials file (user JWT and seed).
        timeout_seconds: for one request.
    """

    def __init__(self, name: str, *, credentials: str | None = None, timeout_seconds: float = 5.0) -> None:
        self._servers, self._user = address_of(name)
        self.where = ",".join(self._servers)
        self._credentials, self.timeout_seconds = credentials, timeout_seconds
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._trouble: Exception | None = None  # what nats-py reported to `error_cb` since it was to connect
        self._denied: tuple[str, float] | None = None  # the servers' last denial for this user, and when
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="costledger-nats", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop's thread and wait for its result.

        Raises:
            ReplicaUnavailable: the servers cannot be reached, or refuse.
        """
        if self._loop.is_closed():
            work.close()  # or Python warns that it was never awaited
            raise ReplicaUnavailable(self.where, "this connection was closed")
        task = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return task.result()
        except (nats.errors.Error, JetStreamError, OSError) as error:
            raise self.unavailable(error) from error
        except BaseException:
            task.cancel()
            raise

    def unavailable(self, error: Exception) -> ReplicaUnavailable:
        """Return one of nats-py's errors, or the operating system's, as ours."""
        if isinstance(error, nats.errors.NoRespondersError):
            problem = "no JetStream answers there: it is off, has no leader, or there is no such stream"
        elif isinstance(error, TimeoutError):
            denied, at = self._denied or ("", 0.0)
            lately = denied and time.monotonic() - at < self.timeout_seconds + _DENIED_SECONDS
            problem = denied if lately else f"no answer within {self.timeout_seconds:g} s"
            if self._client is None and self._trouble is not None and not lately:  # it was never connected
                problem = f"{problem}: {str(self._trouble).removeprefix('nats: ') or type(self._trouble).__name__}"
        else:
            cause = self._trouble if isinstance(error, nats.errors.NoServersError) and self._trouble else error
            problem = str(cause).removeprefix("nats: ") or type(cause).__name__
            if "authorization violation" in problem.lower():
                problem = "the servers do not let this user in (authorization violation): check user and password"
        return ReplicaUnavailable(self.where, problem)

    async def client(self) -> Client:
        """Return the connected client; do not wait for a reconnect, since the caller asks again."""
        async with self._connecting:  # many requests at once make one connection
            if self._client is None or self._client.is_closed:
                self._trouble = None
                # The same password goes to all servers: if one is `tls://`, all connections use TLS.
                made = GuardedClient(tls=any(server.startswith("tls://") for server in self._servers))
                options: dict[str, Any] = {
                    "name": "costledger",
                    **self._user,
                    "user_credentials": self._credentials,
                    "connect_timeout": _CONNECT_SECONDS,
                    "reconnect_time_wait": _RECONNECT_SECONDS,
                    "max_reconnect_attempts": _ATTEMPTS,
                    "error_cb": self._on_error,
                }
                try:
                    await asyncio.wait_for(made.connect(self._servers, **options), self.timeout_seconds)
                except ValueError as error:  # asyncio's, of a line that is longer than it reads
                    with contextlib.suppress(Exception):
                        await made.close()
                    raise ConnectionError(f"the first line of the server does not end: {error}") from None
                self._client = made
        if not self._client.is_connected:
            raise ConnectionError("the connection is down, and is being made again")
        return self._client

    async def request(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Send a request; return the JSON answer.

        Raises:
            JetStreamError: JetStream refused.
        """
        client = await self.client()
        answer: Msg = await client.request(subject, payload, timeout=self.timeout_seconds, headers=headers)
        try:
            found: dict[str, Any] = orjson.loads(answer.data)
        except orjson.JSONDecodeError:
            raise ConnectionError("an answer that is not JSON") from None
        if error := found.get("error"):
            raise JetStreamError(error)
        return found

    async def api(self, subject: str, **body: object) -> dict[str, Any]:
        """Call the JetStream API (https://docs.nats.io/reference/reference-protocols/nats_api_reference).

        Raises:
            JetStreamError: JetStream refused.
        """
        return await self.request(f"$JS.API.{subject}", orjson.dumps(body) if body else b"")

    async def _on_error(self, error: Exception) -> None:
        if self._trouble is None or not isinstance(error, OSError):  # a server that refuses reports why, then closes
            self._trouble = error
        if "permissions violation" in str(error).lower():  # the request itself gets no answer
            self._denied = f"this user may not do that: {str(error).removeprefix('nats: ')}", time.monotonic()
        _log.debug("NATS: %s", error)

    def close(self) -> None:
        """Close the connection and stop its thread; idempotent."""
        if self._loop.is_closed():
            return
        client = self._client
        if client is not None and not client.is_closed:
            closing = asyncio.run_coroutine_threadsafe(client.close(), self._loop)
            with contextlib.suppress(Exception):
                closing.result(self.timeout_seconds)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(_cancelled(self._loop))
        self._loop.close()


async def _cancelled(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel all running tasks and wait for their end."""
    tasks = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task(loop)]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
