"""Telemetry of agents and gateways: each call once, in full or as a lower bound, however the exports arrive."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import MemoryStore
from ledger.events import money
from ledger.importing.importer import import_source
from ledger.pricing.genai_book import GenaiPrices
from ledger.providers.genai_semconv import has_unknown_lifetimes
from tests.ledger.otlp_requests import as_protobuf, log, requests_of, single_records, span, take
from tests.ledger.sources.telemetry import figures, proxied, row, rows

BUCKETS: Final = {
    "input": "input_tokens",
    "cache_write": "cached_tokens",
    "cache_read": "cache_hit_tokens",
    "output": "output_tokens",
}


RECORDED: Final = {
    "gemini": "gemini-cli-0.61.0-otlp/http-json.jsonl",
    "qwen": "qwen-code-0.24.4-otlp/http-json.jsonl",
    "litellm": "litellm-proxy-1.108.7/otlp-traces-as-json.jsonl",
}


@pytest.mark.parametrize(
    "junk", ["{" * 30_000, "{'a': 1", "{'prompt_tokens': 'x'}", "[1]", "{1: 2}", "{'prompt_tokens': -1}", "x", ""]
)
def test_a_mapping_that_is_none_leaves_the_conventional_counts(junk: str) -> None:
    store = MemoryStore()
    take(store, proxied({"metadata.usage_object": junk, "hidden_params": junk}))
    assert figures(row(store)) == (23_152_800, "reported", (14_796, 0, 0, 368))


def test_one_hour_writes_of_claude_code_are_known() -> None:
    store = MemoryStore()
    values = {
        "session.id": "s1",
        "request_id": "req_1",
        "model": "claude-sonnet-4-5-20250929",
        "input_tokens": 31,
        "output_tokens": 103,
        "cache_read_tokens": 14_842,
        "cache_creation_tokens": 1_296,
        "cache_creation_5m_tokens": 550,
        "cache_creation_1h_tokens": 746,
        "cost_usd": 0.0126291,
        "event.name": "api_request",
    }
    take(store, log("com.anthropic.claude_code.events", values))
    (line,) = (line for line in store.read("s1") if line["type"] == "cost_observed")
    assert line["usage"]["cache_write_1h_tokens"] == 746
    assert line["message_id"] == "req_1"
    assert figures(row(store)) == (12_629_100, "reported", (31, 1_296, 14_842, 103))


@pytest.mark.parametrize(
    ("model", "writes", "basis"),
    [("claude-sonnet-4-6", 2_387, "partial"), ("claude-sonnet-4-6", 0, "priced"), ("gpt-5", 0, "priced")],
)
def test_cache_writes_of_unknown_lifetime_are_a_lower_bound(model: str, writes: int, basis: str) -> None:
    store = MemoryStore()
    values = {
        "session.id": "s1",
        "gen_ai.operation.name": "chat",
        "gen_ai.response.model": model,
        "gen_ai.response.id": "msg_1",
        "gen_ai.usage.input_tokens": 14_478,
        "gen_ai.usage.output_tokens": 162,
        "gen_ai.usage.cache_read.input_tokens": 12_053,
        "gen_ai.usage.cache_creation.input_tokens": writes,
    }
    take(store, span("opentelemetry.instrumentation.anthropic", "chat", values))
    assert row(store).cost_basis == basis


def test_the_models_with_two_lifetimes_in_the_list_are_those_that_are_asked_for_theirs() -> None:
    book = GenaiPrices()
    for name in book.names():
        rates = book.rates(name, None)
        lasting = rates and rates.buckets.get("cache_write_1h_tokens")
        if rates and lasting and lasting != rates.buckets["cache_write_tokens"]:
            assert has_unknown_lifetimes(name, 1), name


BASES: Final = {"litellm": "reported", "gemini": "partial"}
"""Of what is not priced from whole records: Gemini CLI loses its last seconds when it is killed."""


@pytest.mark.parametrize("client", RECORDED)
@pytest.mark.parametrize("spelled", ["json", "protobuf"])
def test_recorded_exports_are_what_the_api_charged(shared_data: Path, client: str, spelled: str) -> None:
    path = shared_data / "clients" / RECORDED[client]
    requests = requests_of(path)
    store = MemoryStore()
    take(store, *(as_protobuf(request) if spelled == "protobuf" else request for request in requests))
    truth = answered(path)
    assert sum(found.actual_cost_nanousd for found in rows(store)) == money.parse(truth["cost_usd"])
    for bucket, field in BUCKETS.items():
        assert sum(getattr(found, field) for found in rows(store)) == truth[bucket], bucket
    assert {found.cost_basis for found in rows(store)} == {BASES.get(client, "priced")}


def answered(path: Path) -> dict[str, Any]:
    """What the calls of a recorded export came to: of LiteLLM's, the second run alone was exported."""
    responses = json.loads((path.parent / "truth.json").read_text(encoding="utf-8"))["responses"]
    responses = responses[-8:] if "litellm" in path.parent.name else responses
    sums: dict[str, Any] = {bucket: sum(each["tokens"][bucket] for each in responses) for bucket in BUCKETS}
    return sums | {"cost_usd": str(sum(Decimal(each["cost_usd"]) for each in responses))}


@given(st.data(), st.sampled_from(sorted(RECORDED)))
def test_recorded_exports_are_the_same_in_any_order_and_repeated(
    shared_data: Path, data: st.DataObject, client: str
) -> None:
    path = shared_data / "clients" / RECORDED[client]
    records = [record for record in single_records(requests_of(path)) if "token" in json.dumps(record)]
    clean, mixed = MemoryStore(), MemoryStore()
    take(clean, *records)
    order = data.draw(st.permutations(records + data.draw(st.lists(st.sampled_from(records), max_size=4))))
    take(mixed, *(as_protobuf(each) if data.draw(st.booleans()) else each for each in order))
    assert [figures(found) for found in rows(mixed)] == [figures(found) for found in rows(clean)]
    for taken in range(len(order)):
        part = MemoryStore()
        take(part, *order[:taken])
        whole = {found.adw_id: found.actual_cost_nanousd for found in rows(clean)}
        assert all(found.actual_cost_nanousd <= whole[found.adw_id] for found in rows(part))


def test_recorded_exports_of_claude_code_have_the_lifetimes_of_their_cache_writes(shared_data: Path) -> None:
    folder = shared_data / "clients" / "claude-code-2.1.332"
    sessions = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["sessions"]
    for name in ("http-json.jsonl", "http-protobuf-as-json.jsonl"):
        store = MemoryStore()
        import_source(store, "otlp", folder / "otlp" / name)
        for workflow_id in store.workflow_ids():
            truth = sessions[workflow_id]
            readings = [line for line in store.read(workflow_id) if "message_id" in line]
            lasting = sum(line["usage"].get("cache_write_1h_tokens", 0) for line in readings)
            assert lasting == truth["tokens"]["cache_write_1h"]
            assert row(store, workflow_id).actual_cost_nanousd == money.parse(truth["cost_usd"])


@pytest.mark.parametrize("name", ["spans-traceloop", "spans-openinference", "pa-spans"])
def test_spans_of_python_instrumentations_are_calls_and_lower_bounds_where_they_cannot_say(
    shared_data: Path, name: str
) -> None:
    store = MemoryStore()
    path = shared_data / "clients" / "python-instrumentations" / f"{name}.jsonl"
    spans = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for number, exported in enumerate(spans, 1):
        values = {key: v for key, v in exported["attributes"].items() if isinstance(v, bool | int | float | str)}
        values.pop("gen_ai.conversation.id", None)
        take(store, span(exported["scope"], exported["name"], values | {"session.id": f"s{number}"}, id=number))
    for number, exported in enumerate(spans, 1):
        values = exported["attributes"]
        if "gen_ai.aggregated_usage.input_tokens" in values or values.get("gen_ai.operation.name") == "execute_tool":
            assert f"s{number}" not in store.workflow_ids()
            continue
        found = row(store, f"s{number}")
        asked = values.get("gen_ai.usage.input_tokens", values.get("llm.token_count.prompt"))
        assert found.input_tokens + found.cached_tokens + found.cache_hit_tokens == asked
        assert found.cost_basis == ("partial" if found.cached_tokens else "priced"), exported
        if (theirs := values.get("operation.cost")) is not None:
            assert found.actual_cost_nanousd == money.parse(theirs), "genai-prices too, at the price of 5 minutes"
