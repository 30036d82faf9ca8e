"""uvicorn's HTTP/1.1 protocol with what it lacks: a limit on how long a request's head may take, an end to the
connection of a request with two lengths, and our problems.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from http import HTTPStatus
from typing import ClassVar, Final

import h11
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from projections.server.http.problems import Refusal, refused

__all__ = ["protocol"]

_LENGTHS: Final = {b"content-length", b"transfer-encoding"}
"""Both in one request: a proxy before us may have read another end of it, so none is read behind it
(https://www.rfc-editor.org/rfc/rfc9112#section-6.1)."""


def protocol(head_seconds_max: float, connections_max: int) -> type[H11Protocol]:
    """The protocol class for `uvicorn.Config(http=…)`.

    Args:
        connections_max: open connections of one client address; one more is refused and closed at once.
    """
    limits = {"head_seconds_max": head_seconds_max, "connections_max": connections_max, "open_of": Counter()}
    return type("TimedProtocol", (_TimedProtocol,), limits)


class _TimedProtocol(H11Protocol):
    head_seconds_max: ClassVar[float]
    connections_max: ClassVar[int]
    open_of: ClassVar[Counter[str]]
    """Open ones, by client address."""

    _head_timer: asyncio.TimerHandle | None = None
    _address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = str((transport.get_extra_info("peername") or ("",))[0])
        self.open_of[self._address] += 1
        if self.open_of[self._address] > self.connections_max:
            detail = f"more than {self.connections_max:,} connections are open from {self._address}; close some"
            self._refuse(Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too-many-connections", detail))
            return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self.conn.trailing_data[0]:
            self._await_head()

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and _LENGTHS.issubset(name for name, _ in self.headers):
            self.headers.append(CLOSE_HEADER)  # as if the client had asked for it, which uvicorn heeds

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.open_of[self._address] -= 1
        if not self.open_of[self._address]:
            del self.open_of[self._address]
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds_max, self._give_up)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        detail = f"the head of the request did not arrive within {self.head_seconds_max:g} seconds"
        self._refuse(Refusal(HTTPStatus.REQUEST_TIMEOUT, "too-slow", detail))

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's, which says no more than ours)
        """uvicorn's answer to what is no HTTP, as a problem; in the middle of another answer there is none."""
        if self.conn.our_state is h11.IDLE:
            detail = "this is no HTTP/1.1 request, or its head is too long"
        elif self.conn.our_state is h11.SEND_RESPONSE:
            self.cycle.disconnected = True  # the request has its answer: what still awaits its body gives none
            self.cycle.message_event.set()
            detail = "the body of this request is not in chunks as HTTP/1.1 has them"
        else:
            self.transport.close()
            return
        self._refuse(Refusal(HTTPStatus.BAD_REQUEST, "not-http", detail))

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what is no whole request, and close."""
        self.transport.write(refused(refusal))
        self.transport.close()
