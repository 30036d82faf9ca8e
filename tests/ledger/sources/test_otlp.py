"""OpenTelemetry exports, from the committed samples and in every order that an exporter may leave."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import MemoryStore, workflow_ended
from ledger.errors import SourceUnreadable
from ledger.events import money
from ledger.importing.import_report import ImportReport
from ledger.importing.importer import import_parts, import_source
from ledger.importing.ledger_state import LedgerState
from ledger.importing.planner import plan
from ledger.pricing.genai_book import GenaiPrices
from ledger.sources.findings import Location, Options
from ledger.sources.grouping import WorkflowFinding, WorkflowGroups
from ledger.sources.otlp import extract
from projections.folding.row import Row
from projections.replay.refresh import project

SAMPLES = Path(__file__).parents[1] / "samples"
SONNET, HAIKU = "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"
START = 1795458781 * 10**9


def otlp(store: MemoryStore, path: Path, **options: Any) -> ImportReport:
    return import_source(store, "otlp", path, **options)


def row(store: MemoryStore, workflow_id: str = "a5b80595") -> Row:
    return project(store, workflow_id).row


def lines(store: MemoryStore, workflow_id: str = "a5b80595") -> list[dict[str, Any]]:
    return [line for line in store.read(workflow_id) if line["type"] == "cost_observed"]


def shown(found: Row) -> tuple[Any, ...]:
    """What must not depend on how the exports arrived."""
    return found.actual_cost_nanousd, found.cost_breakdown, found.token_breakdown, found.cost_basis, found.status


def test_a_request_of_claude_code_is_one_call_at_its_own_cost() -> None:
    store = MemoryStore()
    report = otlp(store, SAMPLES / "otlp-logs.jsonl")
    assert (report.appended, report.unchanged) == (4, 1), "a start, three calls, and one that was exported twice"
    first, second, third = lines(store)
    assert first["message_id"] == "req_1"
    assert first["session_id"] == "7c5b9a0e-0000-4000-8000-000000000001"
    assert (first["agent"], first["model"], first["cost_usd"]) == ("planner", SONNET, "0.0912345")
    assert first["observed_at"] == "2026-11-23T18:33:02.000000Z"
    assert first["usage"] == {"input_tokens": 5, "cache_write_tokens": 15362, "output_tokens": 210}
    assert first["source"] == {"kind": "otlp", "file": str(SAMPLES / "otlp-logs.jsonl"), "line": 1}
    assert (second["cost_usd"], third["cost_usd"]) == ("0.0251", "0.00042")
    assert row(store).actual_cost_nanousd == money.parse("0.1167545")
    assert row(store).cost_basis == "reported"


@pytest.mark.parametrize(
    ("version", "basis"), [("2.1.275", "partial"), ("2.1.276", "reported"), ("2.1.332", "reported")]
)
@pytest.mark.parametrize("files", [["logs"], ["logs", "metrics"]])
def test_a_claude_code_that_leaves_a_part_out_is_a_lower_bound(
    tmp_path: Path, files: list[str], version: str, basis: str
) -> None:
    samples = [(SAMPLES / f"otlp-{name}.jsonl").read_text(encoding="utf-8") for name in files]
    requests = [json.loads(line) for line in "".join(samples).splitlines()]
    for request in requests:
        for resource in chain(request.get("resourceLogs", []), request.get("resourceMetrics", [])):
            resource.setdefault("resource", {}).setdefault("attributes", []).append(
                {"key": "service.version", "value": {"stringValue": version}}
            )
    store = MemoryStore()
    otlp(store, write(tmp_path / "exported.jsonl", *requests))
    assert (row(store).actual_cost_total, row(store).cost_basis) == (0.1167545, basis)


def test_metrics_count_the_same_calls_and_never_add_to_them() -> None:
    for order in (("logs", "metrics"), ("metrics", "logs"), ("metrics",), ("metrics", "metrics", "logs", "logs")):
        store = MemoryStore()
        for name in order:
            otlp(store, SAMPLES / f"otlp-{name}.jsonl")
        assert row(store).actual_cost_nanousd == money.parse("0.1167545"), order
        assert row(store).output_tokens == 572, order
        assert row(store).cost_basis == ("reported" if "logs" in order else "partial"), order
        assert "possible_double_counting" not in row(store).cost_breakdown, order


def test_metrics_without_a_call_are_a_lower_bound_until_there_is_one_also_after_the_end() -> None:
    """A killed process loses what it had not exported, and no metric shows that."""
    store = MemoryStore()
    otlp(store, SAMPLES / "otlp-metrics.jsonl")
    store.append([workflow_ended("a5b80595", "completed")])
    assert row(store).cost_basis == "partial"
    otlp(store, SAMPLES / "otlp-logs.jsonl")
    assert (row(store).actual_cost_nanousd, row(store).cost_basis) == (money.parse("0.1167545"), "reported")
    assert otlp(store, SAMPLES / "otlp-metrics.jsonl").appended == 0


def test_calls_that_were_never_exported_show_in_the_metrics(tmp_path: Path) -> None:
    store = MemoryStore()
    first = (SAMPLES / "otlp-logs.jsonl").read_text(encoding="utf-8").splitlines()[0]
    (tmp_path / "logs.jsonl").write_text(first + "\n", encoding="utf-8")
    otlp(store, tmp_path / "logs.jsonl")
    assert row(store).actual_cost_nanousd == money.parse("0.0912345")
    otlp(store, SAMPLES / "otlp-metrics.jsonl")
    assert row(store).actual_cost_nanousd == money.parse("0.1167545")


def test_spans_are_calls_and_what_sums_them_up_is_not() -> None:
    store = MemoryStore()
    report = otlp(store, SAMPLES / "otlp-spans.json")
    assert report.appended == 2
    known, unknown = lines(store, "b7c1")
    assert (known["agent"], known["session_id"], known["message_id"]) == ("reviewer", "c1", "chatcmpl-1")
    assert known["model"] == "gpt-4o-2024-08-06"
    assert known["usage"] == {"input_tokens": 976, "cache_read_tokens": 1024, "output_tokens": 50}
    assert known["cost_source"] == "priced"
    assert unknown["message_id"] == "5b8efff798038103d269b633813fc60c:eee19b7ec3c1b176"
    assert unknown["usage"] == {"input_tokens": 57, "output_tokens": 128}
    assert "cost_usd" not in unknown
    assert row(store, "b7c1").cost_basis == "partial"


def test_importing_again_appends_nothing_from_wherever_the_file_lies(tmp_path: Path) -> None:
    store = MemoryStore()
    for name in ("otlp-logs.jsonl", "otlp-metrics.jsonl", "otlp-spans.json"):
        otlp(store, SAMPLES / name)
        (tmp_path / name).write_bytes((SAMPLES / name).read_bytes())
    assert otlp(store, tmp_path).appended == 0


def counter_request(points: Iterable[tuple[int, int, str, str]], *, delta: bool = False) -> dict[str, Any]:
    """Cost points `(start, time, model, value)`, in seconds."""
    data_points = [
        {
            "attributes": [
                {"key": "session.id", "value": {"stringValue": "s1"}},
                {"key": "model", "value": {"stringValue": model}},
            ],
            "startTimeUnixNano": str(START + start * 10**9),
            "timeUnixNano": str(START + time * 10**9),
            "asDouble": float(value),
        }
        for start, time, model, value in points
    ]
    temporality = "AGGREGATION_TEMPORALITY_DELTA" if delta else 2
    total = {"aggregationTemporality": temporality, "dataPoints": data_points}
    scopes = [{"metrics": [{"name": "claude_code.cost.usage", "sum": total}]}]
    return {"resourceMetrics": [{"scopeMetrics": scopes}]}


def write(path: Path, *requests: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(request) + "\n" for request in requests), encoding="utf-8")
    return path


def test_a_cumulative_counter_that_restarts_goes_on_from_where_it_was(tmp_path: Path) -> None:
    store = MemoryStore()
    points = [(0, 60, SONNET, "0.10"), (0, 120, SONNET, "0.30"), (500, 560, SONNET, "0.05"), (500, 620, SONNET, "0.07")]
    otlp(store, write(tmp_path / "m.jsonl", *(counter_request([point]) for point in points)))
    assert [line["cost_usd"] for line in lines(store, "s1")] == ["0.10", "0.30", "0.35", "0.37"]
    store.append([workflow_ended("s1", "completed")])
    assert row(store, "s1").actual_cost_nanousd == money.parse("0.37")


@given(st.data(), st.booleans())
def test_any_split_order_and_repetition_of_exports_gives_the_same_row(data: st.DataObject, delta: bool) -> None:
    steps = data.draw(st.lists(st.integers(1, 10**6), min_size=1, max_size=8))
    points, cost = [], 0
    for number, step in enumerate(steps):
        start = 1000 if number >= 4 else 0  # the process restarted, and a cumulative counter with it
        cost = step if delta or number == 4 else cost + step
        points.append((start, 2000 + number, SONNET, money.to_wire(cost * 1000)))
    clean = MemoryStore()
    _take(clean, [counter_request(points, delta=delta)])
    order = data.draw(st.permutations(points + data.draw(st.lists(st.sampled_from(points), max_size=4))))
    mixed = MemoryStore()
    while order:
        count = data.draw(st.integers(1, len(order)))
        _take(mixed, [counter_request([point], delta=delta) for point in order[:count]])
        order = order[count:]
    assert shown(row(mixed, "s1")) == shown(row(clean, "s1"))
    assert row(clean, "s1").actual_cost_nanousd == sum(steps) * 1000
    for store in (clean, mixed):
        store.append([workflow_ended("s1", "completed")])
    assert shown(row(mixed, "s1")) == shown(row(clean, "s1"))


def _take(store: MemoryStore, requests: list[dict[str, Any]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        otlp(store, write(Path(folder) / "m.jsonl", *requests))


def test_protobuf_spells_ids_in_base64_and_they_are_the_same_ids() -> None:
    request = json.loads((SAMPLES / "otlp-spans.json").read_bytes())
    again = json.loads((SAMPLES / "otlp-spans.json").read_bytes())
    for span in again["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId"):
            span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    assert _ids(request) == _ids(again) == ["chatcmpl-1", "5b8efff798038103d269b633813fc60c:eee19b7ec3c1b176"]


def test_a_request_that_a_server_received_is_the_same_as_its_line_in_a_file() -> None:
    received, read = MemoryStore(), MemoryStore()
    for raw in (SAMPLES / "otlp-logs.jsonl").read_bytes().splitlines():
        taken = WorkflowGroups()
        for found in extract(json.loads(raw), Location("POST /v1/logs", 1), Options()):
            taken.take(found)
        import_parts(received, taken.parts())
    otlp(read, SAMPLES / "otlp-logs.jsonl")
    assert [line["id"] for line in received.read("a5b80595")][1:] == [line["id"] for line in read.read("a5b80595")][1:]
    assert shown(row(received)) == shown(row(read))


def _ids(request: dict[str, Any]) -> list[str]:
    found = [
        each for each in extract(request, Location("/v1/traces", 1), Options()) if isinstance(each, WorkflowFinding)
    ]
    return [each.reading.message_id for each in found if hasattr(each.reading, "message_id")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"session.id": ""}, "names neither workflow nor session"),
        ({"session.id": "a/b"}, "is not a workflow id"),
        ({"input_tokens": "many"}, "expected a whole number, not 'many'"),
        ({"cost_usd": "-1"}, "cannot be negative"),
        ({"cost_usd": "NaN"}, "expected a decimal number"),
        ({"model": "a\x00b"}, "control character"),
    ],
)
def test_a_record_that_cannot_be_is_named_by_file_and_line(tmp_path: Path, change: dict[str, str], reason: str) -> None:
    good = {"session.id": "s1", "model": SONNET, "cost_usd": "0.5", "input_tokens": "1", "request_id": "r1"}
    path = write(tmp_path / "logs.jsonl", _request(good), _request(good | {"request_id": "r2"} | change))
    store = MemoryStore()
    report = otlp(store, path)
    assert [(skipped.path, skipped.line) for skipped in report.skipped] == [(path, 2)]
    assert reason in report.skipped[0].reason
    assert row(store, "s1").actual_cost_nanousd == money.parse("0.5")


def _request(attributes: dict[str, str]) -> dict[str, Any]:
    values = [{"key": name, "value": {"stringValue": value}} for name, value in attributes.items()]
    record = {"eventName": "claude_code.api_request", "timeUnixNano": str(START), "attributes": values}
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}


def test_a_file_without_any_cost_says_so_and_what_was_wrong_first(tmp_path: Path) -> None:
    path = tmp_path / "logs.jsonl"
    path.write_text('{"resourceLogs":[]}\n{"resourceLogs":[{\n', encoding="utf-8")
    with pytest.raises(SourceUnreadable, match=r"holds no cost.*1 skipped, the first: logs.jsonl line 2 is not JSON"):
        otlp(MemoryStore(), path)


@given(st.integers(0, 2**32))
def test_whatever_is_changed_in_a_request_nothing_crashes(seed: int) -> None:
    chance = random.Random(seed)
    for name in ("otlp-logs.jsonl", "otlp-metrics.jsonl", "otlp-spans.json"):
        raw = (SAMPLES / name).read_bytes()
        request = json.loads(raw if name.endswith(".json") else raw.splitlines()[0])
        for _ in range(chance.randint(1, 4)):
            _mutate(request, chance)
        spool = WorkflowGroups()
        for found in extract(request, Location("/v1/logs", 1), Options()):
            spool.take(found)
        for part in spool.parts():
            plan(part.workflow_id, part.read(), LedgerState(), GenaiPrices(), datetime(2026, 11, 23, tzinfo=UTC), None)


def _mutate(value: Any, chance: random.Random) -> None:
    """Replace something somewhere in a JSON value by something else."""
    junk: list[Any] = [None, [], {}, "", "x" * 300, -1, 1e400, 10**40, True, "\ud800", [{}], {"a": [1]}, "NaN"]
    while isinstance(value, dict | list) and value:
        key: Any = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if not isinstance(value[key], dict | list) or not value[key] or chance.random() < 0.15:
            value[key] = chance.choice(junk)
            return
        value = value[key]
