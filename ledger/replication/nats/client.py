"""nats-py's client with a guard: `tls://` always means TLS."""

from __future__ import annotations

from typing import Any

from nats.aio.client import Client
from nats.errors import Error

__all__ = ["GuardedClient", "NoTls"]


class NoTls(Error):
    """A server with a `tls://` address does not offer TLS; no password was sent to it."""

    def __init__(self, host: str | None) -> None:
        super().__init__(
            f"{host or 'the server'} offers no TLS, and its address is tls://: nothing was sent to it, not even a "
            "password; set up TLS on the server, or use nats://"
        )


class GuardedClient(Client):
    """A client that, with `tls`, sends no user, password or data over a connection without TLS."""

    def __init__(self, *, tls: bool) -> None:
        super().__init__()
        self._tls = tls

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Handle INFO, the first line that a server sends; TLS starts right after it."""
        if self._tls and initial_connection and not info.get("tls_required"):
            server = self._current_server
            if not info.get("tls_available"):
                raise NoTls(None if server is None else server.uri.hostname)
            info["tls_required"] = True  # nats-py starts TLS only with servers that require it
        await super()._process_info(info, initial_connection)
