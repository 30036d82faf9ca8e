"""Claude Code's stream-json log (`claude -p --output-format stream-json`), one process or several in one file.

Observed in 281 logs of public repositories, in logs of real clients against an API whose answers are known, and at
https://docs.anthropic.com/en/docs/claude-code/sdk:

- one `assistant` line per content block repeats `message.id` and `usage`; its output tokens are incomplete, those of a
  `message_delta` (`--include-partial-messages`) are not;
- `result` lines carry totals; `claude_totals` computes from them what a process itself cost; an `is_error` result costs
  real money;
- a process is identified by the `uuid` of its first `init` line for a session;
- a sub-agent's lines name the call that started it (`parent_tool_use_id`), and in newer versions its type;
- `--output-format json --verbose` writes the same records as one array, `--output-format json` the result alone;
- a program may write the messages of the Claude Agent SDK itself; see `sdk_messages`;
- totals carry no time; the file's modification time is the only one.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from ledger.errors import InvalidInput, SourceUnreadable, reason, shown
from ledger.events import money
from ledger.events.fields import check_name
from ledger.events.workflow_ids import check_workflow_id
from ledger.providers.usage import usage_of
from ledger.sources.claude_totals import ResultLine, models_of, own_total, version_of
from ledger.sources.findings import (
    Findings,
    Location,
    Message,
    Options,
    Part,
    Session,
    Skipped,
    date,
    file_time,
    spelled,
)
from ledger.sources.names import name, name_id
from ledger.sources.sdk_messages import stream_records
from ledger.sources.unknown_usage import UnknownUsage, has_usage

__all__ = ["ClaudeStream", "read_log"]

KIND: Final = "claude_stream"

_SYNTHETIC: Final = "<synthetic>"
"""The model that Claude Code names in messages that it creates itself, such as an interruption; they cost nothing."""

_READ_TYPES: Final = ("system", "user", "assistant", "result", "stream_event")
"""Types of records that are read, or repeat what others contain."""

_STATE_FILE: Final = "adw_state.json"

_Name = Annotated[str, AfterValidator(check_name)]


class _Init(BaseModel):
    session_id: _Name
    uuid: _Name | None = None
    claude_code_version: Any = None


class _StreamResponse(BaseModel):
    id: _Name
    model: _Name | None = None
    usage: dict[str, Any]
    stop_reason: Any = None


class _Assistant(BaseModel):
    session_id: _Name
    message: _StreamResponse
    parent_tool_use_id: Any = None
    request_id: Any = None
    subagent_type: Any = None


class _Result(BaseModel):
    session_id: _Name
    total_cost_usd: Any
    model_usage: dict[str, Any] = Field(default={}, alias="modelUsage")
    since: dict[str, Any] | None = Field(default=None, alias="model_usage_since_last_result")
    usage: dict[str, Any] = {}
    uuid: _Name | None = None
    result_index: Any = None


@dataclass(slots=True)
class _Process:
    """One process in one session, while its log is read.

    Attributes:
        results: by their own id, so that a repeated one counts once.
        last: the message that each chain of calls ended with; a chain is the main loop or one sub-agent.
        streamed: the message that each chain is being sent.
    """

    session: Session
    version: tuple[int, ...] | None = None
    results: dict[object, ResultLine] = field(default_factory=dict)
    last: dict[object, str] = field(default_factory=dict)
    streamed: dict[object, str] = field(default_factory=dict)
    main_models: Tally[str] = field(default_factory=Tally)

    def finish(self) -> Session:
        """Return the session with the total of the process."""
        session = self.session
        main = next((model for model, _ in self.main_models.most_common(1)), None)
        used = [message.usage for message in session.messages.values()]
        session.own = own_total(list(self.results.values()), self.version, used, main)
        session.cut |= set(self.last.values())
        return session


class ClaudeStream:
    """The source `claude-stream`: one log file."""

    def identify(self, path: Path) -> bool:
        """See `Source.identify`: among the first records is one of stream-json's."""
        if not path.is_file():
            return False
        for number, found in enumerate(stream_records(path)):
            if not isinstance(found, Skipped) and found[1].get("type") in ("system", "assistant", "result"):
                return "session_id" in found[1]
            if number >= 20:
                break
        return False

    def parts(self, path: Path, options: Options) -> list[Part]:
        """See `Source.parts`: the one file."""
        try:
            found = path.stat()
        except OSError as error:
            raise SourceUnreadable(path, f"cannot be read: {reason(error)}") from error
        if not path.is_file():
            raise SourceUnreadable(path, "is not a file; for a tree of agents' folders use `import adw`")
        workflow_id, agent = options.workflow_id or _workflow_of(path), options.agent

        def read() -> Findings:
            """Read the log."""
            findings = Findings()
            read_log(path, agent, findings)
            return findings

        if workflow_id is not None:
            return [Part(check_workflow_id(workflow_id), found.st_size, read, found.st_mtime)]
        return _by_session(path, read(), found.st_size, found.st_mtime)


def _by_session(path: Path, findings: Findings, size: int, written_at: float) -> list[Part]:
    """One part for each session of a log that names no workflow: the session is the workflow.

    Raises:
        InvalidInput: the log names no session.
    """
    by_workflow: dict[str, Findings] = {}
    for session in findings.sessions:
        by_workflow.setdefault(name_id(session.session_id), Findings()).sessions.append(session)
    if not by_workflow:
        raise InvalidInput(f"{path} names no session; name the workflow it belongs to with --workflow-id")
    next(iter(by_workflow.values())).skipped += findings.skipped
    sizes = [size] + [0] * len(by_workflow)
    return [
        Part(workflow_id, sizes[at], lambda found=found: found, written_at)  # type: ignore[misc]
        for at, (workflow_id, found) in enumerate(by_workflow.items())
    ]


def _workflow_of(path: Path) -> str | None:
    """The workflow of a log in a tree `agents/<workflow_id>/…`, if the log's name or a state file shows that."""
    parts = path.absolute().parts
    at = max((index for index, part in enumerate(parts[:-2]) if part == "agents"), default=None)
    if at is None:
        return None
    has_state = Path(*parts[: at + 2], _STATE_FILE).is_file()
    return parts[at + 1] if has_state or path.name.endswith("output.jsonl") else None


def read_log(path: Path, agent: str | None, findings: Findings) -> None:
    """Add the sessions of one log, and what had to be skipped, to the findings."""
    processes: dict[str, _Process] = {}
    file = spelled(path)
    empty, unknown = True, UnknownUsage(path)
    for found in stream_records(path):
        empty = False
        if isinstance(found, Skipped):
            findings.skipped.append(found)
            continue
        line, record = found
        try:
            if record.get("type") not in _READ_TYPES and has_usage(record):
                unknown.add(line, f"a record of type {shown(record.get('type'))}")
            _take(processes, record, agent, Location(file, line))
        except (ValidationError, InvalidInput) as error:
            findings.skipped.append(Skipped(path, line, _reason(error, record)))
    if empty:
        findings.skipped.append(Skipped(path, None, "is empty"))
    findings.skipped += unknown.skipped()
    written = file_time(path)
    for process in processes.values():
        session = process.finish()
        date(session, lambda _: written)
        findings.sessions.append(session)


def _take(processes: dict[str, _Process], record: dict[str, Any], agent: str | None, location: Location) -> None:
    kind = record.get("type")
    if kind == "system" and record.get("subtype") == "init":
        init = _Init.model_validate(record)
        process = _process(processes, init.session_id, agent)
        process.session.process = process.session.process or init.uuid or ""
        process.session.location = process.session.location or location
        process.version = process.version or version_of(init.claude_code_version)
    elif kind == "assistant":
        _take_message(processes, _Assistant.model_validate(record), agent, location)
    elif kind == "stream_event":
        _take_piece(processes, record, agent, location)
    elif kind == "user" and (replied := processes.get(str(record.get("session_id")))) is not None:
        replied.last.pop(_chain(record.get("parent_tool_use_id")), None)  # a tool has answered: the message was whole
    elif kind == "result":
        _take_result(processes, _Result.model_validate(record), agent, location)


def _take_message(processes: dict[str, _Process], line: _Assistant, agent: str | None, location: Location) -> None:
    response = line.message
    usage = usage_of(response.usage)
    process = _process(processes, line.session_id, agent)
    process.session.location = None  # the log shows what the process did
    if response.model == _SYNTHETIC and not any(usage.values()):
        return
    request, subagent = name(line.request_id), name(line.subagent_type)
    names = (request,) if request else ()
    _add(
        process,
        _chain(line.parent_tool_use_id),
        Message(response.id, response.model, usage, location, names, subagent or None),
    )
    if response.stop_reason is not None:
        process.last.pop(_chain(line.parent_tool_use_id), None)


def _take_piece(processes: dict[str, _Process], record: dict[str, Any], agent: str | None, location: Location) -> None:
    """Take a piece of a response as it is sent: its beginning names it, a later piece has its whole usage."""
    event, session_id = record.get("event"), record.get("session_id")
    if not isinstance(event, dict) or not isinstance(session_id, str):
        return
    chain, process = _chain(record.get("parent_tool_use_id")), _process(processes, check_name(session_id), agent)
    if event.get("type") == "message_start" and isinstance(event.get("message"), dict):
        response = _StreamResponse.model_validate(event["message"])
        process.streamed[chain] = response.id
        _add(process, chain, Message(response.id, response.model, usage_of(response.usage), location))
    elif event.get("type") == "message_delta" and isinstance(event.get("usage"), dict):
        before = process.session.messages.get(process.streamed.get(chain, ""))
        if before is None:
            return
        output = event["usage"].get("output_tokens")
        if isinstance(output, int) and output > before.usage.get("output_tokens", 0):
            usage = usage_of(dict(before.usage) | {"output_tokens": output})
            _add(
                process, chain, Message(before.message_id, before.model, usage, location, before.names, before.subagent)
            )
        process.last.pop(chain, None)


def _take_result(processes: dict[str, _Process], line: _Result, agent: str | None, location: Location) -> None:
    since = None if line.since is None else models_of(line.since)
    usage = usage_of(line.usage) if line.usage else {}
    total = money.parse(line.total_cost_usd, most_nanousd=money.READING_NANOUSD_MAX)
    result = ResultLine(total, models_of(line.model_usage), since, usage, line.result_index is not None, location)
    process = _process(processes, line.session_id, agent)
    process.session.process = process.session.process or line.uuid or ""
    process.results[line.uuid or location.line] = result
    process.session.after_total.clear()
    process.last.clear()


def _process(processes: dict[str, _Process], session_id: str, agent: str | None) -> _Process:
    if session_id not in processes:
        processes[session_id] = _Process(Session(KIND, session_id, "", agent))
    return processes[session_id]


def _add(process: _Process, chain: object, message: Message) -> None:
    """Store the largest of a message's repetitions; the message before it in its chain was whole."""
    session, before = process.session, process.session.messages.get(message.message_id)
    process.last[chain] = message.message_id
    if before is None:
        session.after_total.append(message.message_id)
        if chain is None and message.model is not None:
            process.main_models[message.model] += 1
    if before is None or _size(message.usage) > _size(before.usage):
        session.messages[message.message_id] = message
    elif not before.names and message.names:
        session.messages[message.message_id] = Message(
            before.message_id, before.model, before.usage, before.location, message.names, message.subagent
        )


def _chain(parent: object) -> str | None:
    """The chain of calls that a record belongs to: the main loop's, or that of the sub-agent that a call started."""
    return None if parent is None else str(parent)


def _size(usage: Mapping[str, int]) -> tuple[int, int]:
    return usage.get("output_tokens", 0), sum(usage.values())


def _reason(error: ValidationError | InvalidInput, record: Mapping[str, Any]) -> str:
    if isinstance(error, InvalidInput):
        return f"a {record.get('type')} record that does not fit: {error}"
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"a {record.get('type')} record that does not fit: {where}: {first['msg']}"[:300]
