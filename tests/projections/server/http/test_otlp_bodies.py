"""Bodies that are small on the wire: counted before they are made, read whole or refused, and never in others' way."""

from __future__ import annotations

import gzip
import json
import select
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from projections.server.http.otlp_bodies import check_values, count_elements, decoded, inflated
from projections.server.http.problems import Refusal
from tests.projections.server.bombs import bombs, peak_megabytes
from tests.projections.server.conftest import Here, Serve, Server
from tests.waiting import until

JSON = {"content-type": "application/json"}
GZIP = JSON | {"content-encoding": "gzip"}


def exported(*ids: str) -> dict[str, Any]:
    """A request of calls with these ids."""

    def attributes(**values: str) -> list[dict[str, Any]]:
        return [{"key": name.replace("__", "."), "value": {"stringValue": text}} for name, text in values.items()]

    named = [attributes(event__name="api_request", session__id="s", request_id=id, cost_usd="0.5") for id in ids]
    records = [{"attributes": one, "body": {"stringValue": "claude_code.api_request"}} for one in named]
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}


def packed(*ids: str) -> bytes:
    return json.dumps(exported(*ids)).encode()


def costs(server: Server) -> list[str]:
    return [line["cost_usd"] for line in server.ledgers.read("s") if line["type"] == "cost_observed"]


def test_a_gzip_of_two_members_is_read_whole(server: Here) -> None:
    body = packed("a", "b")
    halves = gzip.compress(body[:100]) + gzip.compress(body[100:])
    assert server.client.post("/v1/logs", content=halves, headers=GZIP).json() == {}
    assert costs(server) == ["0.50", "0.50"]


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(packed("a")) + b"more",
        gzip.compress(packed("a")) + gzip.compress(packed("b"))[:-3],
        gzip.compress(packed("a")) + gzip.compress(packed("b")),
        gzip.compress(b"") * 1001,
        b"",
    ],
    ids=[
        "text behind",
        "a cut member behind",
        "two requests",
        "a thousand members",
        "nothing",
    ],
)
def test_what_cannot_be_read_whole_is_refused_and_nothing_of_it_is_taken(server: Here, body: bytes) -> None:
    answer = server.client.post("/v1/logs", content=body, headers=GZIP)
    assert answer.status_code == 400
    assert list(server.ledgers.workflow_ids()) == []


@given(st.lists(st.binary(max_size=300_000), min_size=1, max_size=4), st.integers(0, 9))
def test_any_members_inflate_to_what_they_hold(members: list[bytes], level: int) -> None:
    whole = b"".join(members)
    body = b"".join(gzip.compress(member, level) for member in members)
    assert inflated(body, "gzip", len(whole)) == whole
    if whole:
        with pytest.raises(Refusal):
            inflated(body, "gzip", len(whole) - 1)


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text('a",[{\\}]', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('a",[{\\', max_size=4), inner, max_size=4),
)


def counted(value: Any) -> int:
    """Containers, and the commas between what they hold."""
    if isinstance(value, dict):
        return 1 + max(0, len(value) - 1) + sum(map(counted, value.values()))
    if isinstance(value, list):
        return 1 + max(0, len(value) - 1) + sum(map(counted, value))
    return 0


@given(values, st.integers(0, 40))
def test_values_are_counted_outside_of_strings(value: Any, most: int) -> None:
    text = json.dumps({"filling": '{[,\\"' * 100_000, "value": value}).encode()
    if counted({"filling": "", "value": value}) <= most:
        check_values(text, most)
    else:
        with pytest.raises(Refusal):
            check_values(text, most)


texts = st.text(max_size=200)
any_value = st.recursive(
    st.builds(lambda text: {"stringValue": text}, texts),
    lambda inner: st.builds(lambda many: {"arrayValue": {"values": many}}, st.lists(inner, max_size=3)),
)
attribute = st.builds(lambda key, value: {"key": key, "value": value}, texts, any_value)
record = st.builds(lambda many: {"attributes": many, "traceId": "AAAA"}, st.lists(attribute, max_size=4))
request = st.builds(
    lambda scopes: {"resourceLogs": [{"resource": {}, "scopeLogs": scopes}]},
    st.lists(st.builds(lambda records: {"logRecords": records}, st.lists(record, max_size=4)), max_size=3),
)


def messages_in(message: Any) -> int:
    """Messages below one, as protobuf's own reflection sees them."""
    found = 0
    for field, value in message.ListFields():
        if field.message_type is not None:
            several = list(value) if hasattr(value, "__len__") else [value]
            found += len(several) + sum(map(messages_in, several))
    return found


@given(request)
def test_elements_of_protobuf_are_counted_as_they_are_made(fields: dict[str, Any]) -> None:
    message = ParseDict(fields, ExportLogsServiceRequest())
    body, kind = message.SerializeToString(), ExportLogsServiceRequest.DESCRIPTOR
    assert count_elements(body, kind, 10**6) == messages_in(message)
    pieces = list(decoded(body, ExportLogsServiceRequest()))
    records = [
        one
        for piece in pieces
        for resource in piece["resourceLogs"]
        for scope in resource["scopeLogs"]
        for one in scope["logRecords"]
    ]
    whole = MessageToDict(message)
    expected = [
        one
        for resource in whole.get("resourceLogs", [])
        for scope in resource.get("scopeLogs", [])
        for one in scope.get("logRecords", [])
    ]
    assert records == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_counted_without_an_error(body: bytes) -> None:
    assert count_elements(body, ExportLogsServiceRequest.DESCRIPTOR, 50) >= 0


def test_no_bomb_takes_300_mb_and_the_server_goes_on(serve: Serve) -> None:
    server = serve()

    def sent(name: str) -> int:
        path, body, headers = bombs()[name]
        return httpx.post(server.url + path, content=body, headers=headers, timeout=120).status_code

    names = [name for name in bombs() if ("gzip" in name and "below" not in name) or name == "events of decimals"]
    assert len(names) > 10
    assert {sent(name) for name in names} <= {400, 413}
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(sent, names)) <= {400, 413, 503}
    assert peak_megabytes(server.process.pid) < 300  # benchmarks/bombs.py has the rest
    assert server.client.post("/v1/logs", content=packed("a"), headers=JSON).json() == {}


def test_eight_bodies_below_the_limits_at_once_stay_below_300_mb(serve: Serve) -> None:
    server = serve()

    def sent(name: str) -> int:
        path, body, headers = bombs()[f"below the limit: {name}"]
        return httpx.post(server.url + path, content=body, headers=headers, timeout=120).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(sent, ["an event of decimals"] * 8)) == {422}
        assert set(pool.map(sent, ["calls that are refused"] * 8)) <= {200, 503}
    assert peak_megabytes(server.process.pid) < 300
    assert server.client.post("/v1/logs", content=packed("a"), headers=JSON).json() == {}


def test_a_small_request_does_not_wait_behind_large_ones(serve: Serve) -> None:
    server = serve()
    path, body, headers = bombs()["below the limit: calls that are refused, as gzip"]
    with ThreadPoolExecutor(4) as pool:
        large = [
            pool.submit(httpx.post, server.url + path, content=body, headers=headers, timeout=120) for _ in range(4)
        ]
        while not any(one.done() for one in large):
            assert server.client.post("/v1/logs", content=packed("a"), headers=JSON).json() == {}
        server.client.post("/v1/logs", content=gzip.compress(packed("a")), headers=GZIP).raise_for_status()
        assert not all(one.done() for one in large)
        assert [one.result().status_code for one in large] == [200] * 4
    assert costs(server) == ["0.50"]


def connected(port: int, address: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(address, 0))


def test_one_client_that_opens_many_connections_is_refused_and_others_are_served(serve: Serve, tmp_path: Path) -> None:
    server = serve(tmp_path / "data", "--connections-max", "20")
    server.client.close()
    many = [connected(server.port, "127.0.0.1") for _ in range(60)]
    until(lambda: len(select.select(many, [], [], 0)[0]), lambda answered: answered == 40)
    answered, _, _ = select.select(many, [], [], 1)
    assert [b" 429 " in one.recv(65_536).split(b"\r\n")[0] for one in answered] == [True] * 40
    with connected(server.port, "127.0.0.2") as other:
        other.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert other.recv(65_536).startswith(b"HTTP/1.1 200")
    for one in many:
        one.close()
    server.client = httpx.Client(base_url=server.url)
    assert server.client.get("/healthz").status_code == 200
