"""Claude Code transcripts in the shapes of real ones, as many megabytes as asked for; the same seed, the same bytes.

The shapes are those of 156 transcripts of public repositories: a response spans one to four lines and only the last
has its final output; a tool's result stands twice on one line, with its text; sub-agents lie in files of their own and
in `progress` lines; one session in eight is resumed, which copies its lines under a new session id; some cache writes
last an hour, a few responses hide an iteration of another model, one model has no price.

Usage: python benchmarks/transcripts.py FOLDER [megabytes] [seed]
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

MODELS = ("claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001", "local-model")
WORDS = [
    "the",
    "file",
    "holds",
    "a",
    "function",
    "that",
    "reads",
    "lines",
    "and",
    "returns",
    "what",
    "it",
    "found",
    "or",
    "an",
    "error",
    "with",
    "its",
    "place",
]
CODE = "    def read(self, path: Path) -> Iterator[Record]:\n        for number, line in enumerate(path.open(), 1):\n"


class Session:
    """One session's lines, made one after the other."""

    def __init__(self, chance: random.Random, start: datetime, project: str, agent_id: str | None = None) -> None:
        self.chance, self.moment, self.agent_id = chance, start, agent_id
        self.session_id = self.uuid()
        self.cwd = f"/home/dev/{project}"
        self.cached = chance.randrange(12_000, 40_000)

    def uuid(self) -> str:
        digits = f"{self.chance.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def text(self, characters: int) -> str:
        some = " ".join(self.chance.choices(WORDS, k=40)) + "\n" + CODE
        return (some * (characters // len(some) + 1))[:characters]

    def envelope(self, kind: str) -> dict[str, Any]:
        self.moment += timedelta(milliseconds=self.chance.randrange(200, 9000))
        line = {
            "parentUuid": self.uuid(),
            "isSidechain": self.agent_id is not None,
            "userType": "external",
            "cwd": self.cwd,
            "sessionId": self.session_id,
            "version": "2.1.17",
            "gitBranch": "main",
            "type": kind,
            "uuid": self.uuid(),
            "timestamp": self.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        return line | ({"agentId": self.agent_id} if self.agent_id else {})

    def usage(self, model: str) -> dict[str, Any]:
        written = self.chance.randrange(200, 4000)
        lasting = written if self.chance.random() < 0.2 else 0
        usage: dict[str, Any] = {
            "input_tokens": self.chance.randrange(1, 12),
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": self.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": written - lasting, "ephemeral_1h_input_tokens": lasting},
            "output_tokens": self.chance.randrange(20, 2500),
            "service_tier": "standard",
        }
        if self.chance.random() < 0.01:
            hidden: dict[str, Any] = {"input_tokens": 9000, "output_tokens": 700, "cache_read_input_tokens": 0}
            hidden |= {"cache_creation_input_tokens": 0, "type": "advisor_message", "model": MODELS[0]}
            own = {name: usage[name] for name in usage if name.endswith("_tokens")} | {"type": "message"}
            usage["iterations"] = [own, hidden]
        if model != MODELS[3]:
            self.cached = min(self.cached + written, 180_000)
        return usage

    def response(self, model: str) -> Iterator[dict[str, Any]]:
        """One response's lines, then what its tool returned."""
        usage, id = self.usage(model), f"msg_{self.chance.getrandbits(96):024x}"
        request = f"req_{self.chance.getrandbits(96):024x}"
        blocks: list[dict[str, Any]] = [{"type": "thinking", "thinking": self.text(900), "signature": self.text(600)}]
        blocks += [{"type": "text", "text": self.text(self.chance.randrange(100, 1800))}][: self.chance.randrange(2)]
        tool = f"toolu_{self.chance.getrandbits(96):024x}"
        arguments = {"file_path": f"{self.cwd}/a.py", "new_string": self.text(self.chance.randrange(100, 4000))}
        blocks += [{"type": "tool_use", "id": tool, "name": "Edit", "input": arguments}]
        for index, block in enumerate(blocks):
            last = index == len(blocks) - 1
            shown = usage if last else usage | {"output_tokens": min(usage["output_tokens"], 1 + 3 * index)}
            message: dict[str, Any] = {
                "model": model,
                "id": id,
                "type": "message",
                "role": "assistant",
                "content": [block],
            }
            message |= {"stop_reason": "tool_use" if last else None, "stop_sequence": None, "usage": shown}
            yield self.envelope("assistant") | {"message": message, "requestId": request}
        found = self.text(int(self.chance.lognormvariate(8.2, 0.9)))
        result = {"role": "user", "content": [{"tool_use_id": tool, "type": "tool_result", "content": found}]}
        yield self.envelope("user") | {"message": result, "toolUseResult": {"stdout": found, "stderr": ""}}

    def lines(self, responses: int) -> Iterator[dict[str, Any]]:
        model = self.chance.choices(MODELS, weights=(50, 35, 13, 2))[0]
        yield self.envelope("user") | {"message": {"role": "user", "content": self.text(400)}}
        for number in range(responses):
            yield from self.response(model)
            if number % 7 == 0:
                yield {"type": "file-history-snapshot", "messageId": self.uuid(), "snapshot": {"text": self.text(300)}}


def progress(line: dict[str, Any], session: Session, agent_id: str) -> dict[str, Any]:
    """A sub-agent's line as its parent's file repeats it."""
    inner = {name: line[name] for name in ("type", "timestamp", "message", "requestId", "uuid") if name in line}
    data = {"type": "agent_progress", "message": inner, "normalizedMessages": [], "prompt": "", "agentId": agent_id}
    return session.envelope("progress") | {"data": data, "toolUseID": "agent", "parentToolUseID": "toolu"}


def write(path: Path, lines: list[bytes]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(lines)
    path.write_bytes(data)
    return len(data)


def raw(line: dict[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def main(folder: Path, megabytes: int, seed: int) -> None:
    """Write sessions until there is enough."""
    chance, made, number = random.Random(seed), 0, 0
    start = datetime(2026, 8, 1, 8, tzinfo=UTC)
    while made < megabytes * 1_000_000:
        number += 1
        project = f"project-{chance.randrange(12)}"
        place = folder / "projects" / f"-home-dev-{project}"
        session = Session(chance, start + timedelta(minutes=17 * number), project)
        lines = [raw(line) for line in session.lines(int(chance.lognormvariate(4.0, 0.9)) + 1)]
        for child in range(chance.choice((0, 0, 0, 1, 2, 4))):
            agent_id = f"a{chance.getrandbits(28):07x}"
            agent = Session(chance, session.moment, project, agent_id)
            agent.session_id = session.session_id
            own = list(agent.lines(chance.randrange(2, 25)))
            if child % 2:
                lines += [raw(progress(line, session, agent_id)) for line in own if line["type"] == "assistant"]
            else:
                made += write(place / session.session_id / "subagents" / f"agent-{agent_id}.jsonl", list(map(raw, own)))
        made += write(place / f"{session.session_id}.jsonl", lines)
        if number % 8 == 0:
            resumed = Session(chance, session.moment + timedelta(hours=2), project)
            old, new = session.session_id.encode(), resumed.session_id.encode()
            copied = [line.replace(old, new) for line in lines]
            copied += [raw(line) for line in resumed.lines(20)]
            made += write(place / f"{resumed.session_id}.jsonl", copied)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(text) for text in (sys.argv[2:4] + ["500", "1"][len(sys.argv) - 2 :])))
