"""Limits of requests: what every request must satisfy before it reaches a route. Pure ASGI, no state but counters.

Host is checked against DNS rebinding, Origin against forged requests from another page, the body against overload.
Every answer has the headers that protect a browser and its user
(https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from prometheus_client import Counter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.errors import is_shortage
from projections.server.http.problems import Refusal, response_to
from projections.server.service.settings import Settings

__all__ = ["RequestLimits"]

_log = logging.getLogger("costledger")

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS: Final = _SAFE | {"POST", "PUT", "PATCH", "DELETE"}
_NONE: Final = "(none)"
_CLIENTS_KEPT: Final = 10_000
_BODIES_AT_ONCE: Final = 2
"""Bodies of the largest size that may be in memory at the same time, or smaller ones of the same sum."""

_DISCARD_BYTES_MAX: Final = 64 * 1024 * 1024
_DISCARD_SECONDS_MAX: Final = 2.0


class RequestLimits:
    """ASGI middleware around the whole application.

    Args:
        requests: counts what was answered, by method, route and status.
    """

    def __init__(self, app: ASGIApp, settings: Settings, requests: Counter) -> None:
        self._app, self._settings, self._requests = app, settings, requests
        self._hosts = frozenset(settings.hosts)
        self._in_memory: list[_Body] = []
        self._rates = _Rates(settings.requests_per_second_max)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = ended = False
        is_head = scope["method"] == "HEAD"
        asked = {**scope, "method": "GET"} if is_head else scope

        async def guarded(message: Message) -> None:
            nonlocal started, ended
            if ended:
                return
            if message["type"] == "http.response.start":
                started = True
                self._count(scope["method"], asked, message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)
            if is_head:
                ended = True  # also of a stream, which would not end
                await send({"type": "http.response.body"})

        self._in_memory.append(body := _Body(receive, self._settings, self._in_memory))
        try:
            self._check(scope)
            await self._app(asked, body, guarded)
        except ClientDisconnect:
            return  # in the middle of its body: there is no client to answer
        except Exception as error:
            if started:
                raise
            if not isinstance(error, Refusal):
                _log.error("%s %s: %s", scope["method"], scope["path"], error, exc_info=not is_shortage(error))
            elif error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                await _discard(receive)
            await response_to(error, asked)(asked, receive, guarded)
        finally:
            self._in_memory.remove(body)

    def _count(self, method: str, asked: Scope, status: int) -> None:
        path = getattr(asked.get("route"), "path", _NONE)
        self._requests.labels(method if method in _METHODS else _NONE, path, str(status)).inc()

    def _check(self, scope: Scope) -> None:
        headers, settings = Headers(scope=scope), self._settings
        host = headers.get("host", "")
        if _without_port(host) not in self._hosts:
            detail = f"this server is not called {host[:100]!r}; add the name with --allow-host if it is"
            raise Refusal(HTTPStatus.MISDIRECTED_REQUEST, "unknown-host", detail)
        origin = headers.get("origin")
        foreign = origin is not None and origin.partition("://")[2] != host
        if scope["method"] not in _SAFE and (foreign or headers.get("sec-fetch-site") == "cross-site"):
            detail = "a page of another origin may not change anything here"
            raise Refusal(HTTPStatus.FORBIDDEN, "foreign-origin", detail)
        self._rates.take((scope.get("client") or ("",))[0])
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length[:19]) > settings.body_bytes_max:
            raise _too_large(settings)


def _without_port(host: str) -> str:
    """Return the name in a Host header, in lower case.

    A page elsewhere whose name was made to point here sends its own name (DNS rebinding).
    """
    name, _, port = host.rpartition(":")
    return (name if port.isdigit() else host).strip("[]").lower()


class _Body:
    """A request's body as it is received: limited in size, in time and, with all others, in memory."""

    def __init__(self, receive: Receive, settings: Settings, in_memory: Collection[_Body]) -> None:
        self._receive, self._settings, self._in_memory = receive, settings, in_memory
        self.size, self._complete = 0, False
        self._until = time.monotonic() + settings.body_seconds_max

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self._until - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            detail = f"the body did not arrive within {self._settings.body_seconds_max:g} seconds"
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "too-slow", detail, {"Connection": "close"}) from None
        if message["type"] == "http.request":
            self.size += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            most = self._settings.body_bytes_max
            if self.size > most:
                raise _too_large(self._settings)
            if sum(body.size for body in self._in_memory) > _BODIES_AT_ONCE * most:
                detail = f"the bodies of requests under way have {_BODIES_AT_ONCE * most:,} bytes, the limit; try again"
                headers = {"Retry-After": "1", "Connection": "close"}
                raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too-busy", detail, headers)
        return message


async def _discard(receive: Receive) -> None:
    """Read the rest of a body, within limits: a connection closed with unread bytes would lose the answer, too."""
    taken, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_SECONDS_MAX):
            while more and taken < _DISCARD_BYTES_MAX:
                message = await receive()
                taken += len(message.get("body", b""))
                more = message.get("more_body", False)


def _too_large(settings: Settings) -> Refusal:
    detail = f"a body may have {settings.body_bytes_max:,} bytes; send several requests"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", detail, {"Connection": "close"})


class _Rates:
    """A token bucket for each client address, filled by so many requests a second, holding twice that."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Take one request from a client's bucket.

        Raises:
            Refusal: it is empty.
        """
        now, most = time.monotonic(), 2.0 * self._per_second
        left, at = self._clients.pop(client, (most, now))
        left = min(most, left + (now - at) * self._per_second)
        self._clients[client] = (max(0.0, left - 1), now)
        if len(self._clients) > _CLIENTS_KEPT:
            self._clients.popitem(last=False)
        if left < 1:
            detail = f"more than {self._per_second:,} requests a second from {client}; batches take many events at once"
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", detail, {"Retry-After": "1"})
