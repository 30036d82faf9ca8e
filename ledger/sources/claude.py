"""Claude Code's transcripts: `projects/<folder>/<session>.jsonl`, and sub-agents' files below or beside them.

Observed in 156 transcripts of public repositories, written by versions 1.0 to 2.1:

- one response spans several lines, one per content block, which repeat `message.id` and `usage`; only the last has the
  final output;
- a resumed or forked session begins with a copy of the lines of the one before, under its own `sessionId` or the old;
- a sub-agent's responses stand in a file of its own, on side-chain lines of its session's file, or inside `progress`
  lines there: the same ids, whichever; what `normalizedMessages` and `toolUseResult` tell is told elsewhere;
- `usage.iterations[]` of another model are calls that the response's own usage leaves out;
- `cache_creation`, the split of cache writes by lifetime, may be missing, and may say more than the total.

There is no cost and no end in them: every response is priced, and a session goes on until somebody says otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.errors import InvalidEvent, shown
from ledger.events import check_name
from ledger.sources.findings import Begun, Skipped
from ledger.sources.transcript import (
    BEGINNING,
    Extract,
    Lines,
    Mark,
    Seen,
    files_below,
    moment,
    name,
)
from ledger.sources.unknown import Unknown, tells_usage
from ledger.usage import measure, usage_of

__all__ = ["ClaudeTranscripts"]

_SYNTHETIC: Final = "<synthetic>"
"""The model that Claude Code names in messages it made up itself, such as an interruption; they cost nothing."""

_STANDARD: Final = frozenset({"standard", "default"})
_TOLD_ELSEWHERE: Final = ("user", "progress", "summary", "system")
"""Kinds of lines that repeat or sum up what stands on others."""
_LOOKED_AT_MAX: Final = 3


@dataclass(slots=True)
class _Response:
    """One response as the lines of one file show it; `at` and what follows are the first line's.

    Attributes:
        usage: as the line with the largest view has it, and `model`, `output_tokens`, `line`.
    """

    id: str
    model: object
    usage: Mapping[str, Any]
    output_tokens: int
    line: int
    at: object
    agent: object
    session_id: object
    branch: object


class ClaudeTranscripts:
    """The transcripts `claude`."""

    agent = "main"

    def identify(self, path: Path) -> bool:
        """See `Transcript.identify`: a first line names a session in Claude Code's spelling."""
        for file in self.files(path)[:_LOOKED_AT_MAX]:
            for _, record in Lines(file, BEGINNING):
                return "sessionId" in record or record.get("type") in ("summary", "file-history-snapshot")
        return False

    def places(self) -> list[Path]:
        """See `Transcript.places`: the folders of CLAUDE_CONFIG_DIR, or `~/.config/claude` and `~/.claude`."""
        named = os.environ.get("CLAUDE_CONFIG_DIR", "")
        folders = [Path(part.strip()).expanduser() for part in named.split(",") if part.strip()]
        folders = folders or [Path.home() / ".config" / "claude", Path.home() / ".claude"]
        return [folder for folder in folders if (folder / "projects").is_dir()]

    def files(self, path: Path) -> list[Path]:
        """See `Transcript.files`; of a configuration folder only its `projects` hold transcripts."""
        return files_below(path / "projects" if (path / "projects").is_dir() else path)

    def read(self, path: Path, mark: Mark) -> Extract:
        """See `Transcript.read`."""
        found = Lines(path, mark, b'"usage"')
        responses, unknown = dict[str, _Response](), Unknown(path)
        begun, last_at = dict(mark.begun), None
        for number, record in found:
            session_id = record.get("sessionId")
            if isinstance(session_id, str) and session_id not in begun:
                begun[session_id] = _begun(record)
            last_at = record.get("timestamp", last_at)
            try:
                if not _take(responses, record, number) and _is_unknown(record):
                    unknown.add(number, f"a record of type {shown(record.get('type'))}")
            except (InvalidEvent, ValueError) as error:
                found.skipped.append(Skipped(path, number, f"a response that does not fit: {error}"))
        seen: list[Seen] = []
        for response in responses.values():
            try:
                seen += _calls(response, begun)
            except (InvalidEvent, ValueError) as error:
                found.skipped.append(Skipped(path, response.line, f"a response that does not fit: {error}"))
                continue
            if not seen[-1].first_at and response.at is not None:
                problem = f"its timestamp {shown(response.at)} is none, so it counts on the day of its import"
                found.skipped.append(Skipped(path, response.line, problem))
        mark = Mark(found.mark.offset, found.mark.lines, found.mark.ending, begun)
        return Extract(
            seen, found.skipped + unknown.skipped(), mark, moment(last_at), resumed=found.resumed, failed=found.failed
        )


def _take(responses: dict[str, _Response], record: dict[str, Any], line: int) -> bool:
    """Keep the response that a line shows at its largest; False when it shows none.

    What one file repeats of a response has the same moment or a later one.

    Raises:
        InvalidEvent, ValueError: its id or its output is not one.
    """
    kind, shown, agent = record.get("type"), record, record.get("agentId")
    if kind == "progress":
        data = record.get("data")
        inner = data.get("message") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(inner, dict) or inner.get("type") != "assistant":
            return False
        shown, agent = inner, data.get("agentId")
    elif kind != "assistant":
        return False
    body = shown.get("message")
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(usage, dict):
        return False
    model, output = body.get("model"), usage.get("output_tokens")
    if model == _SYNTHETIC and not any(usage_of(usage).values()):
        return True
    if not isinstance(output, int) or output < 0:
        usage_of(usage)
        output = 0
    id = check_name(body.get("id"))
    had = responses.get(id)
    if had is None:
        at = shown.get("timestamp", record.get("timestamp"))
        where = (record.get("sessionId"), record.get("gitBranch"))
        responses[id] = _Response(id, model, usage, output, line, at, agent, *where)
    elif output > had.output_tokens or (output == had.output_tokens and _is_larger(model, usage, had)):
        had.model, had.usage, had.output_tokens, had.line = model, usage, output, line
    return True


def _is_larger(model: object, usage: Mapping[str, Any], had: _Response) -> bool:
    """Whether a line with the same output shows more of a response; nearly every line repeats what was shown.

    Raises:
        InvalidEvent: a count is not one.
    """
    return model == had.model and usage != had.usage and measure(usage_of(usage)) > measure(usage_of(had.usage))


def _is_unknown(record: Mapping[str, Any]) -> bool:
    """Whether a line without a response looks as if a newer version had written one there."""
    kind, body = record.get("type"), record.get("message")
    if kind == "assistant" and isinstance(body, dict):
        return body.get("usage") is not None and not isinstance(body["usage"], dict)
    return kind not in _TOLD_ELSEWHERE and "sessionId" in record and tells_usage(record)


def _calls(response: _Response, begun: Mapping[str, Begun]) -> Iterator[Seen]:
    """The response itself, and the calls of other models that it hides.

    Raises:
        InvalidEvent, ValueError: a name or a count is not one.
    """
    usage, model = usage_of(response.usage), None if response.model is None else check_name(response.model)
    session_id = check_name(response.session_id)
    tier = name(response.usage.get("service_tier"))
    own = Seen(
        response.id,
        session_id,
        check_name(response.agent) if response.agent else None,
        model,
        usage,
        moment(response.at),
        None if not tier or tier in _STANDARD else tier,
        begun[session_id].project,
        name(response.branch),
        response.line,
    )
    yield own
    iterations = response.usage.get("iterations")
    for number, hidden in enumerate(iterations if isinstance(iterations, list) else ()):
        if isinstance(hidden, dict) and hidden.get("model") not in (None, model):
            yield own._replace(
                message_id=check_name(f"{own.message_id}#{number}"),
                model=check_name(hidden["model"]),
                usage=usage_of(hidden),
            )


def _begun(record: Mapping[str, Any]) -> Begun:
    return Begun(moment(record.get("timestamp")), name(record.get("cwd")))
