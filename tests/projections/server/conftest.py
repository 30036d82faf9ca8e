"""Servers for tests: in this process where that is enough, in one of its own where a test kills or configures it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from ledger.config.locate import config_file
from ledger.config.schema import load
from ledger.config.select import price_book
from ledger.storage.directory_store import DirectoryStore
from projections.history.sqlite.history import SqliteHistory
from projections.history.store import HistoryStore
from projections.server.asgi import http_server
from projections.server.service.service import Service
from projections.server.service.settings import Settings
from tests.projections.server.browsing import WIDE, Visit


class Server(Protocol):
    """A server that listens, and a client for it."""

    data: Path
    ledgers: DirectoryStore
    port: int
    url: str
    client: httpx.Client

    def stop(self) -> str:
        """End it; return its output on stderr since it listens."""
        ...


class Here:
    """The whole server in a thread of this process; `settings` are those of `Settings`."""

    def __init__(
        self, data: Path, open_history: Callable[[Path], HistoryStore] = SqliteHistory, **settings: Any
    ) -> None:
        self.data, self.ledgers = data, DirectoryStore(data)
        config = config_file(data)
        history = data / "history.db"
        service = Service(
            Settings(data, **settings), lambda: open_history(history), config=load(config), prices=price_book(config)
        )
        self._server = http_server(service)
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=20)
        self._thread = threading.Thread(target=self._server.run, args=([listening],))
        self._thread.start()
        self._listening = listening

    def stop(self) -> str:
        self.client.close()
        self._server.should_exit = True
        self._thread.join()
        self._listening.close()
        return ""


class Process:
    """`costledger serve` in a process of its own; `answered` says for which hosts."""

    def __init__(self, data: Path, *options: str, by: Sequence[str] = ()) -> None:
        self.data, self.ledgers = data, DirectoryStore(data)
        command = [*by, sys.executable, "-m", "projections", "--data", str(data), "serve", "--port", "0", *options]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.search(r"http://\S+?:(\d+)/", line)
        if found is None:
            raise AssertionError(line + self.process.communicate(timeout=20)[1])
        self.answered = self.process.stderr.readline()
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=20, transport=httpx.HTTPTransport(retries=3))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> str:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(how)
        _, output = self.process.communicate(timeout=20)
        return output


Serve = Callable[..., Process]
Host = Callable[..., Here]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a process: `serve()`, or `serve(data, "--require-tokens")`; `by` is a command that starts it."""
    started: list[Process] = []

    def start(data: Path | None = None, *options: str, by: Sequence[str] = ()) -> Process:
        started.append(Process(data or tmp_path / "data", *options, by=by))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def hosted() -> Iterator[Host]:
    """Start a server in this process: `hosted(data)`, `hosted(data, open_history)`, `hosted(data, streams_max=9)`."""
    started: list[Here] = []

    def start(data: Path, open_history: Callable[[Path], HistoryStore] = SqliteHistory, **settings: Any) -> Here:
        started.append(Here(data, open_history, **settings))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(hosted: Host, tmp_path: Path) -> Here:
    return hosted(tmp_path / "data")


_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the module: while playwright runs, no other test of this process can run an event loop."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium: apt-get install chromium")
        pytest.skip("no chromium; `apt-get install chromium` lets this test run")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    """A visitor of the test's server; nothing may go wrong in the browser's eyes."""
    context = browser.new_context(viewport=WIDE, timezone_id="Europe/Berlin")
    made = Visit(context.new_page(), server.url)
    yield made
    context.close()
    assert made.wrong == []
