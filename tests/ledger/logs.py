"""Small stream-json logs in the real shape, made up record by record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SONNET, HAIKU = "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"


def init(session: str = "s1", process: str = "p1", version: str = "2.1.276") -> dict[str, Any]:
    record = {"type": "system", "subtype": "init", "session_id": session, "uuid": process, "model": SONNET}
    return record | {"claude_code_version": version}


def message(
    id: str, output: int, session: str = "s1", *, model: str = SONNET, parent: str | None = None, **usage: Any
) -> dict[str, Any]:
    used = {"input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": output}
    body = {"id": id, "type": "message", "role": "assistant", "model": model, "usage": used | usage}
    return {"type": "assistant", "message": body, "parent_tool_use_id": parent, "session_id": session, "uuid": "u"}


def result(total: Any, session: str = "s1", *, uuid: str = "r", error: bool = False, **models: Any) -> dict[str, Any]:
    usage = {
        {"sonnet": SONNET, "haiku": HAIKU}[name]: {
            "inputTokens": 100,
            "outputTokens": 50,
            "cacheReadInputTokens": 10,
            "cacheCreationInputTokens": 20,
            "webSearchRequests": 0,
            "costUSD": cost,
        }
        for name, cost in models.items()
    }
    kind = "error_during_execution" if error else "success"
    result = {"type": "result", "subtype": kind, "is_error": error, "session_id": session, "total_cost_usd": total}
    return result | {"modelUsage": usage, "usage": {"input_tokens": 1, "output_tokens": 1}, "uuid": uuid}


def write(path: Path, *records: Any) -> Path:
    """Records as lines; text and bytes are written as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for record in records:
            raw = record.encode() if isinstance(record, str) else record
            file.write(raw if isinstance(raw, bytes) else json.dumps(record).encode() + b"\n")
    return path
