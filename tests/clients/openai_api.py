"""OpenAI's Responses and Chat Completions APIs: https://platform.openai.com/docs/api-reference/responses, …/chat."""

from __future__ import annotations

import json
import re
import time
from typing import Any, Final

from tests.clients.http_fake import Call, FakeHandler, new_id
from tests.clients.prices import openai_cost
from tests.clients.script import COMPACTION, SUB_JOB, Step

__all__ = ["OpenAiHandler"]

Json = dict[str, Any]

_SHELLS: Final[tuple[tuple[str, Json], ...]] = (
    ("exec_command", {"cmd": "echo hi"}),
    ("shell_command", {"command": "echo hi"}),
    ("shell", {"command": ["bash", "-lc", "echo hi"]}),
    ("run_shell_command", {"command": "echo hi", "description": "say hi"}),
    ("bash", {"command": "echo hi", "description": "say hi"}),
    ("Bash", {"command": "echo hi"}),
)
_TASKS: Final[tuple[tuple[str, Json], ...]] = (
    ("task", {"description": "a job", "prompt": SUB_JOB, "subagent_type": "general"}),
    ("agent", {"description": "a job", "prompt": SUB_JOB, "subagent_type": "general-purpose"}),
    ("spawn_agent", {"message": SUB_JOB, "agent_type": "default", "task_name": "a_job"}),
)
_SPACES: Final = ("multi_agent_v1", "collaboration")
"""Namespaces in which Codex has its tools for sub-agents."""
_PREAMBLES: Final = ("<environment_context>", "<user_instructions>", "<permissions", "# AGENTS.md", "<skills")
_SUMMARY: Final = ("CONTEXT CHECKPOINT COMPACTION", "handoff summary", "create a detailed summary")
_SESSION: Final = ("session_id", "session-id", "conversation_id", "x-session-id", "x-session-affinity")


class OpenAiHandler(FakeHandler):
    """Answers `/responses` and `/chat/completions`, in a stream and in one piece."""

    def get(self, path: str) -> None:
        if path.endswith("/models"):
            models = [{"id": model, "object": "model", "owned_by": "openai"} for model in ("gpt-5", "gpt-5-codex")]
            return self.json(200, {"object": "list", "data": models, "models": []})
        if "upgrade" in {name.lower() for name in self.headers}:
            return self.json(426, {"error": {"message": "no web sockets", "type": "invalid_request_error"}})
        return super().get(path)

    def answer(self, path: str, body: Json) -> None:
        chat = path.endswith("/chat/completions")
        if not chat and not path.endswith("/responses"):
            return self.json(404, {"error": {"message": "not here", "type": "invalid_request_error"}})
        call = self.call(body, chat=chat)
        step = self.api.script.step(call.prompt, call.results, call.session)
        if step.error is not None:
            problem = {"message": "later", "type": "server_error", "code": "server_error"}
            return self.json(step.error, {"error": problem}, {"retry-after": "0"})
        usage, tier = self.usage(call), str(body.get("service_tier") or "default")
        tier = "default" if tier == "auto" else tier
        searches = 1 if _searches(call, step) and not chat else 0
        id = new_id("chatcmpl-" if chat else "resp_")
        complete = False
        try:
            if chat:
                self.chat(body, id, call, step, usage, tier)
            else:
                self.respond(id, call, self.items(call, step, body), usage, step, tier)
            complete = True
        finally:
            self.record(call, id, usage, openai_cost(call.model, usage, tier, searches), complete=complete)
        return None

    def call(self, body: Json, *, chat: bool) -> Call:
        items = body.get("messages" if chat else "input") or []
        items = [{"role": "user", "content": items}] if isinstance(items, str) else items
        prompts = [at for at, item in enumerate(items) if _is_prompt(item)]
        first = prompts[-1] if prompts else 0
        prompt = _text(items[first].get("content")) if items else ""
        if any(word in prompt for word in _SUMMARY):
            prompt = COMPACTION
        results = sum(_is_result(item) for item in items[first:])
        tools = tuple(str(_tool_name(tool)) for tool in body.get("tools") or [])
        session = next((self.headers[name] for name in _SESSION if name in self.headers), None)
        session = session or body.get("prompt_cache_key")
        return Call(body["model"], session, prompt, results, tools, bool(body.get("stream")))

    def usage(self, call: Call) -> Json:
        between = self.api.script.between
        whole, written = between(6000, 20000), between(30, 900)
        cached = between(0, whole // 128) * 128
        if "BIG_CONTEXT" in call.prompt:
            whole, cached = whole + 230_000, cached + 200_064
        if "CACHE_NONE" in call.prompt:
            cached = 0
        return {
            "input_tokens": whole,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": between(0, written)},
            "total_tokens": whole + written,
        }

    # The Responses API

    def items(self, call: Call, step: Step, body: Json) -> list[Json]:
        thought = {
            "type": "reasoning",
            "id": new_id("rs_"),
            "summary": [{"type": "summary_text", "text": "thinking"}],
            "encrypted_content": "ZW5j",
            "content": [],
        }
        wanted = self.wanted(call, step, body)
        if wanted is None:
            text = "They said hello." if call.prompt == COMPACTION else _said(body)
            if _searches(call, step):
                query = {"type": "search", "query": "costledger", "queries": ["costledger"], "sources": []}
                thought = _item("web_search_call", "ws_", action=query)
            content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
            return [thought, _item("message", "msg_", role="assistant", content=content)]
        return [thought, *(_item("function_call", "fc_", call_id=new_id("call_"), **one) for one in wanted)]

    def wanted(self, call: Call, step: Step, body: Json) -> list[Json] | None:
        """Return the tool calls of an answer; None for a text."""
        space = next((name for name in _SPACES if name in call.tools), None)
        if "USE_TASK" in call.prompt and space is not None:
            return _agents(space, call, body)
        choices = {"bash": _SHELLS, "task": _TASKS}.get(step.action, ())
        found = next(((name, inputs) for name, inputs in choices if name in call.tools), None)
        if found is None:
            return None
        return [{"name": found[0], "arguments": json.dumps(found[1])}] * step.count

    def respond(self, id: str, call: Call, items: list[Json], usage: Json, step: Step, tier: str) -> None:
        response = {
            "id": id,
            "object": "response",
            "created_at": int(time.time()),
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "model": call.model,
            "output": items,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "metadata": {},
            "service_tier": tier,
            "usage": usage,
        }
        if not call.stream:
            return self.json(200, response)
        self.start_stream()
        begun = response | {"status": "in_progress", "output": [], "usage": None}
        self.event("response.created", response=begun)
        self.event("response.in_progress", response=begun)
        for at, item in enumerate(items):
            self.stream_item(at, item, step)
        self.event("response.completed", response=response)
        return self.end_stream()

    def stream_item(self, at: int, item: Json, step: Step) -> None:
        empties: dict[str, Json] = {"message": {"content": []}, "function_call": {"arguments": ""}}
        empty = empties.get(item["type"], {})
        self.event("response.output_item.added", output_index=at, item={**item, "status": "in_progress", **empty})
        where = {"item_id": item["id"], "output_index": at}
        if item["type"] == "message":
            part = item["content"][0]
            self.event("response.content_part.added", **where, content_index=0, part=part | {"text": ""})
            for piece in self.pieces(part["text"], step):
                self.event("response.output_text.delta", **where, content_index=0, delta=piece, logprobs=[])
            self.event("response.output_text.done", **where, content_index=0, text=part["text"], logprobs=[])
            self.event("response.content_part.done", **where, content_index=0, part=part)
        elif item["type"] == "function_call":
            self.event("response.function_call_arguments.delta", **where, delta=item["arguments"])
            self.event("response.function_call_arguments.done", **where, arguments=item["arguments"])
        elif item["type"] == "web_search_call":
            for state in ("in_progress", "searching", "completed"):
                self.event(f"response.web_search_call.{state}", **where)
        self.event("response.output_item.done", output_index=at, item=item)

    def event(self, type: str, **fields: Any) -> None:
        self.send(f"event: {type}\ndata: {json.dumps({'type': type, **fields})}\n\n")

    # The Chat Completions API

    def chat(self, body: Json, id: str, call: Call, step: Step, usage: Json, tier: str) -> None:
        wanted = self.wanted(call, step, body)
        uses = [{"id": new_id("call_"), "type": "function", "function": one} for one in wanted or []]
        text, reason = _said(body), "tool_calls" if uses else "stop"
        base = {"id": id, "created": int(time.time()), "model": call.model, "service_tier": tier}
        if not call.stream:
            message: Json = {"role": "assistant", "content": None if uses else text}
            message |= {"tool_calls": uses} if uses else {}
            choice = {"index": 0, "message": message, "finish_reason": reason}
            whole = {"object": "chat.completion", "choices": [choice], "usage": _chat_usage(usage)}
            return self.json(200, base | whole)
        self.start_stream()
        base |= {"object": "chat.completion.chunk"}
        self.chunk(base, {"role": "assistant", "content": ""})
        if uses:
            self.chunk(base, {"tool_calls": [use | {"index": at} for at, use in enumerate(uses)]})
        else:
            for piece in self.pieces(text, step):
                self.chunk(base, {"content": piece})
        self.chunk(base, {}, reason)
        if (body.get("stream_options") or {}).get("include_usage"):
            self.send(f"data: {json.dumps(base | {'choices': [], 'usage': _chat_usage(usage)})}\n\n")
        self.send("data: [DONE]\n\n")
        return self.end_stream()

    def chunk(self, base: Json, delta: Json, reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        self.send(f"data: {json.dumps(base | {'choices': [choice]})}\n\n")


def _agents(space: str, call: Call, body: Json) -> list[Json] | None:
    """Codex starts a sub-agent, and waits for it."""
    if call.results == 0:
        named = {} if space == "multi_agent_v1" else {"task_name": "a_job"}
        return [{"name": "spawn_agent", "arguments": json.dumps({"message": SUB_JOB, **named}), "namespace": space}]
    if call.results > 1:
        return None
    outputs = [item.get("output") for item in body["input"] if item.get("type") == "function_call_output"]
    found = re.search(r"agent_id\W+([0-9a-f-]{36})", json.dumps(outputs))
    targets = {"targets": [found[1]] if found else []} if space == "multi_agent_v1" else {}
    return [{"name": "wait_agent", "arguments": json.dumps({**targets, "timeout_ms": 20000}), "namespace": space}]


def _said(body: Json) -> str:
    """Return a text; JSON where the request has a schema for it."""
    wanted = body.get("response_format") or (body.get("text") or {}).get("format") or {}
    return json.dumps({"title": "A session"}) if wanted.get("type") == "json_schema" else "Done, as the script says."


def _searches(call: Call, step: Step) -> bool:
    return step.action == "search" and any(name.startswith("web_search") for name in call.tools)


def _item(type: str, prefix: str, **fields: Any) -> Json:
    return {"type": type, "id": new_id(prefix), "status": "completed", **fields}


def _chat_usage(usage: Json) -> Json:
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
        "prompt_tokens_details": usage["input_tokens_details"],
        "completion_tokens_details": usage["output_tokens_details"],
    }


def _tool_name(tool: Json) -> object:
    return tool.get("name") or (tool.get("function") or {}).get("name") or tool.get("type")


def _is_prompt(item: Json) -> bool:
    if item.get("role") != "user" or item.get("type") not in (None, "message"):
        return False
    return not _text(item.get("content")).strip().startswith(_PREAMBLES)


def _is_result(item: Json) -> bool:
    return item.get("role") == "tool" or str(item.get("type", "")).endswith("_call_output")


def _text(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(str(block.get("text", "")) for block in content)
    return str(content or "")
