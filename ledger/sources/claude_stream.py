"""Claude Code's stream-json log (`claude -p --output-format stream-json`), one process or several in one file.

Observed in 281 logs of public repositories, and at https://docs.anthropic.com/en/docs/claude-code/sdk:

- one `assistant` line per content block repeats `message.id` and `usage`; its output tokens are incomplete;
- `result` lines carry `total_cost_usd` and `modelUsage`, both cumulative within a process; their `usage` is of one
  invocation only and is not read; an `is_error` result costs real money;
- a process is known by the `uuid` of its first `init` line for a session;
- nothing carries a time; the file's modification time is what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from ledger import money
from ledger.errors import InvalidInput, SourceUnreadable, shown
from ledger.events import check_name, check_workflow_id
from ledger.sources.findings import (
    Findings,
    Message,
    Options,
    Part,
    Place,
    Session,
    Skipped,
    Total,
    date,
    file_time,
    spelled,
)
from ledger.sources.jsonl import records
from ledger.sources.unknown import Unknown, tells_usage
from ledger.usage import usage_of

__all__ = ["ClaudeStream", "read_log"]

KIND: Final = "claude_stream"

_SYNTHETIC: Final = "<synthetic>"
"""The model that Claude Code names in messages it made up itself, such as an interruption; they cost nothing."""

_KNOWN: Final = ("system", "user", "assistant", "result", "stream_event")
"""Kinds of records; what the pieces of a stream tell of their usage, the whole message tells again."""

_Name = Annotated[str, AfterValidator(check_name)]


class _Init(BaseModel):
    session_id: _Name
    uuid: _Name | None = None


class _Response(BaseModel):
    id: _Name
    model: _Name | None = None
    usage: dict[str, Any]


class _Assistant(BaseModel):
    session_id: _Name
    message: _Response


class _ModelUsage(BaseModel):
    cost_usd: Any = Field(alias="costUSD")
    input_tokens: Any = Field(default=0, alias="inputTokens")
    output_tokens: Any = Field(default=0, alias="outputTokens")
    cache_read_input_tokens: Any = Field(default=0, alias="cacheReadInputTokens")
    cache_creation_input_tokens: Any = Field(default=0, alias="cacheCreationInputTokens")
    web_search_requests: Any = Field(default=0, alias="webSearchRequests")

    def usage(self) -> dict[str, int]:
        counts = self.model_dump(exclude={"cost_usd", "web_search_requests"})
        return usage_of(counts | {"server_tool_use": {"web_search_requests": self.web_search_requests}})


class _Result(BaseModel):
    session_id: _Name
    total_cost_usd: Any
    model_usage: dict[_Name, _ModelUsage] = Field(default={}, alias="modelUsage")
    uuid: _Name | None = None


class ClaudeStream:
    """The source `claude-stream`: one log file."""

    def identify(self, path: Path) -> bool:
        """See `Source.identify`: among the first records is one of stream-json's."""
        if not path.is_file():
            return False
        for number, found in enumerate(records(path)):
            if not isinstance(found, Skipped) and found[1].get("type") in ("system", "assistant", "result"):
                return "session_id" in found[1]
            if number >= 20:
                break
        return False

    def parts(self, path: Path, options: Options) -> list[Part]:
        """See `Source.parts`: the one file."""
        workflow_id = options.workflow_id or _workflow_of(path)
        if workflow_id is None:
            raise InvalidInput(f"{path} does not say which workflow it belongs to; name it with --workflow-id")
        try:
            found = path.stat()
        except OSError as error:
            raise SourceUnreadable(path, f"cannot be read: {error.strerror or error}") from error
        if not path.is_file():
            raise SourceUnreadable(path, "is not a file; for a tree of agents' folders use `import adw`")
        agent = options.agent

        def read() -> Findings:
            findings = Findings()
            read_log(path, agent, findings)
            return findings

        return [Part(check_workflow_id(workflow_id), found.st_size, read, found.st_mtime)]


def _workflow_of(path: Path) -> str | None:
    """The workflow of a log in `agents/<workflow_id>/<agent>/…`."""
    parts = path.absolute().parts
    at = max((index for index, part in enumerate(parts[:-2]) if part == "agents"), default=None)
    return None if at is None else parts[at + 1]


def read_log(path: Path, agent: str | None, findings: Findings) -> None:
    """Add the sessions of one log, and what had to be skipped, to the findings."""
    sessions: dict[str, Session] = {}
    file = spelled(path)
    empty, unknown = True, Unknown(path)
    for found in records(path):
        empty = False
        if isinstance(found, Skipped):
            findings.skipped.append(found)
            continue
        line, record = found
        try:
            if record.get("type") not in _KNOWN and tells_usage(record):
                unknown.add(line, f"a record of type {shown(record.get('type'))}")
            _take(sessions, record, agent, Place(file, line))
        except (ValidationError, InvalidInput) as error:
            findings.skipped.append(Skipped(path, line, _reason(error, record)))
    if empty:
        findings.skipped.append(Skipped(path, None, "is empty"))
    findings.skipped += unknown.skipped()
    written = file_time(path)
    for session in sessions.values():
        date(session, lambda _: written)
    findings.sessions += sessions.values()


def _take(sessions: dict[str, Session], record: dict[str, Any], agent: str | None, place: Place) -> None:
    kind = record.get("type")
    if kind == "system" and record.get("subtype") == "init":
        init = _Init.model_validate(record)
        session = _session(sessions, init.session_id, agent)
        session.process = session.process or init.uuid or ""
    elif kind == "assistant":
        assistant = _Assistant.model_validate(record)
        message = assistant.message
        usage = usage_of(message.usage)
        if message.model == _SYNTHETIC and not any(usage.values()):
            return
        _add(_session(sessions, assistant.session_id, agent), Message(message.id, message.model, usage, place))
    elif kind == "result":
        result = _Result.model_validate(record)
        money.parse(result.total_cost_usd)
        models = tuple((model, used.cost_usd, used.usage()) for model, used in sorted(result.model_usage.items()))
        for _, cost, _ in models:
            money.parse(cost)
        session = _session(sessions, result.session_id, agent)
        session.totals.append(Total(result.total_cost_usd, models, result.uuid or "", place))
        session.after_total.clear()


def _session(sessions: dict[str, Session], session_id: str, agent: str | None) -> Session:
    if session_id not in sessions:
        sessions[session_id] = Session(KIND, session_id, "", agent)
    return sessions[session_id]


def _add(session: Session, message: Message) -> None:
    """Keep the largest of a message's repetitions; only the last one shows its final output."""
    known = session.messages.get(message.message_id)
    if known is None:
        session.after_total.append(message.message_id)
    if known is None or _size(message.usage) > _size(known.usage):
        session.messages[message.message_id] = message


def _size(usage: Mapping[str, int]) -> tuple[int, int]:
    return usage.get("output_tokens", 0), sum(usage.values())


def _reason(error: ValidationError | InvalidInput, record: Mapping[str, Any]) -> str:
    if isinstance(error, InvalidInput):
        return f"a {record.get('type')} record that does not fit: {error}"
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"a {record.get('type')} record that does not fit: {where}: {first['msg']}"[:300]
