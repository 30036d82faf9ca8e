"""The Gemini API: https://ai.google.dev/api/generate-content (`generateContent`, `streamGenerateContent`)."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from tests.clients.http_fake import Call, FakeHandler, new_id
from tests.clients.prices import gemini_cost
from tests.clients.script import SUB_JOB, Step

__all__ = ["GeminiHandler"]

Json = dict[str, Any]

_SHELL: Final = ("run_shell_command", {"command": "echo hi", "description": "say hi"})
_SEARCH: Final = ("google_web_search", {"query": "what is new"})
_TASKS: Final = (
    ("invoke_agent", {"agent_name": "generalist", "prompt": SUB_JOB}),
    ("delegate_to_agent", {"agent_name": "codebase_investigator", "objective": SUB_JOB}),
)
_COMPLETION: Final = "complete_task"
"""The tool by which a sub-agent ends."""
_HELPER: Final = {"reasoning": "x", "next_speaker": "user", "model_choice": "flash", "title": "A session"}
"""What helper calls that ask for JSON may want to find."""


class GeminiHandler(FakeHandler):
    """Answers `models/<model>:<verb>`, in a stream and in one piece."""

    def answer(self, path: str, body: Json) -> None:
        found = re.search(r"/models/([^:/]+):(\w+)$", path)
        if found is None:
            return self.json(404, _problem(404, "NOT_FOUND"))
        model, verb = found.groups()
        if verb == "countTokens":
            return self.json(200, {"totalTokens": 1234})
        call = self.call(model, verb, body)
        helper = (body.get("generationConfig") or {}).get("responseMimeType") == "application/json"
        step = Step() if helper else self.api.script.step(call.prompt, call.results, call.session)
        if step.error is not None:
            return self.json(step.error, _problem(step.error, "UNAVAILABLE"))
        usage, id, tier = self.usage(call), new_id("resp-"), str(body.get("serviceTier") or "standard")
        grounded = step.action == "search" and any("googleSearch" in tool for tool in body.get("tools") or [])
        parts, complete = self.parts(call, step, body, helper=helper), False
        try:
            headers = {"x-gemini-service-tier": tier}
            complete = self.respond(id, call, parts, usage, step, headers, grounded=grounded)
        finally:
            self.record(call, id, usage, gemini_cost(model, usage, tier, grounded=grounded), complete=complete)
        return None

    def call(self, model: str, verb: str, body: Json) -> Call:
        contents = body.get("contents") or []
        prompts = [at for at, content in enumerate(contents) if _is_prompt(content)]
        turn = contents[prompts[-1] if prompts else 0 :]
        prompt = " ".join(part.get("text", "") for part in turn[0]["parts"]) if turn else ""
        results = sum(any("functionResponse" in part for part in content.get("parts") or []) for content in turn)
        tools = [one["name"] for tool in body.get("tools") or [] for one in tool.get("functionDeclarations") or []]
        session = self.headers.get("x-session-id")
        return Call(model, session, prompt, results, tuple(tools), verb == "streamGenerateContent")

    def usage(self, call: Call) -> Json:
        between = self.api.script.between
        prompt, written, thoughts = between(4000, 20000), between(20, 500), between(10, 700)
        cached = 0 if "CACHE_NONE" in call.prompt else between(0, prompt // 64) * 64
        if "BIG_CONTEXT" in call.prompt:
            prompt += 210_000
        return {
            "promptTokenCount": prompt,
            "candidatesTokenCount": written,
            "thoughtsTokenCount": thoughts,
            "cachedContentTokenCount": cached,
            "totalTokenCount": prompt + written + thoughts,
        }

    def parts(self, call: Call, step: Step, body: Json, *, helper: bool) -> list[Json]:
        if helper:
            return [{"text": json.dumps(_HELPER)}]
        choices = {"bash": (_SHELL,), "task": _TASKS, "search": (_SEARCH,)}.get(step.action, ())
        found = next(((name, given) for name, given in choices if name in call.tools), None)
        if found is None and _COMPLETION in call.tools and not step.slow:
            found = (_COMPLETION, _completion(body))
        if found is None:
            return [{"text": "Done, as the script says."}]
        return [{"functionCall": {"name": found[0], "args": found[1]}}] * step.count

    def respond(
        self,
        id: str,
        call: Call,
        parts: list[Json],
        usage: Json,
        step: Step,
        headers: dict[str, str],
        *,
        grounded: bool,
    ) -> bool:
        """Answer; return whether that was whole: a stream without an end is one that the client asks for again."""

        def chunk(parts: list[Json], metadata: Json, reason: str | None = None) -> Json:
            candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
            candidate |= {"finishReason": reason} if reason else {}
            candidate |= {"groundingMetadata": {"webSearchQueries": ["costledger"]}} if grounded else {}
            return {"candidates": [candidate], "modelVersion": call.model, "responseId": id, "usageMetadata": metadata}

        if not call.stream:
            self.json(200, chunk(parts, usage, "STOP"), headers)
            return True
        self.start_stream(headers)
        begun = {name: usage[name] for name in ("promptTokenCount", "cachedContentTokenCount", "thoughtsTokenCount")}
        if step.drop:
            self.event(chunk([{"text": "Do"}], begun))
        elif "text" in parts[0]:
            for piece in self.pieces(parts[0]["text"], step):
                self.event(chunk([{"text": piece}], begun))
        else:
            self.event(chunk(parts, begun))
        if not step.drop:
            self.event(chunk([{"text": ""}], usage, "STOP"))
        self.end_stream()
        return not step.drop

    def event(self, document: Json) -> None:
        self.send(f"data: {json.dumps(document)}\r\n\r\n")


def _problem(status: int, name: str) -> Json:
    return {"error": {"code": status, "message": "later", "status": name}}


def _is_prompt(content: Json) -> bool:
    parts = content.get("parts") or []
    is_result = any("functionResponse" in part for part in parts)
    return content.get("role", "user") == "user" and not is_result and any("text" in part for part in parts)


def _completion(body: Json) -> Json:
    """What a sub-agent's last call says, in the shape that the tool asks for."""
    declared = [one for tool in body.get("tools") or [] for one in tool.get("functionDeclarations") or []]
    given = next(one for one in declared if one["name"] == _COMPLETION)
    return dict(_filled(given.get("parametersJsonSchema") or given.get("parameters") or {}))


def _filled(schema: Json) -> Any:
    """The smallest value of a schema."""
    kind = str(schema.get("type", "")).lower()
    if kind == "object":
        return {name: _filled(inner) for name, inner in (schema.get("properties") or {}).items()}
    return {"array": [], "boolean": True, "integer": 1, "number": 1}.get(kind, "done")
