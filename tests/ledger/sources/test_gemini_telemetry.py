"""Telemetry of Gemini CLI and Qwen Code: each call once, in full or as a lower bound."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import MemoryStore, workflow_ended
from tests.ledger.otlp_requests import log, span, take
from tests.ledger.sources.telemetry import cost, figures, row

TIME: Final = "2026-11-28T19:40:12.690Z"


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
    assert figures(row(store)) == (expected, "partial", (107, 0, 900, 340))


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
    assert row(store).cost_basis == "partial"
    assert row(store).cache_hit_tokens == (900 if "response" in arrived else 0)


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
