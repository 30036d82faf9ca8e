"""What a NATS server may not do: take a password without TLS where `tls://` was named, or greet without end."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.errors import ReplicaUnavailable
from ledger.replication.nats.replica import NatsReplica
from tests.nats_server import running

INFO = b"INFO " + json.dumps({"server_id": "s", "version": "2.12.0", "max_payload": 1048576}).encode() + b"\r\n"


class Fake:
    """A server of a few lines: what it receives, and what it sends to each client."""

    def __init__(self, say: Callable[[socket.socket], None]) -> None:
        self.received = b""
        self._say, self._listening = say, socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one: socket.socket) -> None:
        with one, contextlib.suppress(OSError):
            threading.Thread(target=self._take, args=(one,), daemon=True).start()
            self._say(one)

    def _take(self, one: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                self.received += data
                if b"PING" in data:
                    one.sendall(b"PONG\r\n")

    def stop(self) -> None:
        self._listening.close()


@pytest.fixture
def fake() -> Iterator[Callable[[Callable[[socket.socket], None]], Fake]]:
    made: list[Fake] = []

    def make(say: Callable[[socket.socket], None]) -> Fake:
        made.append(Fake(say))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def endless(one: socket.socket) -> None:
    while True:
        one.sendall(b"A" * 65536)


def refusal(name: str) -> str:
    with closing(NatsReplica(name)) as replica, pytest.raises(ReplicaUnavailable) as caught:
        replica.identity  # noqa: B018
    return str(caught.value)


def test_tls_that_a_server_does_not_offer_is_refused_before_the_password_is_sent(
    fake: Callable[[Callable[[socket.socket], None]], Fake],
) -> None:
    def say(one: socket.socket) -> None:
        one.sendall(INFO)
        threading.Event().wait(5)

    server = fake(say)
    shown = refusal(f"tls://joe:secret@127.0.0.1:{server.port}")
    assert "127.0.0.1 offers no TLS, and its address is tls://" in shown
    assert server.received == b""
    assert "secret" not in shown
    server = fake(say)
    assert "offers no TLS" in refusal(f"nats://joe:secret@127.0.0.1:{server.port},tls://127.0.0.1:{server.port}")
    assert server.received == b"", "the same password goes to all of them"


@pytest.mark.parametrize("required", [True, False], ids=["required", "available"])
def test_tls_that_a_server_offers_is_used_and_its_certificate_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, required: bool
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    with running(tmp_path / "nats") as cluster:
        cluster.stop()
        with cluster.servers[0].config.open("a") as config:
            config.write(f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}\n')
            config.write("" if required else "allow_non_tls: true\n")
        cluster.start()
        name = f"tls://localhost:{cluster.servers[0].port}"
        assert "certificate verify failed" in refusal(name)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with closing(NatsReplica(name, copies=1)) as replica:
            assert replica.identity
        assert cluster.servers[0].asked("connz?state=any")["connections"][-1].get("tls_version")


def test_a_first_line_without_an_end_is_named(fake: Callable[[Callable[[socket.socket], None]], Fake]) -> None:
    server = fake(endless)
    assert "the first line of the server does not end" in refusal(f"nats://127.0.0.1:{server.port}")
