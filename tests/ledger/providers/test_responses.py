"""What an answer says about its own call, in each provider's shape."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import MemoryStore, workflow
from ledger.errors import ConflictingEvent, InvalidInput
from ledger.providers.responses import Response, response_of
from ledger.providers.usage import usage_of
from projections.replay.refresh import project
from tests.ledger.fake_providers import ANTHROPIC, CHAT, GEMINI, RESPONSE

counts = st.integers(min_value=0, max_value=10**9)


def total(usage: dict[str, int]) -> int:
    """All tokens: the buckets are disjoint, but for the 1-hour writes, a part of the writes."""
    return sum(count for name, count in usage.items() if name not in ("cache_write_1h_tokens", "web_search_requests"))


@given(counts, counts, counts, counts, counts)
def test_anthropic_buckets_are_disjoint_and_complete(
    fresh: int, short: int, lasting: int, reads: int, out: int
) -> None:
    usage = usage_of(
        {
            "input_tokens": fresh,
            "cache_creation_input_tokens": short + lasting,
            "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": lasting},
            "cache_read_input_tokens": reads,
            "output_tokens": out,
        }
    )
    assert total(usage) == fresh + short + lasting + reads + out
    assert usage.get("cache_write_1h_tokens", 0) == lasting


@given(counts, counts, counts, counts, counts, st.sampled_from(["chat", "responses", "litellm"]))
def test_openai_buckets_are_disjoint_and_complete(
    fresh: int, writes: int, reads: int, out: int, thought: int, shape: str
) -> None:
    kind = ("input_tokens", "output_tokens") if shape == "responses" else ("prompt_tokens", "completion_tokens")
    written = "cache_creation_tokens" if shape == "litellm" else "cache_write_tokens"
    usage = usage_of(
        {
            kind[0]: fresh + writes + reads,
            f"{kind[0]}_details": {"cached_tokens": reads, written: writes},
            kind[1]: out + thought,
            f"{kind[1]}_details": {"reasoning_tokens": thought},
        }
    )
    assert total(usage) == fresh + writes + reads + out + thought
    assert (usage["input_tokens"], usage.get("cache_read_tokens", 0)) == (fresh, reads)


@given(counts, counts, counts, counts, counts, st.booleans())
def test_gemini_buckets_are_disjoint_and_complete(
    fresh: int, reads: int, tools: int, out: int, thought: int, rest: bool
) -> None:
    given_ = {
        "promptTokenCount" if rest else "prompt_token_count": fresh + reads,
        "cachedContentTokenCount" if rest else "cached_content_token_count": reads,
        "toolUsePromptTokenCount" if rest else "tool_use_prompt_token_count": tools,
        "candidatesTokenCount" if rest else "candidates_token_count": out,
        "thoughtsTokenCount" if rest else "thoughts_token_count": thought,
        "totalTokenCount" if rest else "total_token_count": fresh + reads + tools + out + thought,
    }
    usage = usage_of(given_)
    assert total(usage) == given_["totalTokenCount" if rest else "total_token_count"]
    assert (usage["output_tokens"], usage.get("cache_read_tokens", 0)) == (out + thought, reads)


@given(counts, counts, counts)
def test_an_openai_split_that_exceeds_its_input_never_makes_tokens_up(whole: int, reads: int, writes: int) -> None:
    details = {"cached_tokens": reads, "cache_write_tokens": writes}
    usage = usage_of({"prompt_tokens": whole, "prompt_tokens_details": details, "completion_tokens": 0})
    assert total(usage) == whole


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ANTHROPIC, ("msg_1", "claude-sonnet-4-5-20250929", None)),
        (CHAT, ("chatcmpl-1", "gpt-5-2025-08-07", None)),
        (RESPONSE, ("resp_1", "gpt-5-2025-08-07", "flex")),
        (GEMINI, ("gem_1", "gemini-2.5-flash", None)),
        (ANTHROPIC | {"usage": ANTHROPIC["usage"] | {"service_tier": "batch"}}, (..., ..., "batch")),
        (SimpleNamespace(**CHAT), ("chatcmpl-1", "gpt-5-2025-08-07", None)),
    ],
)
def test_an_answer_names_its_call(answer: Any, expected: tuple[Any, ...]) -> None:
    found = response_of(answer)
    said = (found.message_id, found.model, found.service_tier)
    assert all(wanted in (..., value) for wanted, value in zip(expected, said, strict=True))
    assert isinstance(found, Response)


@pytest.mark.parametrize("bad", [None, "x", {}, {"id": "m"}, 7, {"usage": {"x": 1}}, ANTHROPIC | {"id": "a\nb"}])
def test_what_is_no_answer_is_refused_with_the_way_out(bad: Any) -> None:
    with pytest.raises(InvalidInput):
        response_of(bad)


def test_a_response_charged_twice_counts_once() -> None:
    store = MemoryStore()
    with workflow("w", store=store) as wf:
        first, again = wf.charge(ANTHROPIC, agent="build"), wf.charge(ANTHROPIC, agent="build")
        assert (first.duplicate, again.duplicate, again.seq) == (False, True, first.seq)
        with pytest.raises(ConflictingEvent):
            wf.charge(ANTHROPIC, agent="another")  # one response cannot be two agents'
    row = project(store, "w").row
    assert (row.cost_basis, row.model_used, row.output_tokens) == ("priced", "claude-sonnet-4-5-20250929", 7)


def test_what_the_caller_says_comes_before_what_the_response_says() -> None:
    store = MemoryStore()
    with workflow("w", store=store) as wf:
        wf.charge(ANTHROPIC, model="gpt-5", message_id="mine", cost_usd="0.09", service_tier="batch")
    line = next(line for line in store.read("w") if line["type"] == "cost_observed")
    assert (line["model"], line["message_id"], line["cost_usd"], line["cost_source"], line["service_tier"]) == (
        "gpt-5",
        "mine",
        "0.09",
        "reported",
        "batch",
    )
