"""One Claude Code as its status line and hooks report it, and the lines of its transcript."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ledger import DirectoryStore
from ledger.claude_code.spool import Spool
from ledger.config.schema import BudgetConfig
from ledger.pricing.genai_book import GenaiPrices
from projections.claude_code.drain import drain
from projections.claude_code.statusline import _cost
from projections.replay.refresh import project

__all__ = ["START", "Agent", "S", "message"]

S = "1f3c9a52-0000-4000-8000-000000000001"
START = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)


class Agent:
    """One Claude Code, as far as its status line and hooks report it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.store = DirectoryStore(data)
        self.spool = Spool(str(data))
        self.now = START

    def _entry(self, **more: Any) -> dict[str, Any]:
        self.now += timedelta(seconds=1)
        at = f"{self.now:%Y-%m-%dT%H:%M:%S.%fZ}"
        return {"at": at, "session_id": S, "project_dir": "/p"} | {k: v for k, v in more.items() if v}

    def shows(self, cost_usd: str, since: int = 0, **more: Any) -> None:
        """Spool a status line; without `duration_ms`, as earlier versions spooled it."""
        self.spool.add(self._entry(counter_usd=cost_usd, since_ms=1_000 + 60_000 * since, **more))

    def stops(self, *transcripts: Path, **more: Any) -> None:
        self.spool.add(self._entry(transcripts=[str(path) for path in transcripts], **more))

    def drain(self) -> None:
        drain(self.spool, self.store, GenaiPrices(), BudgetConfig())

    def cost(self, workflow_id: str = S) -> float:
        return project(self.store, workflow_id).row.actual_cost_total

    def line(self, cost_usd: str, since: int = 0, **more: Any) -> float:
        """Return the cost on the status line, before its counter is appended."""
        entry = {"session_id": S, "counter_usd": cost_usd, "since_ms": 1_000 + 60_000 * since} | more
        return _cost(entry, self.cached(str(entry["session_id"])))

    def cached(self, session_id: str = S) -> dict[str, Any]:
        return self.spool.session(session_id)

    def log(self) -> str:
        path = self.data / "log" / "capture.log"
        return path.read_text() if path.exists() else ""


def message(number: int, output: int, session_id: str = S, **more: Any) -> str:
    """A line of a transcript; a million output tokens of this model are $15."""
    at = f"{START + timedelta(seconds=number):%Y-%m-%dT%H:%M:%S.000Z}"
    usage = {"input_tokens": 0, "output_tokens": output}
    body = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "usage": usage}
    line = {"type": "assistant", "sessionId": session_id, "timestamp": at, "uuid": f"u{number}-{output}", "cwd": "/p"}
    return json.dumps(line | {"message": body} | more) + "\n"
