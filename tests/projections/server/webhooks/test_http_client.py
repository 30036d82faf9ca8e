"""Requests go to the address that was checked, and to none that is private."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from projections.server.webhooks.http_client import NotSent, WebhookClient, is_public
from tests.projections.server.receiver import Receiver


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("64:ff9b::808:808", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("255.255.255.255", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("fec0::1", False),
        ("feff::1", False),
        ("64:ff9b:1::808:808", False),
        ("::127.0.0.1", False),
        ("::8.8.8.8", False),
        ("127\u30020\u30020\u30021", False),
        ("8\uff0e8\uff0e8\uff0e8", False),
        ("no address", False),
    ],
)
def test_an_address_is_judged_by_where_it_leads(address: str, public: bool) -> None:
    assert is_public(address) == public


def post(url: str, *, allow_private: bool = False) -> int:
    async def run() -> int:
        outward = WebhookClient(url, allow_private=allow_private)
        try:
            return await outward.post(b"{}", {}, 2.0)
        finally:
            await outward.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "localhost", "[::ffff:127.0.0.1]", "127。0。0。1", "0x7f.1", "2130706433"]
)
def test_however_this_machine_is_spelled_it_is_refused(host: str) -> None:
    receiver = Receiver()
    try:
        with pytest.raises(NotSent, match="not public"):
            post(f"http://{host}:{receiver.port}/")
        assert receiver.received == []
    finally:
        receiver.stop()


def test_a_name_with_one_private_address_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(NotSent, match="not public"):
        post("https://both.example/")


def test_a_name_is_looked_up_once_and_the_connection_goes_where_the_look_up_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    looked_up: list[str] = []

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    port = taken.getsockname()[1]
    with pytest.raises(NotSent, match="did not answer within"):
        post(f"http://rebound.example:{port}/hook", allow_private=True)
    with taken, taken.accept()[0] as connection:
        head = connection.recv(4096)
    assert f"host: rebound.example:{port}".encode() in head.lower()
    assert [host for host in looked_up if host == "rebound.example"] == ["rebound.example"]


def test_a_name_without_an_address_is_said() -> None:
    with pytest.raises(NotSent, match="has no address"):
        post("https://unknown.invalid/")


def test_a_host_that_refuses_the_connection_is_said_without_its_address() -> None:
    receiver = Receiver()
    receiver.stop()
    with pytest.raises(NotSent, match=r"^localhost could not be reached: Connection refused$"):
        post(f"http://localhost:{receiver.port}/", allow_private=True)
