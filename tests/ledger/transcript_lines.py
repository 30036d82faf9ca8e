"""Lines of transcripts in the shapes that Claude Code and Codex write, made up record by record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ledger.storage.store import LedgerStore

OPUS, SONNET = "claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929"


def at(seconds: int) -> str:
    return f"2026-08-01T{seconds // 3600 + 8:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.123Z"


def said(
    id: Any,
    output: Any,
    seconds: int = 0,
    session: str = "s1",
    *,
    model: Any = OPUS,
    agent: str | None = None,
    progress: bool = False,
    cwd: str = "/home/dev/shop",
    branch: str = "main",
    **usage: Any,
) -> dict[str, Any]:
    """One line of a response; a sub-agent's stands on a line of its own, or inside a `progress` line."""
    used = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 3000,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    } | usage
    body = {"id": id, "type": "message", "role": "assistant", "model": model, "content": [], "usage": used}
    line = {"type": "assistant", "timestamp": at(seconds), "message": body, "requestId": "req", "uuid": "u"}
    where = {"sessionId": session, "cwd": cwd, "gitBranch": branch, "version": "2.1.17", "isSidechain": bool(agent)}
    if not progress:
        return where | line | ({"agentId": agent} if agent else {})
    again = [{"type": "assistant", "message": body}]
    data = {"type": "agent_progress", "message": line, "normalizedMessages": again, "agentId": agent}
    return where | {"type": "progress", "data": data, "timestamp": at(seconds)}


def asked(seconds: int = 0, session: str = "s1", **more: Any) -> dict[str, Any]:
    """What a user or a tool said."""
    line = {"type": "user", "sessionId": session, "timestamp": at(seconds), "cwd": "/home/dev/shop"}
    return line | {"gitBranch": "main", "message": {"role": "user", "content": "text"}} | more


def meta(id: str, seconds: int = 0, *, parent: str | None = None, **more: Any) -> dict[str, Any]:
    """The first line of a rollout."""
    line = {"id": id, "timestamp": at(seconds), "cwd": "/home/dev/shop", "git": {"branch": "main"}}
    line |= {"forked_from_id": parent} if parent else {}
    return {"type": "session_meta", "timestamp": at(seconds), "payload": line | more}


def turn(model: str = "gpt-5", seconds: int = 0) -> dict[str, Any]:
    return {"type": "turn_context", "timestamp": at(seconds), "payload": {"model": model}}


def counted(*totals: int, seconds: int = 0, last: Sequence[int] | None = None) -> dict[str, Any]:
    """A `token_count`: input, cached input, output and reasoning so far; without any, one without `info`."""
    names = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
    info = {
        "total_token_usage": dict(zip(names, totals, strict=False)),
        "last_token_usage": dict(zip(names, last or totals, strict=False)),
    }
    payload = {"type": "token_count", "info": info if totals else None, "rate_limits": {}}
    return {"type": "event_msg", "timestamp": at(seconds), "payload": payload}


def tokens(input: int, cached: int = 0, output: int = 0, reasoning: int = 0, writes: int = 0) -> dict[str, int]:
    """A usage object as Codex writes it since 0.147: all of it, `total_tokens` too."""
    return {
        "input_tokens": input,
        "cached_input_tokens": cached,
        "cache_write_input_tokens": writes,
        "output_tokens": output,
        "reasoning_output_tokens": reasoning,
        "total_tokens": input + output,
    }


def read_at(total: Mapping[str, int], last: Mapping[str, int], seconds: int = 0) -> dict[str, Any]:
    """A `token_count` with a total and the call that brought it there."""
    info = {"total_token_usage": total, "last_token_usage": last, "model_context_window": 258400}
    payload = {"type": "token_count", "info": info, "rate_limits": None}
    return {"type": "event_msg", "timestamp": at(seconds), "payload": payload}


def recorded(
    response: str, total: Mapping[str, int], used: Mapping[str, int], thread: str = "s", seconds: int = 0
) -> dict[str, Any]:
    """A `token_usage_record` of one response."""
    payload = {"thread_id": thread, "session_id": thread, "turn_id": "t", "response_id": response, "usage": used}
    payload |= {"turn_token_usage": used, "thread_token_usage": total}
    return {"type": "token_usage_record", "timestamp": at(seconds), "payload": payload}


def raw(*records: Any) -> bytes:
    """Records as lines; text and bytes as they are."""
    lines = [record if isinstance(record, bytes) else json.dumps(record).encode() + b"\n" for record in records]
    return b"".join(lines)


def write(path: Path, *records: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw(*records))
    return path


def events_of(store: LedgerStore) -> list[dict[str, Any]]:
    """All events but the opening ones, without what the journal and the day's prices add."""
    left_out = {"v", "seq", "recorded_at", "hash", "cost_usd", "cost_source", "price_book", "price_digest"}
    written = []
    for workflow_id in store.workflow_ids():
        for line in store.read(workflow_id):
            if line["type"] != "ledger_opened":
                if "source" in line:
                    line["source"]["file"] = Path(line["source"]["file"]).name
                written.append({name: value for name, value in line.items() if name not in left_out})
    return written
