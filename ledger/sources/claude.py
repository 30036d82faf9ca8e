"""Claude Code's transcripts: `projects/<folder>/<session>.jsonl`, and sub-agents' files below or beside them.

Observed in 156 transcripts of public repositories, written by versions 1.0 to 2.1:

- one response spans several lines, one per content block, which repeat `message.id` and `usage`; only the last has the
  final output; `requestId` is the `request_id` of its telemetry;
- a resumed or forked session begins with a copy of the lines of the one before, under its own `sessionId` or the old;
  the copied lines keep their moments, so they are older than the file, or name their session (`forkedFrom`);
- a sub-agent's responses stand in a file of its own, on side-chain lines of its session's file, or inside `progress`
  lines there: the same ids, whichever; what `normalizedMessages` and `toolUseResult` tell is told elsewhere; its type
  stands in `agent-<id>.meta.json` beside its file, on newer lines, in the call of the agent tool (`subagent_type`), and
  in the tool's result, which names the agent (`agentId`, `agentType`);
- `usage.iterations[]` of another model are calls that the response's own usage leaves out;
- `cache_creation`, the split of cache writes by lifetime, may be missing, and may say more than the total;
- a web search of the client's own tool shows as `searchCount` in the tool's result, and in no response's usage.

Calls for titles, summaries (`/compact`) and web searches stand on no line, so what the lines add up to is a lower
bound. From 2.1.277 `cost-state` lines carry the client's own total of the session so far, those calls included; it goes
on over resumed processes and begins with the parent's in a fork. There is no end in a transcript: a session goes on
until another source ends it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.errors import InvalidInput, shown
from ledger.events import money
from ledger.events.fields import check_name
from ledger.providers.service_tiers import service_tier_of
from ledger.providers.usage import measure, usage_of
from ledger.sources.claude_totals import models_of
from ledger.sources.findings import Beginning, Skipped
from ledger.sources.transcript_reader import (
    BEGINNING,
    COPY,
    Extract,
    Mark,
    TranscriptLines,
    TranscriptMessage,
    WrittenTotal,
    branch_name,
    files_below,
    moment,
    name,
)
from ledger.sources.unknown_usage import Unknown, tells_usage

__all__ = ["ClaudeTranscripts"]

_SYNTHETIC: Final = "<synthetic>"
"""The model that Claude Code names in messages it made up itself, such as an interruption; they cost nothing."""

_TOLD_ELSEWHERE: Final = ("user", "progress", "summary", "system")
"""Kinds of lines that repeat or sum up what stands on others."""
_LOOKED_AT_MAX: Final = 3
_PERHAPS_COPY, _ORIGINAL = 1, 0
"""Of `Seen.copied`: a file has a response likely from another one, and no sign of it."""
_WANTED: Final = (b'"usage"', b'"cost-state"', b'"searchCount"', b'"api-request"', b'"last-prompt"')
_AGENT_TOOLS: Final = ("Agent", "Task")
"""What the tool that starts a sub-agent is called, by version."""
_ATTRIBUTION: Final = ("attributionAgent", "attributionSkill", "attributionPlugin")
_ALL_TOKENS: Final = ("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens")
_META_BYTES_MAX: Final = 64 * 1024


@dataclass(slots=True)
class _TranscriptResponse:
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
    request: object = None
    forked_from: object = None
    version: object = None
    attribution: Mapping[str, Any] = field(default_factory=dict)
    tools: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _TranscriptFile:
    """What a transcript's reader needs to know of its file, from the beginning on.

    Attributes:
        born: the moment of its first line, if that is one that is never copied; a copied line is older.
        asked, asked_by: the first moment at which it shows a request, and the version that made it; lines before it are
            copies if that version wrote them, else likely.
        opening: how many responses it had before its first prompt was noted; more than another file that has the same
            ones, if it copied them. None while no prompt was noted.
        forked: it has copies.
        model: of the latest response, which a web search is priced by.
    """

    born: str = ""
    asked: str = ""
    asked_by: str = ""
    opening: int | None = None
    forked: bool = False
    model: str = ""

    def copied(self, response: _TranscriptResponse) -> int:
        """Whether a response was copied into the file: certain, likely, or no sign of it."""
        at = response.at if isinstance(response.at, str) else ""
        if response.forked_from is not None or (at and at < self.born):
            return COPY
        if at and at < self.asked:
            return COPY if response.version == self.asked_by else _PERHAPS_COPY
        return _ORIGINAL


class ClaudeTranscripts:
    """The transcripts `claude`."""

    agent = "main"

    def identify(self, path: Path) -> bool:
        """See `Transcript.identify`: a first line names a session in Claude Code's spelling."""
        for file in self.files(path)[:_LOOKED_AT_MAX]:
            for _, record in TranscriptLines(file, BEGINNING):
                return "sessionId" in record or record.get("type") in ("summary", "file-history-snapshot")
        return False

    def places(self) -> list[Path]:
        """See `Transcript.places`: the folders of CLAUDE_CONFIG_DIR, or `~/.config/claude` and `~/.claude`."""
        return [folder.parent for folder in self.default_folders() if folder.is_dir()]

    def default_folders(self) -> list[Path]:
        """See `Transcript.default_folders`."""
        named = os.environ.get("CLAUDE_CONFIG_DIR", "")
        folders = [Path(part.strip()).expanduser() for part in named.split(",") if part.strip()]
        folders = folders or [Path.home() / ".config" / "claude", Path.home() / ".claude"]
        return [folder / "projects" for folder in folders]

    def files(self, path: Path) -> list[Path]:
        """See `Transcript.files`; of a configuration folder only its `projects` hold transcripts."""
        return files_below(path / "projects" if (path / "projects").is_dir() else path)

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
        seen = reading.seen(found.skipped)
        reading.file.forked |= any(each.copied == COPY for each in seen)
        state = asdict(reading.file)
        mark = Mark(found.mark.offset, found.mark.lines, found.mark.ending, reading.begun, state)
        return Extract(
            seen,
            found.skipped + reading.unknown.skipped(),
            mark,
            moment(reading.last_at),
            resumed=found.resumed,
            failed=found.failed,
            totals=reading.totals,
            opening=reading.file.opening,
            forked=reading.file.forked,
            agents=reading.agents,
        )


class _Reading:
    """What the lines of one file have shown, from a mark on."""

    def __init__(self, path: Path, mark: Mark) -> None:
        self.path, self.resumed = path, mark.offset > 0
        self.begun, self.last_at = dict(mark.begun), ""
        self.file = _TranscriptFile(**mark.state)
        self.unknown = Unknown(path)
        self.totals: list[WrittenTotal] = []
        self.agents: dict[str, str] = {}
        self._tasks: dict[str, str] = {}
        self._responses: dict[str, _TranscriptResponse] = {}
        self._searches: list[TranscriptMessage] = []

    def take(self, record: Mapping[str, Any], number: int) -> None:
        """Take a record in.

        Raises:
            InvalidInput, ValueError: what it says of a response or a total is not one.
        """
        session_id, at, kind = record.get("sessionId"), record.get("timestamp"), record.get("type")
        if isinstance(session_id, str):
            self._begin(session_id, record)
        if isinstance(at, str):
            if not self.last_at and not self.resumed and "uuid" not in record:
                self.file.born = at  # of a line that is never copied: those of the talk have a `uuid`
            self.last_at = at
        if kind == "cost-state":
            self.totals.append(_written(record, number, moment(self.last_at)))
        elif kind == "api-request":
            if not self.file.asked:
                self.file.asked, self.file.asked_by = self.last_at, name(record.get("version"))
        elif kind == "last-prompt":
            self.file.opening = len(self._responses) if self.file.opening is None else self.file.opening
        else:
            if not _take(self._responses, record, number, self.file) and _is_unknown(record):
                self.unknown.add(number, f"a record of type {shown(kind)}")
            self._searches += _searches(record, self._responses, self.file, self.begun, number)
            self._take_agents(record)

    def _begin(self, session_id: str, record: Mapping[str, Any]) -> None:
        """Note when a session began, and where: newer versions begin a file with lines that name no folder."""
        had = self.begun.get(session_id)
        if had is None:
            self.begun[session_id] = _begun(record)
        elif not had.project and "cwd" in record:
            found = _begun(record)
            self.begun[session_id] = found._replace(at=had.at or ("" if self.resumed else found.at))

    def _take_agents(self, record: Mapping[str, Any]) -> None:
        """Note which kind of agent a call of the agent tool asks for, and the id of the agent that answered it."""
        blocks = _blocks(record)
        for block in blocks:
            given = block.get("input")
            if block.get("name") in _AGENT_TOOLS and isinstance(given, dict):
                self._tasks[name(block.get("id"))] = _kind_of_agent(given.get("subagent_type"))
        of_tool, data = record.get("toolUseResult"), record.get("data")
        if isinstance(of_tool, dict) and "agentId" in of_tool:
            asked = next((name(block["tool_use_id"]) for block in blocks if "tool_use_id" in block), "")
            kind = _kind_of_agent(of_tool.get("agentType")) or self._tasks.get(asked)
            self._name_agent(of_tool["agentId"], kind)
        elif isinstance(data, dict) and "agentId" in data:
            self._name_agent(data["agentId"], self._tasks.get(name(record.get("parentToolUseID"))))

    def _name_agent(self, id: object, kind: str | None) -> None:
        if kind and name(id):
            self.agents[name(id)] = kind

    def seen(self, skipped: list[Skipped]) -> list[TranscriptMessage]:
        """The responses, those that a web search made among them; what does not fit is skipped."""
        seen: list[TranscriptMessage] = []
        subagent = _type_of(self.path)
        for response in self._responses.values():
            try:
                seen += _calls(response, self.begun, self.file, subagent)
            except (InvalidInput, ValueError) as error:
                skipped.append(Skipped(self.path, response.line, f"a response that does not fit: {error}"))
                continue
            if not seen[-1].first_at and response.at is not None:
                problem = f"its timestamp {shown(response.at)} is none, so it counts on the day of its import"
                skipped.append(Skipped(self.path, response.line, problem))
        return seen + self._searches


def _type_of(path: Path) -> str:
    """The type of the sub-agent whose file this is, by the file beside it; "" when there is none."""
    if not path.name.startswith("agent-"):
        return ""
    try:
        raw = path.with_name(f"{path.name.split('.')[0]}.meta.json").read_bytes()[:_META_BYTES_MAX]
        meta = orjson.loads(raw)
    except (OSError, orjson.JSONDecodeError):
        return ""
    return _kind_of_agent(meta.get("agentType")) if isinstance(meta, dict) else ""


def _blocks(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parts of what a line says that are objects."""
    body = record.get("message")
    content = body.get("content") if isinstance(body, dict) else None
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _kind_of_agent(value: object) -> str:
    """A kind of agent, as a person would name it; "" for what is none."""
    kind = name(value)
    return kind if any(map(str.isalnum, kind)) else ""


def _written(record: Mapping[str, Any], line: int, at: str) -> WrittenTotal:
    """The client's own total of its session so far.

    Raises:
        InvalidInput, ValueError: it is none.
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


def _searches(
    record: Mapping[str, Any],
    responses: Mapping[str, _TranscriptResponse],
    file: _TranscriptFile,
    begun: Mapping[str, Beginning],
    line: int,
) -> Iterator[TranscriptMessage]:
    """The web searches of the client's own tool, which the result of the tool counts and no response does."""
    given, body = record.get("toolUseResult"), record.get("message")
    count = given.get("searchCount") if isinstance(given, dict) and "query" in given else None
    if not isinstance(count, int) or isinstance(count, bool) or count <= 0 or not isinstance(body, dict):
        return
    content = body.get("content")
    for block in content if isinstance(content, list) else ():
        tool = name(block.get("tool_use_id")) if isinstance(block, dict) else ""
        issuing = next((each for each in responses.values() if tool in each.tools), None)
        if not tool or (issuing is not None and usage_of(issuing.usage).get("web_search_requests")):
            continue
        model = name(issuing.model) if issuing is not None else file.model
        session_id = check_name(record.get("sessionId"))
        yield TranscriptMessage(
            tool,
            session_id,
            None,
            model or None,
            {"web_search_requests": count},
            moment(record.get("timestamp")),
            None,
            begun[session_id].project,
            name(record.get("gitBranch")),
            line,
            copied=COPY if record.get("forkedFrom") is not None else _ORIGINAL,
            partial=True,
        )
        return


def _take(
    responses: dict[str, _TranscriptResponse], record: Mapping[str, Any], line: int, file: _TranscriptFile
) -> bool:
    """Keep the response that a line shows at its largest; False when it shows none.

    What one file repeats of a response has the same moment or a later one.

    Raises:
        InvalidInput, ValueError: its id or its output is not one.
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
        had = responses[id] = _TranscriptResponse(id, model, usage, output, line, at, agent, *where)
        had.request, had.forked_from = shown.get("requestId", record.get("requestId")), record.get("forkedFrom")
        had.version = record.get("version")
        had.attribution = {key: record[key] for key in _ATTRIBUTION if key in record}
    elif output > had.output_tokens or (output == had.output_tokens and _is_larger(model, usage, had)):
        had.model, had.usage, had.output_tokens, had.line = model, usage, output, line
    file.model = name(model) or file.model
    content = body.get("content")
    if isinstance(content, list):
        had.tools |= {block["id"] for block in content if isinstance(block, dict) and _is_search(block)}
    return True


def _is_search(block: Mapping[str, Any]) -> bool:
    return block.get("type") == "tool_use" and block.get("name") == "WebSearch" and isinstance(block.get("id"), str)


def _is_larger(model: object, usage: Mapping[str, Any], had: _TranscriptResponse) -> bool:
    """Whether a line with the same output shows more of a response; nearly every line repeats what was shown.

    Raises:
        InvalidInput: a count is not one.
    """
    return model == had.model and usage != had.usage and measure(usage_of(usage)) > measure(usage_of(had.usage))


def _is_unknown(record: Mapping[str, Any]) -> bool:
    """Whether a line without a response looks as if a newer version had written one there."""
    kind, body = record.get("type"), record.get("message")
    if kind == "assistant" and isinstance(body, dict):
        return body.get("usage") is not None and not isinstance(body["usage"], dict)
    return kind not in _TOLD_ELSEWHERE and "sessionId" in record and tells_usage(record)


def _calls(
    response: _TranscriptResponse, begun: Mapping[str, Beginning], file: _TranscriptFile, subagent: str
) -> Iterator[TranscriptMessage]:
    """The response itself, and the calls of other models that it hides.

    Raises:
        InvalidInput, ValueError: a name or a count is not one.
    """
    usage, model = usage_of(response.usage), None if response.model is None else check_name(response.model)
    session_id, request = check_name(response.session_id), name(response.request)
    marks = response.attribution
    if response.agent:
        subagent = subagent or name(marks.get("attributionAgent")) or check_name(response.agent)
    parent = response.forked_from.get("sessionId") if isinstance(response.forked_from, dict) else None
    own = TranscriptMessage(
        response.id,
        session_id,
        None,
        model,
        usage,
        moment(response.at),
        service_tier_of(name(response.usage.get("service_tier"))),
        begun[session_id].project,
        name(response.branch),
        response.line,
        (request,) if request else (),
        subagent or None,
        name(marks.get("attributionSkill")) or None,
        name(marks.get("attributionPlugin")) or None,
        file.copied(response),
        name(parent),
        partial=True,
    )
    yield own
    iterations = response.usage.get("iterations")
    for number, hidden in enumerate(iterations if isinstance(iterations, list) else ()):
        if isinstance(hidden, dict) and hidden.get("model") not in (None, model):
            yield own._replace(
                message_id=check_name(f"{own.message_id}#{number}"),
                model=check_name(hidden["model"]),
                usage=usage_of(hidden),
                names=tuple(check_name(f"{each}#{number}") for each in own.names),
            )


def _begun(record: Mapping[str, Any]) -> Beginning:
    return Beginning(moment(record.get("timestamp")), name(record.get("cwd")), branch_name(record.get("gitBranch")))
