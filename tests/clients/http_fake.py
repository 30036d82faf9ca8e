"""An HTTP server on loopback that plays a provider's API, and records the truth of each response that it gave."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Final

from tests.clients.script import Script, Step

__all__ = ["Call", "FakeApi", "FakeHandler", "Given", "new_id"]

SLOW_SECONDS: Final = 30.0
"""How long a slow stream goes on, unless its client is killed first."""


def new_id(prefix: str) -> str:
    return prefix + uuid.uuid4().hex[:24]


@dataclass(frozen=True, slots=True)
class Call:
    """What one request asks for, in any API's words."""

    model: str
    session: str | None
    prompt: str
    results: int
    tools: tuple[str, ...]
    stream: bool


@dataclass(frozen=True, slots=True)
class Given:
    """One response: the truth that rows are compared with.

    Attributes:
        usage: as the API spells it.
        cost_usd: at list prices; None for a model without one.
        thread: another id of the session: a sub-agent's, with records of its own.
        process: the number of the client's process, as the address shows that it asked.
        complete: false where the stream was cut; whether such a call is charged, and how much of it, is not known.
    """

    id: str
    model: str
    session: str | None
    usage: Mapping[str, Any]
    cost_usd: Decimal | None
    complete: bool
    prompt: str
    at: float
    process: int
    thread: str | None

    def document(self) -> dict[str, Any]:
        return {
            "time": self.at,
            "session": self.session,
            "id": self.id,
            "model": self.model,
            "raw_usage": dict(self.usage),
            "cost_usd": None if self.cost_usd is None else str(self.cost_usd),
            "complete": self.complete,
            "prompt_end": self.prompt[-80:],
            "process": self.process,
            "thread": self.thread,
        }


@dataclass
class FakeApi:
    """A fake API: its server, what it was asked, and what it answered.

    Attributes:
        asked: method, path and headers of every request.
        batches: results of batches, by their id.
        active: how many responses are being written.
    """

    handler: type[FakeHandler]
    script: Script
    given: list[Given] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    batches: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    active: int = 0
    slow: threading.Event = field(default_factory=threading.Event)
    last_activity: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    @contextmanager
    def running(self) -> Iterator[FakeApi]:
        bound = type("Bound", (self.handler,), {"api": self})
        server = _Server(("127.0.0.1", 0), bound)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def address(self, process: int) -> str:
        """Return the address for one process of a client."""
        return f"{self.url}/process-{process}"

    def wait_until_idle(self, quiet_seconds: float, most_seconds: float) -> bool:
        """Wait until nothing was asked or answered for a while; return whether that came about."""
        until = time.monotonic() + most_seconds
        while time.monotonic() < until:
            if self.active == 0 and time.monotonic() - self.last_activity > quiet_seconds:
                return True
            time.sleep(0.05)
        return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class FakeHandler(BaseHTTPRequestHandler):
    """What the APIs share: bodies in, JSON and event streams out."""

    api: ClassVar[FakeApi]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: a client's requests are in `asked`."""

    def answer(self, path: str, body: dict[str, Any]) -> None:
        """Answer one POST."""
        raise NotImplementedError

    def get(self, path: str) -> None:
        """Answer one GET: there is nothing."""
        self.json(404, {"error": {"type": "not_found_error", "message": f"no {path}"}})

    def do_GET(self) -> None:
        self._note()
        self.get(self.path.split("?")[0])

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.take()

    def take(self) -> None:
        """Take one POST."""
        self._note()
        with self.api.lock:
            self.api.active += 1
        try:
            self.answer(self.path.split("?")[0], json.loads(self.plain_body() or b"{}"))
        except (BrokenPipeError, ConnectionResetError):
            self.cut()
        finally:
            with self.api.lock:
                self.api.active -= 1
                self.api.last_activity = time.monotonic()

    def record(self, call: Call, id: str, usage: Mapping[str, Any], cost: Decimal | None, *, complete: bool) -> None:
        """Record what was answered."""
        with self.api.lock:
            where = (time.time(), self.process, self.headers.get("thread-id"))
            self.api.given.append(Given(id, call.model, call.session, usage, cost, complete, call.prompt, *where))

    @property
    def process(self) -> int:
        found = re.match(r"/process-(\d+)/", self.path)
        return int(found[1]) if found else 0

    def _note(self) -> None:
        self.api.last_activity = time.monotonic()
        self.api.asked.append({"method": self.command, "path": self.path, "headers": dict(self.headers)})

    def body(self) -> bytes:
        """Return the body as it was sent, chunked or in one piece."""
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        raw = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            raw += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return raw

    def plain_body(self) -> bytes:
        raw = self.body()
        return gzip.decompress(raw) if self.headers.get("content-encoding", "").lower() == "gzip" else raw

    def json(self, status: int, document: Any, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("request-id", new_id("req_"))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def lines(self, documents: Iterable[Any]) -> None:
        data = "".join(json.dumps(document) + "\n" for document in documents).encode()
        self.send_response(200)
        self.send_header("content-type", "application/x-jsonl")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def start_stream(self, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("request-id", new_id("req_"))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def cut(self) -> None:
        self.close_connection = True
        self.connection.close()

    def pieces(self, text: str, step: Step) -> Iterator[str]:
        """A text in pieces, as a stream has it; slowly, or cut off, where the script says so.

        Raises:
            BrokenPipeError: the script drops this stream.
        """
        for at in range(0, len(text), 8):
            yield text[at : at + 8]
            if step.drop:
                raise BrokenPipeError("dropped by the script")
        if step.slow:
            until = time.monotonic() + SLOW_SECONDS
            while (left := until - time.monotonic()) > 0:
                yield f"and on {left:.3f} "  # some clients stop a stream that repeats itself
                self.api.slow.set()
                time.sleep(0.1)
