from __future__ import annotations

from typing import Any

import pytest

from ledger.providers.responses import response_of
from ledger.providers.streamed_responses import Gathered

ANTHROPIC: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {"id": "msg_1", "model": "claude-x", "usage": {"input_tokens": 7, "output_tokens": 1}},
    },
    {"type": "content_block_delta", "delta": {"text": "hello"}},
    {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9, "input_tokens": None}},
    {"type": "message_stop"},
]
CHAT: list[dict[str, Any]] = [
    {"id": "c1", "model": "gpt-x", "choices": [{"delta": {"content": "a"}}], "usage": None},
    {"id": "c1", "model": "gpt-x", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 9}},
]
RESPONSES: list[dict[str, Any]] = [
    {"type": "response.created", "response": {"id": "r1", "model": "gpt-x", "usage": None}},
    {
        "type": "response.completed",
        "response": {"id": "r1", "model": "gpt-x", "usage": {"input_tokens": 7, "output_tokens": 9}},
    },
]


@pytest.mark.parametrize(("events", "id"), [(ANTHROPIC, "msg_1"), (CHAT, "c1"), (RESPONSES, "r1")])
def test_the_events_of_a_stream_become_its_response(events: list[dict[str, Any]], id: str) -> None:
    gathered = Gathered()
    for event in events[:-1]:
        gathered.take(event)
    assert not gathered.whole
    gathered.take(events[-1])
    assert gathered.whole
    response = response_of(gathered.answer())
    assert response.message_id == id
    assert (response.usage["input_tokens"], response.usage["output_tokens"]) == (7, 9)


def test_a_stream_that_was_left_at_once_has_no_usage() -> None:
    gathered = Gathered()
    gathered.take({"type": "ping"})
    assert (gathered.answer(), gathered.whole) == ({}, False)


def test_each_chunk_of_gemini_has_the_usage_so_far() -> None:
    gathered = Gathered()
    for tokens in (1, 5):
        gathered.take(
            {"response_id": "g", "model_version": "gemini-x", "usage_metadata": {"prompt_token_count": tokens}}
        )
    answer = gathered.answer()
    assert (answer["id"], answer["model"], answer["usage"]["prompt_token_count"]) == ("g", "gemini-x", 5)
