"""The Gemini API: https://ai.google.dev/api/generate-content (`generateContent`, `streamGenerateContent`)."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from tests.clients.http_fake import Call, FakeHandler, new_id
from tests.clients.prices import gemini_cost
from tests.clients.script import Step

__all__ = ["GeminiHandler"]

Json = dict[str, Any]

_SHELL: Final = "run_shell_command"
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
        part, complete = self.part(call, step, helper=helper), False
        try:
            self.respond(id, call, part, usage, step, {"x-gemini-service-tier": tier}, grounded=grounded)
            complete = True
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

    def part(self, call: Call, step: Step, *, helper: bool) -> Json:
        if helper:
            return {"text": json.dumps(_HELPER)}
        if step.action == "bash" and _SHELL in call.tools:
            return {"functionCall": {"name": _SHELL, "args": {"command": "echo hi", "description": "say hi"}}}
        return {"text": "Done, as the script says."}

    def respond(
        self, id: str, call: Call, part: Json, usage: Json, step: Step, headers: dict[str, str], *, grounded: bool
    ) -> None:
        def chunk(parts: list[Json], metadata: Json, reason: str | None = None) -> Json:
            candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
            candidate |= {"finishReason": reason} if reason else {}
            candidate |= {"groundingMetadata": {"webSearchQueries": ["costledger"]}} if grounded else {}
            return {"candidates": [candidate], "modelVersion": call.model, "responseId": id, "usageMetadata": metadata}

        if not call.stream:
            return self.json(200, chunk([part], usage, "STOP"), headers)
        self.start_stream(headers)
        begun = {name: usage[name] for name in ("promptTokenCount", "cachedContentTokenCount", "thoughtsTokenCount")}
        if "text" in part:
            for piece in self.pieces(part["text"], step):
                self.event(chunk([{"text": piece}], begun))
        else:
            self.event(chunk([part], begun))
        self.event(chunk([{"text": ""}], usage, "STOP"))
        return self.end_stream()

    def event(self, document: Json) -> None:
        self.send(f"data: {json.dumps(document)}\r\n\r\n")


def _problem(status: int, name: str) -> Json:
    return {"error": {"code": status, "message": "later", "status": name}}


def _is_prompt(content: Json) -> bool:
    parts = content.get("parts") or []
    is_result = any("functionResponse" in part for part in parts)
    return content.get("role", "user") == "user" and not is_result and any("text" in part for part in parts)
