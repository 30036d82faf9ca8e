"""Spans of LiteLLM's proxy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger import MemoryStore
from ledger.events import money
from ledger.importing.importer import import_source
from tests.ledger.otlp_requests import requests_of, take
from tests.ledger.sources.telemetry import cost, figures, proxied, row, rows


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


def test_the_spend_log_and_the_spans_of_litellm_are_the_same_calls(shared_data: Path) -> None:
    folder = shared_data / "clients" / "litellm-proxy-1.108.7"
    both, log_alone = MemoryStore(), MemoryStore()
    take(both, *requests_of(folder / "otlp-traces-as-json.jsonl"))
    for store in (both, log_alone):
        import_source(store, "litellm", folder / "spend.jsonl")
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["sessions"]["None"]
    assert sum(found.actual_cost_nanousd for found in rows(both)) == money.parse(truth["cost_usd"])
    assert [figures(found) for found in rows(both)] == [figures(found) for found in rows(log_alone)]
