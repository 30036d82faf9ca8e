"""OTLP over HTTP: what exporters send is in the ledger when they are answered, once, however often they send it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status as SpanStatus

from tests.conftest import PROJECT
from tests.ledger.otlp_requests import log
from tests.projections.server.conftest import Here
from tests.waiting import until

SAMPLES = PROJECT / "tests" / "ledger" / "samples"
PROTOBUF = {"content-type": "application/x-protobuf"}


def sample(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLES / name).read_text(encoding="utf-8").splitlines()]


def post(server: Here, path: str, export: dict[str, Any], **headers: str) -> httpx.Response:
    return server.client.post(path, json=export, headers=headers)


def readings(server: Here, workflow_id: str = "a5b80595") -> list[str | None]:
    return [line.get("cost_usd") for line in server.ledgers.read(workflow_id) if line["type"] == "cost_observed"]


def test_logs_and_metrics_of_the_same_calls_count_once_and_follow_the_answer(server: Here) -> None:
    for _ in range(2):
        for request in sample("otlp-logs.jsonl"):
            answer = post(server, "/v1/logs", request)
            assert (answer.status_code, answer.headers["content-type"], answer.json()) == (200, "application/json", {})
    assert readings(server) == ["0.0912345", "0.0251", "0.00042"]
    for request in sample("otlp-metrics.jsonl"):
        assert post(server, "/v1/metrics", request).status_code == 200
    row = until(
        lambda: server.client.get("/api/workflow-history/a5b80595").json(),
        lambda row: row.get("actual_cost_total") == "0.1167545",
    )
    assert row["cost_basis"] == "reported"


def test_protobuf_compressed_is_the_same_as_json(server: Here) -> None:
    for name, path, made in (
        ("otlp-logs.jsonl", "/v1/logs", ExportLogsServiceRequest),
        ("otlp-metrics.jsonl", "/v1/metrics", ExportMetricsServiceRequest),
    ):
        for request in sample(name):
            message: Message = ParseDict(request, made())
            body = gzip.compress(message.SerializeToString())
            answer = server.client.post(path, content=body, headers=PROTOBUF | {"content-encoding": "gzip"})
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
            assert answer.content == b""
    before = readings(server)
    for request in sample("otlp-logs.jsonl"):
        post(server, "/v1/logs", request)
    assert readings(server) == before


def test_spans_are_taken_too(server: Here) -> None:
    request = json.loads((SAMPLES / "otlp-spans.json").read_text(encoding="utf-8"))
    assert post(server, "/v1/traces", request).json() == {}
    assert len(readings(server, "b7c1")) == 2


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
@pytest.mark.parametrize("first", ["response", "twin"])
def test_two_records_of_one_call_of_gemini_cli_are_one_call_over_two_requests(
    server: Here, encoding: str, first: str
) -> None:
    same = {
        "event.timestamp": "2026-11-28T19:40:12.690Z",
        "session.id": "g1",
        "gen_ai.response.model": "gemini-2.5-pro",
    }
    counts = {"input_token_count": 1000, "output_token_count": 40, "cached_content_token_count": 900}
    answer = {"event.name": "gemini_cli.api_response", "model": "gemini-2.5-pro", "thoughts_token_count": 300}
    twin = {"event.name": "gen_ai.client.inference.operation.details", "gen_ai.usage.input_tokens": 1000}
    made = {
        "response": log("gemini-cli", same | answer | counts),
        "twin": log("gemini-cli", same | twin | {"gen_ai.usage.output_tokens": 40}),
    }
    for request in (made.pop(first), *made.values()) * 2:
        if encoding == "json":
            assert post(server, "/v1/logs", request).json() == {}
        else:
            body = ParseDict(request, ExportLogsServiceRequest()).SerializeToString()
            assert server.client.post("/v1/logs", content=body, headers=PROTOBUF).status_code == 200
    row = until(
        lambda: server.client.get("/api/workflow-history/g1").json(),
        lambda row: row.get("actual_cost_total") == "0.0036375",
    )
    assert (row["cost_basis"], row["output_tokens"], row["cache_hit_tokens"]) == ("partial", 340, 900)


def test_a_record_that_names_no_workflow_is_counted_and_the_others_are_taken(server: Here) -> None:
    first, *_ = sample("otlp-logs.jsonl")
    record = {"eventName": "claude_code.api_request", "attributes": [_text("cost_usd", "1")]}
    first["resourceLogs"].append({"scopeLogs": [{"logRecords": [record]}]})
    partial = post(server, "/v1/logs", first).json()["partialSuccess"]
    assert partial["rejectedLogRecords"] == "1"
    assert "names neither workflow nor session" in partial["errorMessage"]
    assert readings(server) == ["0.0912345"]
    body = ParseDict(first, ExportLogsServiceRequest()).SerializeToString()
    answer = ExportLogsServiceResponse.FromString(
        server.client.post("/v1/logs", content=body, headers=PROTOBUF).content
    )
    assert answer.partial_success.rejected_log_records == 1
    assert "names neither" in answer.partial_success.error_message


def _text(name: str, value: str) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": value}}


def test_a_damaged_ledger_refuses_its_own_records_alone(server: Here) -> None:
    first, *_ = sample("otlp-logs.jsonl")
    post(server, "/v1/logs", first)
    path = server.ledgers.ledger_path("a5b80595")
    path.write_bytes(path.read_bytes().replace(b"0.0912345", b"9.0912345"))
    answer = post(server, "/v1/logs", first)
    assert answer.status_code == 200
    assert "salvage" in answer.json()["partialSuccess"]["errorMessage"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {"content-type": "application/json"}, 400),
        (b"[]", {"content-type": "application/json"}, 400),
        (b"\xff\xff\xff", PROTOBUF, 400),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {"content-type": "application/json", "content-encoding": "br"}, 415),
        (b"{}", {"content-type": "application/json", "content-encoding": "gzip"}, 400),
        (gzip.compress(b"{}")[:-4], {"content-type": "application/json", "content-encoding": "gzip"}, 400),
        (gzip.compress(b" " * 17_000_000), {"content-type": "application/json", "content-encoding": "gzip"}, 413),
        (b'{"resourceLogs": 5}', {"content-type": "application/json"}, 400),
        (b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [5]}]}]}', {"content-type": "application/json"}, 400),
        (b" " * 17_000_000, PROTOBUF, 413),
        (b"{}", PROTOBUF | {"authorization": "Bearer wrong"}, 401),
        (b"{}", {"content-type": "application/json", "host": "evil.example"}, 421),
    ],
    ids=[
        *("half", "array", "no-protobuf", "text", "brotli", "no-gzip", "half-gzip", "bomb", "no-list", "no-object"),
        *("too-large", "wrong-token", "wrong-host"),
    ],
)
def test_what_is_no_export_is_refused_with_a_status_in_its_own_encoding(
    server: Here, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = server.client.post("/v1/logs", content=body, headers=headers)
    media = "application/x-protobuf" if headers.items() >= PROTOBUF.items() else "application/json"
    assert (answer.status_code, answer.headers["content-type"]) == (status, media)
    assert len(message_of(answer)) > 10


def message_of(answer: httpx.Response) -> str:
    """The message of a `google.rpc.Status`, read by protobuf's own rules."""
    if answer.headers["content-type"] == "application/json":
        (message,) = answer.json().values()
        return str(message)
    return str(SpanStatus.FromString(answer.content).message)  # its message is field 2, too


def test_a_long_status_is_protobuf_too(server: Here) -> None:
    answer = server.client.post("/v1/logs?" + "x" * 300, content=b"", headers=PROTOBUF)
    assert (answer.status_code, message_of(answer)[:12]) == (422, "no parameter")


def test_prometheus_reads_cost_tokens_requests_and_how_long_appends_take(server: Here) -> None:
    for number in range(30):
        event = {"type": "cost_observed", "workflow_id": "w", "agent": f"a{number}", "model": "m", "cost_usd": number}
        server.client.post("/api/events", json=event)
    server.client.post("/api/events", json={"type": "moon"})
    server.client.get("/secret/path/of/a/user")
    until(lambda: server.client.get("/api/workflow-history/w").json().get("actual_cost_total"), lambda c: c == "435.00")
    text = server.client.get("/metrics").text
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert samples['costledger_requests_total{method="POST",route="/api/events",status="201"}'] == "30.0"
    assert samples['costledger_requests_total{method="POST",route="/api/events",status="422"}'] == "1.0"
    assert samples['costledger_requests_total{method="GET",route="(none)",status="404"}'] == "1.0"
    assert samples["costledger_append_seconds_count"] == "30.0"
    assert samples['costledger_cost_usd{status="running"}'] == "435.0"
    assert samples['costledger_agent_cost_usd{agent="(other)"}'] == "45.0", "the dearest twenty have a name"
    assert samples['costledger_model_cost_usd{model="m"}'] == "435.0"
    assert "secret" not in text
