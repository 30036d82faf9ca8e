"""nats-py's client with two guards: `tls://` always means TLS, and a server's lines have a limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from nats.aio.client import Client
from nats.errors import Error, ProtocolError
from nats.protocol.parser import AWAITING_CONTROL_LINE, AWAITING_MSG_PAYLOAD, Parser

__all__ = ["GuardedClient", "NoTls"]

LINE_BYTES_MAX: Final = 256 * 1024
"""Of one line of the protocol; a server's own limit is 4 KiB, and a large cluster's list of servers is longer."""

MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
"""The most that `max_payload` of a server may be (https://docs.nats.io/running-a-nats-service/configuration)."""


class NoTls(Error):
    """A server with a `tls://` address does not offer TLS; no password was sent to it."""

    def __init__(self, host: str | None) -> None:
        super().__init__(
            f"{host or 'the server'} offers no TLS, and its address is tls://: nothing was sent to it, not even a "
            "password; set up TLS on the server, or use nats://"
        )


class GuardedClient(Client):
    """A client that ends the connection to a server that violates the protocol.

    Args:
        tls: no user, password or data goes over a connection without TLS.
        broken: called with why a server's bytes were refused.
    """

    def __init__(self, *, tls: bool, broken: Callable[[str], None]) -> None:
        super().__init__()
        self._tls = tls
        self._ps = _BoundedParser(self, broken)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Handle INFO, the first line that a server sends; TLS starts right after it."""
        if self._tls and initial_connection and not info.get("tls_required"):
            server = self._current_server
            if not info.get("tls_available"):
                raise NoTls(None if server is None else server.uri.hostname)
            info["tls_required"] = True  # nats-py starts TLS only with servers that require it
        await super()._process_info(info, initial_connection)


class _BoundedParser(Parser):
    def __init__(self, client: Client, broken: Callable[[str], None]) -> None:
        super().__init__(client)
        self._broken = broken

    async def parse(self, data: bytes = b"") -> None:
        await super().parse(data)
        if self.state == AWAITING_CONTROL_LINE and len(self.buf) > LINE_BYTES_MAX:
            self._refuse(f"a line of the server does not end within {LINE_BYTES_MAX:,} bytes")
        if self.state == AWAITING_MSG_PAYLOAD and self.needed > MESSAGE_BYTES_MAX:
            self._refuse(f"a message of the server is longer than {MESSAGE_BYTES_MAX:,} bytes")

    def _refuse(self, why: str) -> None:
        self.reset()
        self._broken(why)
        raise ProtocolError(f"nats: {why}")
