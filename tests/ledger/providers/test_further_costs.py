"""What a response costs besides the tokens of its usage: counted where it shows how much, else "at least"."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ledger import MemoryStore, workflow
from ledger.providers.responses import response_of
from ledger.providers.streamed_responses import Gathered
from projections.replay.refresh import project
from tests.ledger.fake_providers import ANTHROPIC, ANTHROPIC_STREAM, ANTHROPIC_USAGE, GEMINI, RESPONSE

SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}}
OPENED = SEARCH | {"id": "ws_2", "action": {"type": "open_page", "url": "https://example.com"}}
GROUNDED = {"candidates": [{"groundingMetadata": {"webSearchQueries": ["x"]}}]}
COMPACTION = {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500}
ADVISOR = {"type": "advisor_message", "model": "claude-haiku-4-5", "input_tokens": 1_000, "output_tokens": 200}
OWN = {"type": "message", "input_tokens": 10, "output_tokens": 7}


def anthropic(**usage: Any) -> dict[str, Any]:
    return ANTHROPIC | {"usage": ANTHROPIC_USAGE | usage}


def streamed(*events: Any) -> dict[str, Any]:
    gathered = Gathered()
    for event in events:
        gathered.take(event)
    return gathered.answer()


def cost_of(*answers: Any) -> tuple[int, str]:
    """What answers cost in nanodollars, and the basis of the row."""
    store = MemoryStore()
    with workflow("w-1", store=store) as wf:
        for answer in answers:
            wf.charge(answer)
    row = project(store, "w-1").row
    return row.actual_cost_nanousd, str(row.cost_basis)


def test_each_web_search_of_openai_is_counted_and_an_opened_page_is_none() -> None:
    searched = RESPONSE | {"output": [SEARCH, OPENED, SEARCH | {"id": "ws_3"}, *RESPONSE["output"]]}
    assert response_of(searched).usage["web_search_requests"] == 2
    assert cost_of(searched)[0] - cost_of(RESPONSE)[0] == 20_000_000
    assert cost_of(searched)[1] == "priced"


def test_a_search_in_a_stream_of_openai_is_counted() -> None:
    searched = RESPONSE | {"output": [SEARCH, *RESPONSE["output"]]}
    answer = streamed({"type": "response.created", "response": RESPONSE | {"usage": None, "output": []}})
    assert "output" not in answer
    answer = streamed({"type": "response.completed", "response": searched})
    assert response_of(answer).usage["web_search_requests"] == 1


@pytest.mark.parametrize("kind", ["file_search_call", "code_interpreter_call", "image_generation_call"])
def test_a_tool_of_openai_with_another_price_makes_the_cost_at_least(kind: str) -> None:
    assert cost_of(RESPONSE | {"output": [{"type": kind, "id": "x"}]}) == (cost_of(RESPONSE)[0], "partial")


def test_grounding_makes_the_cost_of_gemini_at_least() -> None:
    assert cost_of(GEMINI | GROUNDED) == (cost_of(GEMINI)[0], "partial")
    candidates = [SimpleNamespace(grounding_metadata=SimpleNamespace(web_search_queries=["x"]))]
    chunk = SimpleNamespace(candidates=candidates, response_id="gem_1", model_version="gemini-2.5-flash")
    assert response_of(streamed(chunk, SimpleNamespace(usage_metadata=GEMINI["usageMetadata"]))).costs_more


def test_the_last_response_of_automatic_function_calls_is_at_least_the_cost() -> None:
    assert cost_of(GEMINI)[1] == "priced"
    last = SimpleNamespace(
        usage_metadata=GEMINI["usageMetadata"],
        response_id="gem_1",
        model_version="gemini-2.5-flash",
        automatic_function_calling_history=[object()],
    )
    assert cost_of(last) == (cost_of(GEMINI)[0], "partial")


@pytest.mark.parametrize("geo", ["us", "eu"])
def test_inference_in_one_region_makes_the_cost_at_least(geo: str) -> None:
    assert cost_of(anthropic(inference_geo=geo)) == (cost_of(ANTHROPIC)[0], "partial")


@pytest.mark.parametrize("geo", ["global", "not_available", None])
def test_inference_anywhere_costs_what_the_list_says(geo: str | None) -> None:
    assert cost_of(anthropic(inference_geo=geo)) == cost_of(ANTHROPIC)


def test_a_compaction_by_the_api_is_a_call_of_its_own() -> None:
    compacted = anthropic(iterations=[COMPACTION, OWN])
    assert cost_of(compacted)[0] - cost_of(ANTHROPIC)[0] == 180_000 * 3_000 + 3_500 * 15_000
    assert cost_of(compacted, compacted) == cost_of(compacted)
    assert cost_of(compacted)[1] == "priced"


def test_an_advisor_is_a_call_of_its_model() -> None:
    advised = anthropic(iterations=[OWN, ADVISOR, OWN])
    assert [one.model for one in response_of(advised).inner] == ["claude-haiku-4-5"]
    assert cost_of(advised)[0] - cost_of(ANTHROPIC)[0] == 1_000 * 1_000 + 200 * 5_000


def test_a_compaction_in_a_stream_is_counted() -> None:
    *before, delta, end = ANTHROPIC_STREAM
    answer = streamed(*before, delta | {"usage": delta["usage"] | {"iterations": [COMPACTION, OWN]}}, end)
    assert [one.usage["output_tokens"] for one in response_of(answer).inner] == [3_500]


def test_a_cost_of_the_caller_includes_all() -> None:
    store = MemoryStore()
    with workflow("w-1", store=store) as wf:
        wf.charge(anthropic(iterations=[COMPACTION], inference_geo="us"), cost_usd="0.5")
    row = project(store, "w-1").row
    assert (row.actual_cost_nanousd, row.cost_basis) == (500_000_000, "reported")
