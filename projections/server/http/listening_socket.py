"""A listening socket that also answers when this process may open no more files.

asyncio then stops accepting for a second, but tries again as often as the backlog is long, logs each time, and doubles
the number of retries (`BaseSelectorEventLoop._accept_connection`): this alone keeps the processor busy. So connections
are limited to what leaves descriptors for ledgers and rows, and further ones are refused.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from http import HTTPStatus
from typing import Any, Final
from weakref import WeakSet

from ledger.errors import is_shortage, reason
from projections.server.http.problems import TOO_FEW_DESCRIPTORS, Refusal, refused

__all__ = ["Listening"]

_log = logging.getLogger("costledger")

_LOG_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.05
"""The pause when not even a refusal is possible: twenty times a second costs no processor time."""

_UNREAD_BYTES: Final = 65_536
"""Read before a refused connection is closed: with unread bytes the client would lose the answer."""

_ANSWER: Final = refused(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too-few-descriptors", TOO_FEW_DESCRIPTORS))


class Listening(socket.socket):
    """The socket of a server.

    Args:
        listening: a socket that listens already; this one takes over its descriptor.
        connections_max: how many may be open, so that descriptors are left for ledgers and rows; further ones are
            refused at once.
    """

    def __init__(self, listening: socket.socket, connections_max: int) -> None:
        super().__init__(listening.family, listening.type, listening.proto, fileno=listening.detach())
        self._max = connections_max
        self._accepted: WeakSet[socket.socket] = WeakSet()
        self._logged_at = -_LOG_SECONDS

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection; refuse those beyond the limit.

        Raises:
            BlockingIOError: no connection is waiting, or no descriptor is left for it: then it waits.
        """
        while True:
            try:
                connection, address = super().accept()
            except OSError as error:
                if not is_shortage(error):
                    raise
                self._log(reason(error))
                time.sleep(_PAUSE_SECONDS)
                raise BlockingIOError from error
            if not self._is_full():
                self._accepted.add(connection)
                return connection, address
            self._log(f"{self._max:,} are open, which is all that the limit of open files (ulimit -n) leaves")
            _refuse(connection)

    def _is_full(self) -> bool:
        if len(self._accepted) < self._max:
            return False
        return sum(one.fileno() >= 0 for one in self._accepted) >= self._max

    def _log(self, why: str) -> None:
        now = time.monotonic()
        if now - self._logged_at >= _LOG_SECONDS:
            self._logged_at = now
            _log.error("connections are refused: %s", why)


def _refuse(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(0)
        connection.send(_ANSWER)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(_UNREAD_BYTES)
