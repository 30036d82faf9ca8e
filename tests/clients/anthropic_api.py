"""Anthropic's Messages API: https://docs.anthropic.com/en/api/messages, …/messages-streaming."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from tests.clients.http_fake import Call, FakeHandler, new_id
from tests.clients.prices import anthropic_cost
from tests.clients.script import COMPACTION, SUB_JOB, Step

__all__ = ["AnthropicHandler"]

_SHELLS: Final = ("Bash", "bash", "run_shell_command")
_TASKS: Final = ("Agent", "Task", "task")
_SEARCHES: Final = ("WebSearch",)

Json = dict[str, Any]


class AnthropicHandler(FakeHandler):
    """Answers `/v1/messages`, in a stream and in one piece."""

    def answer(self, path: str, body: Json) -> None:
        if path.endswith("/count_tokens"):
            return self.json(200, {"input_tokens": 1234})
        if path.endswith("/v1/messages/batches"):
            return self.json(200, self.batched(body))
        if not path.endswith("/v1/messages"):
            return self.json(404, {"type": "error", "error": {"type": "not_found_error", "message": "not here"}})
        call = self.call(body)
        wants_json = bool(body.get("output_format") or (body.get("output_config") or {}).get("format"))
        helper = not call.tools
        step = Step() if helper else self.api.script.step(call.prompt, call.results, call.session)
        if step.error is not None:
            problem = {"type": "overloaded_error" if step.error == 529 else "rate_limit_error", "message": "later"}
            return self.json(step.error, {"type": "error", "error": problem}, {"retry-after": "0"})
        usage = self.usage(call, helper=helper, searches="web_search" in call.tools) | _served(body)
        blocks = self.blocks(call, step, helper=helper or wants_json)
        id = new_id("msg_01")
        if not call.stream:
            self.record(call, id, usage, anthropic_cost(call.model, usage), complete=True)
            return self.json(200, _message(id, call.model, blocks, usage))
        complete = False
        try:
            self.stream(_message(id, call.model, blocks, usage), step)
            complete = True
        finally:
            self.record(call, id, usage, anthropic_cost(call.model, usage), complete=complete)
        return None

    def get(self, path: str) -> None:
        found = re.search(r"/v1/messages/batches/(\w+)(/results)?$", path)
        if found is None:
            return super().get(path)
        if found[2] is None:
            return self.json(200, _batch(found[1], "ended", self.api.url))
        with self.api.lock:
            lines = self.api.batches[found[1]]
        return self.lines(lines)

    def batched(self, body: Json) -> Json:
        """Answer the requests of a batch at once: https://docs.anthropic.com/en/api/creating-message-batches."""
        lines = []
        for request in body["requests"]:
            call, id = self.call(request["params"]), new_id("msg_01")
            usage = self.usage(call, helper=False, searches=False) | {"service_tier": "batch"}
            self.record(call, id, usage, anthropic_cost(call.model, usage), complete=True)
            message = _message(id, call.model, [{"type": "text", "text": "Done."}], usage)
            lines.append({"custom_id": request["custom_id"], "result": {"type": "succeeded", "message": message}})
        with self.api.lock:
            self.api.batches[id := new_id("msgbatch_")] = lines
        return _batch(id, "in_progress", self.api.url)

    def call(self, body: Json) -> Call:
        messages = body["messages"]
        first = max((at for at, message in enumerate(messages) if _is_prompt(message)), default=0)
        prompt = re.sub(r"<system-reminder>.*?</system-reminder>", "", _text(messages[first]["content"]), flags=re.S)
        if "<summary>" in _text(messages[-1]["content"]):
            prompt = COMPACTION
        results = sum(_has_results(message) for message in messages[first:])
        tools = tuple(str(tool.get("name")) for tool in body.get("tools") or [])
        return Call(body["model"], self.session(body), prompt, results, tools, bool(body.get("stream")))

    def session(self, body: Json) -> str | None:
        user = str((body.get("metadata") or {}).get("user_id") or "")
        if user.startswith("{"):
            named: str | None = json.loads(user).get("session_id")
            return named
        if "_session_" in user:
            return user.split("_session_")[1]
        headers = ("x-claude-code-session-id", "x-session-affinity", "x-opencode-session", "x-session-id")
        return next((self.headers[name] for name in headers if name in self.headers), None)

    def usage(self, call: Call, *, helper: bool, searches: bool) -> Json:
        between = self.api.script.between
        five, hour, read = (0, 0, 0) if helper else (between(100, 3000), between(50, 2000), between(5000, 20000))
        if "CACHE_5M" in call.prompt:
            hour = 0
        if "CACHE_1H" in call.prompt:
            five = 0
        if "CACHE_NONE" in call.prompt:
            five = hour = read = 0
        if "BIG_CONTEXT" in call.prompt and not helper:
            read = 230_000
        usage: Json = {
            "input_tokens": between(3, 60),
            "cache_creation_input_tokens": five + hour,
            "cache_read_input_tokens": read,
            "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour},
            "output_tokens": between(20, 400),
            "service_tier": "standard",
        }
        if searches:
            usage["server_tool_use"] = {"web_search_requests": 1, "web_fetch_requests": 0}
        return usage

    def blocks(self, call: Call, step: Step, *, helper: bool) -> list[Json]:
        if helper:
            return [{"type": "text", "text": json.dumps({"title": "A session", "isNewTopic": True})}]
        if "web_search" in call.tools:
            return _search_blocks()
        if call.prompt == COMPACTION:
            return [{"type": "text", "text": "<analysis>Short.</analysis>\n<summary>They said hello.</summary>"}]
        name, inputs = self.wanted(call, step)
        if name is None:
            return [{"type": "text", "text": "Done, as the script says."}]
        uses = [{"type": "tool_use", "id": new_id("toolu_01"), "name": name, "input": one} for one in inputs]
        return [{"type": "text", "text": "Working."}, *uses]

    def wanted(self, call: Call, step: Step) -> tuple[str | None, list[Json]]:
        if step.action == "bash":
            return _first(_SHELLS, call.tools), [{"command": "echo hi", "description": "say hi"}]
        if step.action == "task":
            name = _first(_TASKS, call.tools)
            kind = "general" if name == "task" else "general-purpose"
            return name, [
                {"description": f"job {at}", "prompt": f"{at} {SUB_JOB}", "subagent_type": kind}
                for at in range(step.count)
            ]
        if step.action == "search":
            return _first(_SEARCHES, call.tools), [{"query": "costledger"}]
        return None, []

    def stream(self, message: Json, step: Step) -> None:
        usage = message["usage"]
        self.start_stream()
        late = ("server_tool_use", "iterations")
        begun = {name: value for name, value in usage.items() if name not in late} | {"output_tokens": 3}
        empty = message | {"content": [], "stop_reason": None, "usage": begun}
        self.event("message_start", {"message": empty})
        self.event("ping", {})
        for at, block in enumerate(message["content"]):
            self.stream_block(at, block, step)
        end = {name: usage[name] for name in usage if name.endswith("_tokens") or name in late}
        self.event(
            "message_delta", {"delta": {"stop_reason": message["stop_reason"], "stop_sequence": None}, "usage": end}
        )
        self.event("message_stop", {})
        self.end_stream()

    def stream_block(self, at: int, block: Json, step: Step) -> None:
        if block["type"] == "text":
            self.event("content_block_start", {"index": at, "content_block": {"type": "text", "text": ""}})
            for piece in self.pieces(block["text"], step):
                delta = {"type": "text_delta", "text": piece}
                self.event("content_block_delta", {"index": at, "delta": delta})
        elif "input" in block:
            self.event("content_block_start", {"index": at, "content_block": block | {"input": {}}})
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            self.event("content_block_delta", {"index": at, "delta": delta})
        else:
            self.event("content_block_start", {"index": at, "content_block": block})
        self.event("content_block_stop", {"index": at})

    def event(self, type: str, fields: Json) -> None:
        self.send(f"event: {type}\ndata: {json.dumps({'type': type, **fields})}\n\n")


def _served(body: Json) -> Json:
    """Return what a usage says of the way in which a request was served.

    https://platform.claude.com/docs/en/build-with-claude/fast-mode, …/data-residency, …/compaction
    """
    found: Json = {}
    if body.get("speed"):
        found["speed"] = body["speed"]
    if body.get("inference_geo"):
        found["inference_geo"] = body["inference_geo"]
    edits = (body.get("context_management") or {}).get("edits") or []
    if any(str(edit["type"]).startswith("compact_") for edit in edits):
        counts = {"input_tokens": 180_000, "output_tokens": 3_500}
        none = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": None}
        found["iterations"] = [{"type": "compaction", **counts, **none}]
    return found


def _batch(id: str, status: str, url: str) -> Json:
    counts = {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0}
    return {
        "id": id,
        "type": "message_batch",
        "processing_status": status,
        "request_counts": counts,
        "created_at": "2026-11-01T00:00:00Z",
        "expires_at": "2026-11-02T00:00:00Z",
        "ended_at": "2026-11-01T00:01:00Z" if status == "ended" else None,
        "results_url": f"{url}/v1/messages/batches/{id}/results" if status == "ended" else None,
    }


def _message(id: str, model: str, blocks: list[Json], usage: Json) -> Json:
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


def _search_blocks() -> list[Json]:
    id = new_id("srvtoolu_01")
    result = {
        "type": "web_search_result",
        "title": "A page",
        "url": "https://example.com/page",
        "encrypted_content": "YQ==",
        "page_age": None,
    }
    return [
        {"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": "costledger"}},
        {"type": "web_search_tool_result", "tool_use_id": id, "content": [result]},
        {"type": "text", "text": "Found a page."},
    ]


def _first(names: tuple[str, ...], tools: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in tools), None)


def _has_results(message: Json) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(block.get("type") == "tool_result" for block in content)


def _is_prompt(message: Json) -> bool:
    return message["role"] == "user" and not _has_results(message)


def _text(content: str | list[Json]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content if block.get("type") == "text")
