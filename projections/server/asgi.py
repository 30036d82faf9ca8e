"""The HTTP server of an application: uvicorn as we use it."""

from __future__ import annotations

import os
import signal
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from projections.server.app import create_app
from projections.server.http.h11_protocol import protocol
from projections.server.service.allocator import bound_allocator
from projections.server.service.service import Service

__all__ = ["http_server"]

_GRACE_SECONDS = 10
"""How long requests that are under way may take once the server is asked to stop."""


def http_server(service: Service) -> uvicorn.Server:
    """Return a server, to be run on sockets that listen already.

    Raises:
        InvalidInput: the secret of a webhook is missing.
    """
    app = create_app(service)
    config = uvicorn.Config(
        app,
        http=protocol(service.settings.head_seconds_max, service.settings.connections_max),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return _Server(config, app)


class _Server(uvicorn.Server):
    """Stop at once during the start; later end the streams first, which would not end by themselves."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal, with the allocator of a server."""
        bound_allocator()
        self._before: dict[int, object] = {sig: signal.getsignal(sig) for sig in (signal.SIGINT, signal.SIGTERM)}
        super().run(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Exit at once before the first request: rows are written whole or not, and no request is under way.

        A handler that the caller has set is called for that, such as one that removes a temporary folder.
        """
        if not self.started:
            before = self._before.get(sig)
            asked = callable(before) and before is not signal.default_int_handler
            signal.signal(sig, before if asked else signal.SIG_DFL)  # type: ignore[arg-type]
            os.kill(os.getpid(), sig)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then finish the requests under way."""
        self._app.state.feed.close()
        await super().shutdown(sockets)
