"""Telemetry of agents and gateways: each call once, in full or as a lower bound, however the exports arrive."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import MemoryStore, workflow_ended
from ledger.events import money
from ledger.importing.importer import import_source
from ledger.pricing.genai_book import GenaiPrices
from ledger.providers.genai_semconv import has_unknown_lifetimes
from projections.folding.row import Row
from projections.replay.refresh import project
from tests.ledger.otlp_requests import as_protobuf, log, requests_of, single_records, span, take

TIME: Final = "2026-11-28T19:40:12.690Z"
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


def row(store: MemoryStore, workflow_id: str = "s1") -> Row:
    return project(store, workflow_id).row


def rows(store: MemoryStore) -> list[Row]:
    return [row(store, workflow_id) for workflow_id in sorted(store.workflow_ids())]


def figures(found: Row) -> tuple[Any, ...]:
    tokens = (found.input_tokens, found.cached_tokens, found.cache_hit_tokens, found.output_tokens)
    return found.actual_cost_nanousd, found.cost_basis, tokens


def cost(model: str, **usage: int) -> int:
    rates = GenaiPrices().rates(model, None)
    assert rates is not None
    found = rates.cost_nanousd(usage)
    assert found is not None
    return found


def response(**changed: Any) -> dict[str, Any]:
    values = {
        "event.name": "gemini_cli.api_response",
        "event.timestamp": TIME,
        "session.id": "s1",
        "model": "gemini-2.5-pro",
        "input_token_count": 1000,
        "output_token_count": 40,
        "cached_content_token_count": 900,
        "thoughts_token_count": 300,
        "tool_token_count": 7,
        "total_token_count": 1347,
        "status_code": 200,
    }
    return log("gemini-cli", values | changed)


def twin(**changed: Any) -> dict[str, Any]:
    """What Gemini CLI writes of the same call under OpenTelemetry's names."""
    values = {
        "event.name": "gen_ai.client.inference.operation.details",
        "event.timestamp": TIME,
        "session.id": "s1",
        "gen_ai.response.id": "resp-1",
        "gen_ai.response.model": "gemini-2.5-pro",
        "gen_ai.operation.name": "generate_content",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 40,
    }
    return log("gemini-cli", values | changed)


def test_a_call_of_gemini_cli_has_cached_tokens_thoughts_and_tool_tokens() -> None:
    store = MemoryStore()
    take(store, response())
    expected = cost("gemini-2.5-pro", input_tokens=107, cache_read_tokens=900, output_tokens=340)
    assert figures(row(store)) == (expected, "priced", (107, 0, 900, 340))


@given(st.lists(st.sampled_from(["response", "twin"]), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_the_record_with_all_tokens_decides_over_its_twin_in_any_order(
    arrived: list[str], at_once: bool, ended: bool
) -> None:
    made = {"response": response(), "twin": twin()}
    requests = [made[name] for name in arrived]
    if at_once:
        requests = [{"resourceLogs": [part for request in requests for part in request["resourceLogs"]]}]
    store, alone = MemoryStore(), MemoryStore()
    take(store, *requests)
    take(alone, made["response"] if "response" in arrived else made["twin"])
    for each in (store, alone):
        if ended:
            each.append([workflow_ended("s1", "completed")])
    assert figures(row(store)) == figures(row(alone))
    assert row(store).cost_basis == ("priced" if "response" in arrived else "partial")


def test_a_twin_alone_counts_what_it_is_sure_of_and_is_a_lower_bound() -> None:
    store = MemoryStore()
    take(store, twin())
    assert figures(row(store)) == (cost("gemini-2.5-pro", output_tokens=40), "partial", (0, 0, 0, 40))


def test_two_calls_are_two_also_when_all_but_the_time_is_equal() -> None:
    store = MemoryStore()
    later = "2026-11-28T19:40:12.691Z"
    take(store, response(), twin(), response(**{"event.timestamp": later}), twin(**{"event.timestamp": later}))
    assert row(store).output_tokens == 680


@pytest.mark.parametrize(
    "record",
    [
        response(**{"event.name": "gemini_cli.api_error"}),
        response(**{"event.name": "gemini_cli.api_cancel"}),
        response(**{"event.name": "qwen-code.api_error", "error_message": "aborted"}),
        response(status_code=429),
        response(status_code="500"),
        response(error="quota"),
        twin(**{"error.type": "ApiError"}),
        log("gemini-cli", {"event.name": "gemini_cli.api_request", "session.id": "s1", "model": "gemini-2.5-pro"}),
        span("gemini-cli", "llm_call", {"session.id": "s1", "gen_ai.usage.input_tokens": 5}),
        span("qwen-code", "qwen-code.llm_request", {"session.id": "s1", "gen_ai.usage.input_tokens": 5}),
    ],
)
def test_an_error_a_cancelled_request_and_a_span_without_the_response_are_no_calls(record: dict[str, Any]) -> None:
    store = MemoryStore()
    report = take(store, record)
    assert (list(store.workflow_ids()), report.skipped) == ([], [])


def test_an_answered_call_without_any_count_is_a_lower_bound() -> None:
    store = MemoryStore()
    silent = {"event.name": "gemini_cli.api_response", "session.id": "s1", "model": "gemini-2.5-pro"}
    take(store, response(), log("gemini-cli", silent))
    assert (row(store).cost_basis, row(store).output_tokens) == ("partial", 340)


@pytest.mark.parametrize(
    ("total", "output", "basis"), [(19_598, 148, "priced"), (19_727, 277, "priced"), (0, 148, "partial")]
)
def test_thoughts_of_qwen_code_are_inside_its_output_where_the_total_says_so(
    total: int, output: int, basis: str
) -> None:
    store = MemoryStore()
    values = {
        "event.name": "qwen-code.api_response",
        "event.timestamp": TIME,
        "session.id": "s1",
        "response_id": "chatcmpl-1",
        "model": "gpt-5",
        "input_token_count": 19_450,
        "output_token_count": 148,
        "cached_content_token_count": 11_776,
        "thoughts_token_count": 129,
        "total_token_count": total,
    }
    usage = {"gen_ai.usage.input_tokens": 19_450, "gen_ai.usage.cache_read.input_tokens": 11_776}
    same = {"session.id": "s1", "gen_ai.response.id": "chatcmpl-1", "gen_ai.response.model": "gpt-5"} | usage
    record = log("qwen-code", values)
    take(store, record, span("qwen-code", "qwen-code.llm_request", same | {"gen_ai.usage.output_tokens": 148}), record)
    expected = cost("gpt-5", input_tokens=7_674, cache_read_tokens=11_776, output_tokens=output)
    assert figures(row(store)) == (expected, basis, (7_674, 0, 11_776, output))


USAGE: Final = {
    "prompt_tokens": 14_796,
    "completion_tokens": 368,
    "prompt_tokens_details": {
        "cached_tokens": 11_521,
        "audio_tokens": None,
        "cache_creation_tokens": 3_243,
        "cache_creation_token_details": {"ephemeral_5m_input_tokens": 2_390, "ephemeral_1h_input_tokens": 853},
    },
}


def proxied(changed: dict[str, Any] | None = None, *, spelled: Callable[[Any], str] = repr) -> dict[str, Any]:
    values: dict[str, Any] = {
        "litellm.provider.model": "anthropic/claude-sonnet-4-6",
        "gen_ai.request.model": "claude-sonnet-4-6",
        "gen_ai.response.model": "claude",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.operation.name": "acompletion",
        "gen_ai.cost.total_cost": 0.0231528,
        "gen_ai.usage.input_tokens": "14796",
        "gen_ai.usage.output_tokens": "368",
        "metadata.usage_object": spelled(USAGE),
        "metadata.spend_logs_metadata": spelled({"workflow_id": "s1", "agent": "planner", "project": "shop"}),
        "hidden_params": json.dumps({"cache_key": None, "response_cost": 0.0231528}),
    }
    values |= changed or {}
    return span("litellm", "litellm_request", {name: value for name, value in values.items() if value is not None})


@pytest.mark.parametrize("spelled", [repr, json.dumps])
def test_a_span_of_the_litellm_proxy_has_its_cost_its_model_and_its_workflow(spelled: Callable[[Any], str]) -> None:
    store = MemoryStore()
    take(store, proxied(spelled=spelled))
    assert figures(row(store)) == (23_152_800, "reported", (32, 3_243, 11_521, 368))
    (line,) = (line for line in store.read("s1") if line["type"] == "cost_observed")
    assert (line["model"], line["agent"]) == ("anthropic/claude-sonnet-4-6", "planner")
    assert line["session_id"] == f"{1:032x}", "the trace, as in the spend log"
    assert line["usage"]["cache_write_1h_tokens"] == 853
    assert row(store).model_used == "anthropic/claude-sonnet-4-6"


def test_a_cost_of_nothing_is_an_unknown_price_unless_litellms_cache_may_have_answered() -> None:
    listed = cost(
        "claude-sonnet-4-6",
        input_tokens=32,
        cache_write_tokens=3_243,
        cache_write_1h_tokens=853,
        cache_read_tokens=11_521,
        output_tokens=368,
    )
    for hidden, expected in ((None, (listed, "priced")), ("k", (0, "partial"))):
        params = json.dumps({"cache_key": hidden, "response_cost": 0.0})
        for total in (0.0, None):
            store = MemoryStore()
            take(store, proxied({"gen_ai.cost.total_cost": total, "hidden_params": params}))
            assert figures(row(store))[:2] == expected


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
    assert {found.cost_basis for found in rows(store)} == {"reported" if client == "litellm" else "priced"}


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


def test_the_spend_log_and_the_spans_of_litellm_are_the_same_calls(shared_data: Path) -> None:
    folder = shared_data / "clients" / "litellm-proxy-1.108.7"
    both, log_alone = MemoryStore(), MemoryStore()
    take(both, *requests_of(folder / "otlp-traces-as-json.jsonl"))
    for store in (both, log_alone):
        import_source(store, "litellm", folder / "spend.jsonl")
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["sessions"]["None"]
    assert sum(found.actual_cost_nanousd for found in rows(both)) == money.parse(truth["cost_usd"])
    assert [figures(found) for found in rows(both)] == [figures(found) for found in rows(log_alone)]


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
