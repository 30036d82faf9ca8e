"""Who is let in, and hostile requests that end in a clear refusal."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from projections.cli.commands.serve import listening_socket
from projections.server.service.settings import Settings
from projections.server.service.tokens import TokenRegister
from tests.projections.server.conftest import Host, Serve, Server
from tests.waiting import until


def problem_type(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).rpartition(":")[2]


def everything(connection: socket.socket) -> bytes:
    """What is answered until the connection is closed."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def problem_in(answer: bytes) -> tuple[int, str]:
    """The status of a raw answer, and the problem in its body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    problem = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % problem["status"])
    return problem["status"], problem["type"].rpartition(":")[2]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_without_a_token_nothing_is_said_where_tokens_are_required(hosted: Host, tmp_path: Path) -> None:
    tokens = TokenRegister(tmp_path / "data")
    read, append, admin = (tokens.create(scope) for scope in ("read", "append", "admin"))
    server = hosted(tmp_path / "data", tokens_required=True)
    event = {"type": "cost_observed", "workflow_id": "w", "cost_usd": "1"}

    def codes(token: str) -> list[int]:
        http = server.client
        return [
            http.get("/api/workflow-history", headers=bearer(token)).status_code,
            http.post("/api/events", json=event, headers=bearer(token)).status_code,
            http.post("/api/workflow-history/resync", headers=bearer(token)).status_code,
        ]

    assert codes(read) == [200, 403, 403]
    assert codes(append) == [403, 201, 403]
    assert codes(admin) == [200, 201, 200]
    assert codes(f"{read}x") == codes("costledger_00000000_x") == codes("nonsense") == [401, 401, 401]
    nothing = server.client.get("/api/workflow-history")
    assert (nothing.status_code, nothing.headers["www-authenticate"], problem_type(nothing)) == (
        401,
        "Bearer",
        "unauthorized",
    )
    assert server.client.get("/healthz").status_code == 200
    tokens.revoke(read.split("_")[1])
    assert codes(read) == [401, 401, 401]


def test_a_wrong_token_is_refused_even_where_none_is_needed(server: Server) -> None:
    assert server.client.get("/api/workflow-history").status_code == 200
    assert server.client.get("/api/workflow-history", headers=bearer("wrong")).status_code == 401


def test_only_hashes_of_tokens_are_kept_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    tokens = TokenRegister(tmp_path)
    text = tokens.create("read", "grafana")
    stored = tokens.path.read_text()
    assert text.split("_", 2)[2] not in stored  # its secret, which may have a "_"
    assert tokens.path.stat().st_mode & 0o077 == 0
    found = TokenRegister(tmp_path).find(text)
    assert found is not None
    assert (found.scope, found.note) == ("read", "grafana")


def test_another_address_is_not_served_without_a_token(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "projections",
        "--data",
        str(tmp_path),
        "serve",
        "--host",
        "0.0.0.0",
        "--port",
        "0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, "costledger token create" in done.stderr) == (2, True)


def test_a_second_server_of_a_data_directory_is_told_where_the_first_one_is(serve: Serve, tmp_path: Path) -> None:
    first = serve()
    command = [sys.executable, "-m", "projections", "--data", str(tmp_path / "data"), "serve", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, f"process {first.process.pid} at {first.url}/;" in done.stderr) == (1, True), done.stderr
    assert first.client.get("/readyz").status_code == 200
    assert serve(tmp_path / "other").client.get("/readyz").status_code == 200
    first.stop(signal.SIGKILL)
    assert serve().client.get("/readyz").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_answer_waits_for_no_acknowledgement_of_the_client(host: str) -> None:
    with listening_socket(host, 0) as listening, socket.create_connection(listening.getsockname()[:2]):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil:80"])
def test_a_name_that_was_made_to_point_here_is_refused(server: Server, host: str) -> None:
    answer = server.client.get("/api/workflow-history", headers={"host": host})
    assert (answer.status_code, problem_type(answer)) == (421, "unknown-host")


def test_the_start_says_which_hosts_are_answered_and_warns_when_they_have_no_effect(
    serve: Serve, tmp_path: Path
) -> None:
    named = serve(None, "--allow-host", "Costs.example")
    assert named.answered == (
        "costledger: answers requests for localhost, 127.0.0.1, ::1, costs.example; --allow-host NAME adds one\n"
    )
    assert named.client.get("/healthz", headers={"host": "costs.example:80"}).status_code == 200
    other = tmp_path / "other"
    TokenRegister(other).create("read", "")
    everywhere = serve(other, "--host", "0.0.0.0")
    assert (": warning: " in everywhere.answered, "--allow-host" in everywhere.answered) == (True, True)
    assert everywhere.client.get("/healthz").status_code == 421
    everywhere.stop()
    helped = serve(other, "--host", "0.0.0.0", "--allow-host", "127.0.0.1")
    assert helped.answered.startswith("costledger: answers requests for 0.0.0.0, 127.0.0.1;")
    assert helped.client.get("/healthz").status_code == 200


def test_a_page_of_another_origin_may_not_change_anything(server: Server) -> None:
    url = "/api/workflow-history/resync"
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        answer = server.client.post(url, headers=headers)
        assert (answer.status_code, problem_type(answer)) == (403, "foreign-origin")
    assert server.client.post(url, headers={"origin": server.url}).status_code == 200


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(server: Server) -> None:
    most = Settings(Path()).body_bytes_max
    answer = server.client.post("/api/events", content=b"x" * (most + 1))
    assert (answer.status_code, problem_type(answer)) == (413, "too-large")

    def endless() -> object:
        for _ in range(most // 65_536 + 2):
            yield b" " * 65_536

    chunked = server.client.post("/api/events", content=endless())  # type: ignore[arg-type]
    assert (chunked.status_code, problem_type(chunked)) == (413, "too-large")
    many = [{"type": "moon"}] * 10_001
    assert problem_type(server.client.post("/api/events", json=many)) == "too-many-events"


def test_an_answer_carries_what_keeps_a_browser_from_being_used_against_its_user(server: Server) -> None:
    for path in ("/healthz", "/api/workflow-history", "/nothing"):
        headers = server.client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_a_head_that_never_ends_is_answered_and_closed(hosted: Host, tmp_path: Path) -> None:
    server = hosted(tmp_path, head_seconds_max=0.5)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
        began = time.monotonic()
        assert problem_in(everything(slow)) == (408, "too-slow")
        assert time.monotonic() - began < 5
    assert server.client.get("/healthz").status_code == 200


def test_a_body_that_dribbles_is_refused(hosted: Host, tmp_path: Path) -> None:
    server = hosted(tmp_path, body_seconds_max=0.5)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
        slow.sendall(b"POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{")
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("raw", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\nA: " + b"x" * 100_000, b"X\r\n\r\n"])
def test_what_is_no_http_is_refused(server: Server, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wrong:
        wrong.sendall(raw + b"\r\n\r\n")
        assert problem_in(everything(wrong)) == (400, "not-http")
    assert server.client.get("/healthz").status_code == 200


def test_a_body_in_no_chunks_is_refused_before_it_is_answered(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wrong:
        head = b"POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        wrong.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n3\r\n[{}\r\n")
        time.sleep(0.2)  # so that a handler waits for the body
        wrong.sendall(b"no chunk\r\n")
        got = everything(wrong)
    assert problem_in(got) == (400, "not-http")
    assert got.count(b"HTTP/1.1") == 2, "one answer, which names HTTP/1.1 twice"
    assert server.client.get("/healthz").status_code == 200


def test_a_request_with_two_lengths_is_answered_and_nothing_behind_it_is_read(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wrong:
        lengths = b"Content-Length: 99\r\nTransfer-Encoding: chunked\r\n"
        smuggled = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        wrong.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + lengths + b"\r\n0\r\n\r\n" + smuggled)
        got = everything(wrong)
    assert (got[:15], got.count(b"HTTP/1.1"), b"connection: close" in got) == (b"HTTP/1.1 200 OK", 1, True)


def test_a_body_that_breaks_while_it_is_answered_only_ends_the_connection(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wrong:
        wrong.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert wrong.recv(15) == b"HTTP/1.1 200 OK"
        wrong.sendall(b"no chunk\r\n")
        everything(wrong)
    assert server.client.get("/healthz").status_code == 200


def test_a_head_is_a_get_without_its_body_and_options_say_what_there_is(server: Server) -> None:
    for path in ("/", "/healthz", "/metrics", "/api/workflow-history", "/openapi.json"):
        got, head = server.client.get(path), server.client.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers["content-type"] == got.headers["content-type"]
        assert path == "/metrics" or head.headers["content-length"] == got.headers["content-length"]
    assert server.client.head("/api/workflow-history/unknown").status_code == 404
    stream = server.client.head("/api/stream")
    assert (stream.status_code, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    until(lambda: server.client.get("/api/health").json()["streams"], lambda streams: streams == 0)
    assert allowed(server.client.options("/api/workflow-history")) == (204, "GET, HEAD, OPTIONS")
    assert allowed(server.client.put("/api/workflow-history")) == (405, "GET, HEAD, OPTIONS")
    assert allowed(server.client.get("/api/events")) == (405, "OPTIONS, POST")
    assert server.client.options("/nothing").status_code == 404
    preflight = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    answer = server.client.options("/api/events", headers=preflight)
    assert not any(name.startswith("access-control") for name in answer.headers), "no other origin is let in"


def allowed(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.headers["allow"]


def test_more_requests_than_the_rate_allows_are_told_when_to_come_back(hosted: Host, tmp_path: Path) -> None:
    server = hosted(tmp_path, requests_per_second_max=5)
    answers = [server.client.get("/healthz") for _ in range(30)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert (refused[0].headers["retry-after"], problem_type(refused[0])) == ("1", "too-many-requests")
    assert answers[0].status_code == 200


def test_behind_a_proxy_each_client_has_a_limit_of_its_own(hosted: Host, tmp_path: Path) -> None:
    server = hosted(tmp_path, requests_per_second_max=1)

    def codes(address: str) -> list[int]:
        headers = {"x-forwarded-for": address}
        return [server.client.get("/healthz", headers=headers).status_code for _ in range(8)]

    assert codes("192.0.2.1")[-1] == 429
    assert codes("192.0.2.2")[0] == 200


def test_more_streams_than_allowed_are_refused_and_the_rest_goes_on(serve: Serve) -> None:
    server = serve(None, "--streams-max", "50", "--connections-max", "2000")

    async def one() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status = int((await reader.readline()).split()[1])
        opened.append(writer)
        return status

    opened: list[asyncio.StreamWriter] = []

    async def many() -> list[int]:
        codes = list(await asyncio.gather(*(one() for _ in range(1000))))
        assert (await asyncio.to_thread(server.client.get, "/healthz")).status_code == 200
        for writer in opened:
            writer.close()
        return codes

    codes = asyncio.run(many())
    assert (codes.count(200), codes.count(503)) == (50, 950)
    assert server.client.get("/api/workflow-history").status_code == 200


def test_a_client_that_hangs_up_in_its_body_is_no_error_of_the_server(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as gone:
        gone.sendall(b"POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{")
        time.sleep(0.2)
    time.sleep(0.2)
    assert 'status="500"' not in server.client.get("/metrics").text
