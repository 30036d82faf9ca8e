"""A server on this machine that answers as Anthropic, OpenAI and Gemini do, in JSON and as server-sent events."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANTHROPIC_USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 500,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    "output_tokens": 7,
    "service_tier": "standard",
}
ANTHROPIC: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": ANTHROPIC_USAGE,
}
ANTHROPIC_STREAM: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": ANTHROPIC | {"content": [], "stop_reason": None, "usage": ANTHROPIC_USAGE | {"output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hel"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 7},
    },
    {"type": "message_stop"},
]

CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 7,
    "total_tokens": 107,
    "prompt_tokens_details": {"cached_tokens": 60},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-5-2025-08-07",
    "service_tier": "default",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    "usage": CHAT_USAGE,
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-5-2025-08-07",
    "service_tier": "flex",
    "output": [
        {
            "id": "item_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "hello", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 107,
    },
}
GEMINI: dict[str, Any] = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "toolUsePromptTokenCount": 5,
        "candidatesTokenCount": 7,
        "thoughtsTokenCount": 3,
        "totalTokenCount": 115,
    },
    "modelVersion": "gemini-2.5-flash",
    "responseId": "gem_1",
}


def chat_stream(*, include_usage: bool) -> list[dict[str, Any]]:
    """The chunks of a chat; the last one, with the usage, only when it was asked for."""
    head = {name: CHAT[name] for name in ("id", "created", "model", "service_tier")} | {
        "object": "chat.completion.chunk"
    }
    said: list[dict[str, Any]] = [
        head | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "hel"}, "finish_reason": None}]},
        head | {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": None}]},
        head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    return [*said, head | {"choices": [], "usage": CHAT_USAGE}] if include_usage else said


def response_stream() -> list[dict[str, Any]]:
    begun = RESPONSE | {"status": "in_progress", "output": [], "usage": None}
    item = {"id": "item_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    at = {"item_id": "item_1", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", "part": part, **at},
        {"type": "response.output_text.delta", "delta": "hello", "logprobs": [], **at},
        {"type": "response.completed", "response": RESPONSE},
    ]
    return [event | {"sequence_number": number} for number, event in enumerate(events)]


class _Provider(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.partition("?")[0]
        if path.endswith("/messages"):
            self._answer(ANTHROPIC, ANTHROPIC_STREAM if asked.get("stream") else None, named=True)
        elif path.endswith("/chat/completions"):
            wanted = bool((asked.get("stream_options") or {}).get("include_usage"))
            self._answer(CHAT, chat_stream(include_usage=wanted) if asked.get("stream") else None, done=True)
        elif path.endswith("/responses"):
            self._answer(RESPONSE, response_stream() if asked.get("stream") else None, named=True)
        elif ":generateContent" in path:
            self._answer(GEMINI, None)
        elif ":streamGenerateContent" in path:
            first: dict[str, Any] = GEMINI | {"usageMetadata": {"promptTokenCount": 100, "totalTokenCount": 100}}
            self._answer(GEMINI, [first, GEMINI])
        else:
            self.send_error(404)

    def _answer(
        self, whole: dict[str, Any], events: list[dict[str, Any]] | None, *, named: bool = False, done: bool = False
    ) -> None:
        if events is None:
            body, kind = json.dumps(whole), "application/json"
        else:
            lines = [
                f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" if named else f"data: {json.dumps(event)}\n\n"
                for event in events
            ]
            body, kind = "".join(lines) + ("data: [DONE]\n\n" if done else ""), "text/event-stream"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def providers() -> Iterator[str]:
    """The base address of all of them, while they run."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
