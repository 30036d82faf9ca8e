"""Claude Code's transcripts: `projects/<folder>/<session>.jsonl`, and sub-agents' files below or next to them.

Observed in 156 transcripts of public repositories, written by versions 1.0 to 2.1:

- one response spans several lines, one per content block, which repeat `message.id` and `usage`; only the last has the
  final output; `requestId` is the `request_id` of its telemetry;
- a resumed or forked session begins with a copy of the lines of the one before, under its own `sessionId` or the old;
  the copied lines keep their moments, so they are older than the file, or name their session (`forkedFrom`);
- a sub-agent's responses are in a file of its own, on side-chain lines of its session's file, or inside `progress`
  lines there, with the same ids; `normalizedMessages` and `toolUseResult` only repeat them; its type is in
  `agent-<id>.meta.json` next to its file, on newer lines, in the call of the agent tool (`subagent_type`), and in the
  tool's result, which names the agent (`agentId`, `agentType`); that of an agent in the background (`async_launched`)
  has no type and no usage, only the id of the call;
- `usage.iterations[]` of another model are calls that the response's own usage leaves out;
- `cache_creation`, the split of cache writes by lifetime, may be missing, and may exceed the total;
- a web search of the client's own tool shows as `searchCount` in the tool's result, and in no response's usage.

Calls for titles, summaries (`/compact`) and web searches are on no line, so the sum of the lines is a lower bound. From
2.1.277 `cost-state` lines carry the client's own total of the session so far, those calls included; it continues over
resumed processes and begins with the parent's in a fork. A transcript has no end: a session is open until another
source ends it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.errors import InvalidInput, shown
from ledger.events import money
from ledger.events.fields import check_name
from ledger.sources.claude_responses import ClaudeFile, ClaudeResponse, messages_of, searches_of, take_response
from ledger.sources.claude_totals import models_of
from ledger.sources.findings import Beginning, Skipped
from ledger.sources.formats.folders import is_folder, may_exist
from ledger.sources.names import branch_name, moment, name
from ledger.sources.transcript import BEGINNING, COPY, Extract, Mark, TranscriptMessage, WrittenTotal
from ledger.sources.transcript_reader import TranscriptLines, files_below
from ledger.sources.unknown_usage import UnknownUsage, has_usage

__all__ = ["ClaudeTranscripts"]

_REPEATING_TYPES: Final = ("user", "progress", "summary", "system")
"""Types of lines that repeat or sum up others."""
_OWN_TYPES: Final = ("summary", "file-history-snapshot", "custom-title", "ai-title")
"""Types of lines that need not name a session."""
_IDENTIFIED_FILES_MAX: Final = 3
_WANTED: Final = (
    b'"usage"',
    b'"cost-state"',
    b'"searchCount"',
    b'"api-request"',
    b'"last-prompt"',
    b'"async_launched"',
)
_AGENT_TOOLS: Final = ("Agent", "Task")
"""What the tool that starts a sub-agent is called, by version."""
_ALL_TOKENS: Final = ("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens")
_META_BYTES_MAX: Final = 64 * 1024


class ClaudeTranscripts:
    """The transcripts `claude`."""

    agent = "main"

    def __init__(self, kind: str = "claude") -> None:
        self.kind = kind

    def identify(self, path: Path) -> bool:
        """See `Transcript.identify`: a first line names a session in Claude Code's spelling."""
        for file in self.files(path)[:_IDENTIFIED_FILES_MAX]:
            for _, record in TranscriptLines(file, BEGINNING):
                return "sessionId" in record or record.get("type") in ("summary", "file-history-snapshot")
        return False

    def existing_folders(self) -> list[Path]:
        """See `Transcript.existing_folders`: those of CLAUDE_CONFIG_DIR, or `~/.config/claude` and `~/.claude`."""
        return [folder.parent for folder in self.default_folders() if may_exist(folder)]

    def default_folders(self) -> list[Path]:
        """See `Transcript.default_folders`."""
        named = os.environ.get("CLAUDE_CONFIG_DIR", "")
        folders = [Path(part.strip()).expanduser() for part in named.split(",") if part.strip()]
        folders = folders or [Path.home() / ".config" / "claude", Path.home() / ".claude"]
        return [folder / "projects" for folder in folders]

    def files(self, path: Path, skipped: list[Skipped] | None = None) -> list[Path]:
        """See `Transcript.files`; of a configuration folder only its `projects` contains transcripts."""
        return files_below(path / "projects" if is_folder(path / "projects") else path, skipped=skipped)

    def read(self, path: Path, mark: Mark) -> Extract:
        """See `Transcript.read`."""
        found = TranscriptLines(path, mark, *_WANTED)
        reading = _Reading(path, mark)
        for number, record in found:
            if not found.resumed and reading.resumed:
                reading = _Reading(path, BEGINNING)  # the file was rewritten
            try:
                reading.take(record, number)
            except (InvalidInput, ValueError) as error:
                what = "a cost-state" if record.get("type") == "cost-state" else "a response"
                found.skipped.append(Skipped(path, number, f"{what} that does not fit: {error}"))
        messages = reading.messages(found.skipped)
        reading.file.forked |= any(message.copied == COPY for message in messages)
        state = asdict(reading.file)
        mark = Mark(found.mark.offset, found.mark.lines, found.mark.ending, reading.beginnings, state)
        counting = [message for message in messages if not _is_before_a_prompt(path, message.session_id)]
        return Extract(
            counting,
            found.skipped + reading.unknown.skipped(),
            mark,
            moment(reading.last_at),
            resumed=found.resumed,
            failed=found.failed or len(counting) < len(messages),
            totals=reading.totals,
            opening=reading.file.opening,
            forked=reading.file.forked,
            agents=reading.agents,
            foreign=reading.is_foreign,
        )


class _Reading:
    """The content of one file, from a mark on."""

    def __init__(self, path: Path, mark: Mark) -> None:
        self.path, self.resumed = path, mark.offset > 0
        self.beginnings, self.last_at = dict(mark.beginnings), ""
        self.file = ClaudeFile(**mark.state)
        self.unknown = UnknownUsage(path)
        self.totals: list[WrittenTotal] = []
        self.agents: dict[str, str] = {}
        self._tasks: dict[str, str] = {}
        self._responses: dict[str, ClaudeResponse] = {}
        self._searches: list[TranscriptMessage] = []
        self._taken = self._own = False

    @property
    def is_foreign(self) -> bool:
        """Whether the file has lines, and none is Claude Code's; of a resumed one the lines before the mark decided."""
        return self._taken and not self._own and not self.resumed

    def take(self, record: Mapping[str, Any], number: int) -> None:
        """Take a record in.

        Raises:
            InvalidInput, ValueError: its response or its total is invalid.
        """
        session_id, at, kind = record.get("sessionId"), record.get("timestamp"), record.get("type")
        self._taken, self._own = True, self._own or "sessionId" in record or "agentId" in record or kind in _OWN_TYPES
        if isinstance(session_id, str):
            had = self.beginnings.get(session_id)
            if had is None or (not had.project and "cwd" in record):
                self._begin(session_id, had, record)
        if isinstance(at, str):
            if not self.last_at and not self.resumed and "uuid" not in record:
                self.file.born = at  # of a line that is never copied: those of the conversation have a `uuid`
            self.last_at = at
        if kind == "cost-state":
            self.totals.append(_written(record, number, moment(self.last_at)))
        elif kind == "api-request":
            if not self.file.asked:
                self.file.asked, self.file.asked_by = self.last_at, name(record.get("version"))
        elif kind == "last-prompt":
            self.file.opening = len(self._responses) if self.file.opening is None else self.file.opening
        else:
            if not take_response(self._responses, record, number, self.file) and _is_unknown(record):
                self.unknown.add(number, f"a record of type {shown(kind)}")
            self._take_tools(record, number)

    def _begin(self, session_id: str, had: Beginning | None, record: Mapping[str, Any]) -> None:
        """Note when a session began, and where: newer versions begin a file with lines that name no folder."""
        found = _beginning(record)
        if had is not None:
            found = found._replace(at=had.at or ("" if self.resumed else found.at))
        self.beginnings[session_id] = found

    def _take_tools(self, record: Mapping[str, Any], number: int) -> None:
        """Take in what a line shows of tools: calls of the agent tool, and what tools returned."""
        blocks = _blocks(record)
        for block in blocks:
            if isinstance(block, dict) and block.get("name") in _AGENT_TOOLS:
                self._take_task(block)
        if "toolUseResult" in record or "data" in record:
            self._searches += searches_of(record, self._responses, self.file, self.beginnings, number)
            self._take_answer(record, blocks)

    def _take_task(self, call: Mapping[str, Any]) -> None:
        """Note which kind of agent a call of the agent tool asks for."""
        given = call.get("input")
        if isinstance(given, dict):
            self._tasks[name(call.get("id"))] = _kind_of_agent(given.get("subagent_type"))

    def _take_answer(self, record: Mapping[str, Any], blocks: list[Any]) -> None:
        """Note the id of the agent that answered a call."""
        of_tool, data = record.get("toolUseResult"), record.get("data")
        if isinstance(of_tool, dict) and "agentId" in of_tool:
            asked = (name(each["tool_use_id"]) for each in blocks if isinstance(each, dict) and "tool_use_id" in each)
            kind = _kind_of_agent(of_tool.get("agentType")) or self._tasks.get(next(asked, ""))
            self._name_agent(of_tool["agentId"], kind)
        elif isinstance(data, dict) and "agentId" in data:
            self._name_agent(data["agentId"], self._tasks.get(name(record.get("parentToolUseID"))))

    def _name_agent(self, id: object, kind: str | None) -> None:
        if kind and name(id):
            self.agents[name(id)] = kind

    def messages(self, skipped: list[Skipped]) -> list[TranscriptMessage]:
        """Return the responses, including those of web searches; an invalid one is skipped."""
        messages: list[TranscriptMessage] = []
        subagent = _type_of(self.path)
        for response in self._responses.values():
            try:
                messages += messages_of(response, self.beginnings, self.file, subagent)
            except (InvalidInput, ValueError) as error:
                skipped.append(Skipped(self.path, response.line, f"a response that does not fit: {error}"))
                continue
            if not messages[-1].first_at and response.at is not None:
                problem = f"its timestamp {shown(response.at)} is none, so it counts on the day of its import"
                skipped.append(Skipped(self.path, response.line, problem))
        return messages + self._searches


def _is_before_a_prompt(path: Path, session_id: str) -> bool:
    """Whether a sub-agent's file names a session that had no prompt yet: the session's own file, next to it, is empty.

    A resumed process of an older version (2.0.76) starts sub-agents under a session id of its own, until it has read
    the session that it resumes, and counts them there.
    """
    if not path.name.startswith("agent-"):
        return False
    try:
        return path.with_name(f"{session_id}.jsonl").stat().st_size == 0
    except (OSError, ValueError):
        return False


def _type_of(path: Path) -> str:
    """The type of the sub-agent whose file this is, by the file next to it; "" when there is none."""
    if not path.name.startswith("agent-"):
        return ""
    try:
        raw = path.with_name(f"{path.name.split('.')[0]}.meta.json").read_bytes()[:_META_BYTES_MAX]
        meta = orjson.loads(raw)
    except (OSError, orjson.JSONDecodeError):
        return ""
    return _kind_of_agent(meta.get("agentType")) if isinstance(meta, dict) else ""


def _blocks(record: Mapping[str, Any]) -> list[Any]:
    """The content blocks of a line."""
    body = record.get("message")
    content = body.get("content") if isinstance(body, dict) else None
    return content if isinstance(content, list) else []


def _kind_of_agent(value: object) -> str:
    """A kind of agent, as a person would name it; "" for anything else."""
    kind = name(value)
    return kind if any(map(str.isalnum, kind)) else ""


def _written(record: Mapping[str, Any], line: int, at: str) -> WrittenTotal:
    """The client's own total of its session so far.

    Raises:
        InvalidInput, ValueError: it is invalid.
    """
    models = models_of(record.get("modelUsage"))
    tokens = sum(_tokens(usage) for _, usage in models.values())
    by_model = tuple((model, cost, usage) for model, (cost, usage) in models.items())
    session_id = check_name(record.get("sessionId"))
    nanousd = money.parse(record.get("totalCostUSD"), most_nanousd=money.READING_NANOUSD_MAX)
    return WrittenTotal(
        session_id, line, nanousd, tokens, by_model, at, partial=record.get("hasUnknownModelCost") is True
    )


def _tokens(usage: Mapping[str, int]) -> int:
    return sum(usage.get(bucket, 0) for bucket in _ALL_TOKENS)


def _is_unknown(record: Mapping[str, Any]) -> bool:
    """Whether a line without a response looks like one that a newer version wrote in another format."""
    kind, body = record.get("type"), record.get("message")
    if kind == "assistant" and isinstance(body, dict):
        return body.get("usage") is not None and not isinstance(body["usage"], dict)
    return kind not in _REPEATING_TYPES and "sessionId" in record and has_usage(record)


def _beginning(record: Mapping[str, Any]) -> Beginning:
    return Beginning(moment(record.get("timestamp")), name(record.get("cwd")), branch_name(record.get("gitBranch")))
