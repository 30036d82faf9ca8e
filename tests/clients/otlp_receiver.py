"""Receives what clients export by OTLP/HTTP, and keeps each request as it came: bytes, type and encoding."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.clients.http_fake import FakeApi, FakeHandler

__all__ = ["OtlpHandler", "write_requests"]


class OtlpHandler(FakeHandler):
    """Accepts every export."""

    def take(self) -> None:
        media = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        request = {
            "path": self.path,
            "media": media,
            "encoding": self.headers.get("content-encoding", "identity"),
            "body": base64.b64encode(self.body()).decode(),
        }
        with self.api.lock:
            self.api.asked.append(request)
        answer = b"{}" if media == "application/json" else b""
        self.send_response(200)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def write_requests(receiver: FakeApi, path: Path) -> None:
    """Write what was received, one request a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with receiver.lock:
        path.write_text("".join(json.dumps(request) + "\n" for request in receiver.asked), encoding="utf-8")
