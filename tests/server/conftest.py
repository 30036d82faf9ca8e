"""A real server process for each test that wants one, on a port of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from ledger.store import DirectoryStore


class Server:
    """`costledger serve` in a process of its own, and a client for it."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data, self.ledgers = data, DirectoryStore(data)
        command = [sys.executable, "-m", "projections", "--data", str(data), "serve", "--port", "0", *options]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        assert self.process.stderr is not None
        told = self.process.stderr.readline()
        found = re.search(r"http://\S+?:(\d+)/", told)
        if found is None:
            self.process.wait(10)
            raise AssertionError(told + self.process.stderr.read())
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=20, transport=httpx.HTTPTransport(retries=3))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> str:
        """End it; what it said on stderr since its first line."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(how)
        _, told = self.process.communicate(timeout=20)
        return told


Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server: `serve()`, or `serve(data, "--require-tokens")`."""
    started: list[Server] = []

    def start(data: Path | None = None, *options: str) -> Server:
        started.append(Server(data or tmp_path / "data", *options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve()
