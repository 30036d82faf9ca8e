"""The fake APIs: what they answer is what they record, in a stream and in one piece."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.clients.anthropic_api import AnthropicHandler
from tests.clients.gemini_api import GeminiHandler
from tests.clients.http_fake import FakeApi, FakeHandler
from tests.clients.openai_api import OpenAiHandler
from tests.clients.prices import anthropic_cost, gemini_cost, openai_cost
from tests.clients.script import Script

MESSAGES = [{"role": "user", "content": "hello"}]
REQUESTS: dict[str, tuple[type[FakeHandler], str, dict[str, Any]]] = {
    "anthropic": (AnthropicHandler, "/v1/messages", {"model": "claude-sonnet-4-5", "messages": MESSAGES}),
    "chat": (OpenAiHandler, "/v1/chat/completions", {"model": "gpt-5", "messages": MESSAGES}),
    "responses": (OpenAiHandler, "/v1/responses", {"model": "gpt-5", "input": MESSAGES}),
    "gemini": (
        GeminiHandler,
        "/v1beta/models/gemini-2.5-pro:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
    ),
}


def api(handler: type[FakeHandler]) -> FakeApi:
    return FakeApi(handler, Script(random.Random(1)))


@pytest.mark.parametrize("name", REQUESTS)
def test_an_answer_has_the_usage_that_is_recorded(name: str) -> None:
    handler, path, body = REQUESTS[name]
    with api(handler).running() as fake:
        answer = httpx.post(f"{fake.address(3)}{path}", json=body).json()
    (given,) = fake.given
    written = {"chat": "completion_tokens", "gemini": "candidatesTokenCount"}.get(name, "output_tokens")
    recorded = given.usage.get("candidatesTokenCount", given.usage.get("output_tokens"))
    assert answer.get("usage", answer.get("usageMetadata"))[written] == recorded
    assert (given.complete, given.process) == (True, 3)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_stream_that_is_dropped_is_recorded_as_incomplete_and_the_next_one_is_whole(name: str) -> None:
    handler, path, body = REQUESTS[name]
    streamed = {} if name == "gemini" else {"stream": True, "tools": [{"name": "x"}]}
    text, path = json.dumps(body | streamed), path.replace(":generateContent", ":streamGenerateContent")
    with api(handler).running() as fake:
        for complete in (False, True):
            try:
                httpx.post(fake.url + path, content=text.replace("hello", "DROP please"))
            except httpx.RemoteProtocolError:
                assert not complete
    assert [given.complete for given in fake.given] == [False, True]


def test_errors_are_answered_twice_and_charge_nothing() -> None:
    handler, path, body = REQUESTS["responses"]
    with api(handler).running() as fake:
        asked = body | {"input": "ERR529 please"}
        assert [httpx.post(fake.url + path, json=asked).status_code for _ in range(3)] == [529, 529, 200]
    assert len(fake.given) == 1


def test_list_prices_by_hand() -> None:
    anthropic = {
        "input_tokens": 1_000_000,
        "cache_creation_input_tokens": 3_000_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 1_000_000, "ephemeral_1h_input_tokens": 2_000_000},
        "cache_read_input_tokens": 1_000_000,
        "output_tokens": 1_000_000,
        "server_tool_use": {"web_search_requests": 2},
    }
    assert anthropic_cost("claude-sonnet-4-5-20250929", anthropic) == Decimal("3") + Decimal("3.75") + 12 + Decimal(
        "0.3"
    ) + 15 + Decimal("0.02")
    openai = {"input_tokens": 2_000_000, "input_tokens_details": {"cached_tokens": 1_000_000}, "output_tokens": 100_000}
    assert openai_cost("gpt-5", openai) == Decimal("1.25") + Decimal("0.125") + 1
    gemini = {"promptTokenCount": 100_000, "cachedContentTokenCount": 0, "candidatesTokenCount": 0}
    assert gemini_cost("gemini-2.5-pro", gemini) == Decimal("0.125")
    assert gemini_cost("gemini-2.5-pro", gemini | {"promptTokenCount": 300_000}) == Decimal("0.75")
    assert anthropic_cost("claude-unknown", anthropic) is None
