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

TOOL_USAGE = {"input_tokens": 20, "output_tokens": 5}
TOOL_USE: dict[str, Any] = ANTHROPIC | {
    "id": "msg_tool",
    "content": [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}],
    "stop_reason": "tool_use",
    "usage": TOOL_USAGE,
}
"""The answer to who offers a tool and has not used it yet."""
TOOL_USE_STREAM: list[dict[str, Any]] = [
    {"type": "message_start", "message": TOOL_USE | {"content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": TOOL_USE["content"][0]},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 5},
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
GEMINI_CALL: dict[str, Any] = GEMINI | {
    "candidates": [
        {"content": {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {}}}]}, "index": 0}
    ],
    "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 5, "totalTokenCount": 25},
    "responseId": "gem_call",
}
"""The answer to who offers a function and has not called it yet."""
EMBEDDING: dict[str, Any] = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "usage": {"prompt_tokens": 100, "total_tokens": 100},
}
IMAGE: dict[str, Any] = {
    "created": 1,
    "data": [{"b64_json": "aGVsbG8="}],
    "usage": {
        "input_tokens": 100,
        "input_tokens_details": {"text_tokens": 100, "image_tokens": 0},
        "output_tokens": 200,
        "total_tokens": 300,
    },
}
EDITED: dict[str, Any] = IMAGE | {
    "usage": IMAGE["usage"] | {"input_tokens_details": {"text_tokens": 40, "image_tokens": 60}}
}
TRANSCRIPT: dict[str, Any] = {
    "text": "hello",
    "usage": {
        "type": "tokens",
        "input_tokens": 100,
        "input_token_details": {"audio_tokens": 90, "text_tokens": 10},
        "output_tokens": 7,
        "total_tokens": 107,
    },
}
OTHERS: dict[str, dict[str, Any]] = {
    "/embeddings": EMBEDDING,
    "/images/generations": IMAGE,
    "/images/edits": EDITED,
    "/images/variations": {"created": 1, "data": [{"url": "https://example.com/1.png"}]},
    "/audio/transcriptions": TRANSCRIPT,
    "/audio/translations": {"text": "hello", "usage": {"type": "duration", "seconds": 3}},
    "/moderations": {"id": "modr-1", "model": "omni-moderation-2024-09-26", "results": []},
}
"""What is answered whole, by the end of the path."""


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
    started = RESPONSE | {"status": "in_progress", "output": [], "usage": None}
    item = {"id": "item_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    at = {"item_id": "item_1", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": started},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", "part": part, **at},
        {"type": "response.output_text.delta", "delta": "hello", "logprobs": [], **at},
        {"type": "response.completed", "response": RESPONSE},
    ]
    return [event | {"sequence_number": number} for number, event in enumerate(events)]


class _Provider(BaseHTTPRequestHandler):
    drop = False
    """Break off in the middle of an answer, which a message that says DROP asks for."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(body) if body.startswith(b"{") else {}
        path = self.path.partition("?")[0]
        streamed = bool(asked.get("stream"))
        self.drop = b"DROP" in body
        if path.endswith("/messages"):
            wants_tool = bool(asked.get("tools")) and b"tool_result" not in body
            whole, events = (TOOL_USE, TOOL_USE_STREAM) if wants_tool else (ANTHROPIC, ANTHROPIC_STREAM)
            self._answer(whole, events if streamed else None, named=True)
        elif path.endswith("/chat/completions"):
            wanted = bool((asked.get("stream_options") or {}).get("include_usage"))
            self._answer(CHAT, chat_stream(include_usage=wanted) if streamed else None, done=True)
        elif path.endswith("/responses"):
            self._answer(RESPONSE, response_stream() if streamed else None, named=True)
        elif ":generateContent" in path or ":streamGenerateContent" in path:
            whole = GEMINI_CALL if asked.get("tools") and b"functionResponse" not in body else GEMINI
            first: dict[str, Any] = whole | {"usageMetadata": {"promptTokenCount": 20, "totalTokenCount": 20}}
            self._answer(whole, [first, whole] if ":stream" in path else None)
        elif path.endswith("/audio/speech"):
            self._send(b"a recording", "audio/mpeg")
        elif others := [answer for end, answer in OTHERS.items() if path.endswith(end)]:
            self._answer(others[0], None)
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
        self._send(body.encode(), kind)

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.drop else body)
        self.close_connection = self.close_connection or self.drop

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
