"""A real HTTP server that receives webhooks, and answers as a test configures it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

from tests.waiting import until

SECRET = "whsec_" + "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="


@dataclass(frozen=True, slots=True)
class Received:
    """One request, its signature verified."""

    id: str
    type: str
    data: dict[str, Any]
    headers: dict[str, str]
    body: bytes
    path: str


def always(status: int) -> Callable[[Received], int]:
    """Answers everything with this."""
    return lambda _: status


class Receiver:
    """Receives on a port of its own; `answers(received)` says with which status, 0 for none at all."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[Received] = []
        self.answers = always(200)
        self.location = ""
        receiver, verifier = self, Webhook(SECRET)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                message = verifier.verify(body, headers)
                type, told = message.get("type", "slack"), message.get("data", message)
                found = Received(headers["webhook-id"], type, told, headers, body, self.path)
                status = receiver.answers(found)
                receiver.received.append(found)
                if status:
                    self.send_response(status)
                    self.send_header("location", receiver.location)
                    self.send_header("content-length", "0")
                    self.end_headers()
                else:
                    self.close_connection = True

            def do_GET(self) -> None:
                """A redirect that was followed would come this way."""
                receiver.received.append(Received("", "GET", {"adw_id": ""}, {}, b"", self.path))
                self.send_error(404)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; a second time does nothing."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def until(self, true: Callable[[list[Received]], bool], seconds: float = 15.0) -> list[Received]:
        """What was received, as soon as that is true of it."""
        return until(lambda: list(self.received), true, seconds, describe=self._description)

    def types(self, adw_id: str) -> list[str]:
        return [one.type for one in self.received if one.data["adw_id"] == adw_id]

    def _description(self, received: list[Received]) -> str:
        return "\n".join(json.dumps([one.type, one.data]) for one in received)


def config(port: int, **more: Any) -> str:
    """A `costledger.toml` with this one endpoint, which retries at once."""
    options = {
        "url": f"http://127.0.0.1:{port}/hook?token=hush",
        "secret_env": "TEST_WEBHOOK_SECRET",
        "allow_private": True,
        "retry_seconds": 0.05,
    } | more
    lines = [f"{name} = {json.dumps(value)}" for name, value in options.items() if value is not None]
    return "\n".join(["[[webhooks]]", *lines, "", "[budgets]", 'default_usd = "5"', ""])
