from __future__ import annotations

import logging
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from projections.server.http.listening_socket import Listening


@pytest.fixture
def listening() -> Iterator[Listening]:
    with Listening(socket.create_server(("127.0.0.1", 0)), connections_max=2) as made:
        made.settimeout(0)
        yield made


def connected(listening: Listening) -> socket.socket:
    return socket.create_connection(listening.getsockname(), timeout=5)


def test_connections_above_the_limit_are_refused_with_an_answer_and_others_are_taken(
    listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as clients:
        for _ in range(2):
            clients.enter_context(connected(listening))
        accepted = [listening.accept()[0] for _ in range(2)]
        refused = clients.enter_context(connected(listening))
        with pytest.raises(BlockingIOError):
            listening.accept()
        assert refused.recv(4096).startswith(b"HTTP/1.1 503 ")
        assert "connections are refused: 2 are open" in caplog.text
        accepted.pop().close()
        clients.enter_context(connected(listening))
        accepted.append(listening.accept()[0])
        for connection in accepted:
            connection.close()


def test_without_a_descriptor_left_a_connection_waits_until_there_is_one(
    listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    client = connected(listening)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    taken: list[int] = []
    try:
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        with pytest.raises(BlockingIOError):
            listening.accept()
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "ulimit -n" in caplog.text
    with client, listening.accept()[0] as accepted:
        accepted.send(b"served")
        assert client.recv(4096) == b"served"
