"""Qwen Code's chats: `~/.qwen/projects/<folder>/chats/<session>.jsonl`; in 2025 documents below `~/.qwen/tmp`.

Source of the format: QwenLM/qwen-code, `chatRecordingService.ts` and `telemetry/loggers.ts` of `packages/core/src`;
observed in chats of versions 0.5, 0.9 and 0.15:

- a call is in the file twice: as telemetry of the client (`ui_telemetry`, with the provider's id of the response), and
  after that as a line of the assistant. Telemetry also has the calls of sub-agents, whose `prompt_id` is
  `<session>#<agent>-<random>#<number>`, and hidden ones. So lines of the assistant count only in a file that has shown
  no telemetry;
- `telemetry.log` and OTLP exports have the same calls with the same ids;
- cached tokens are part of the prompt; thoughts are part of the candidates where the total is prompt and candidates;
- `/branch` copies all lines to another session, each with `forkedFrom`; ids and times stay;
- a session that a session has started names it in a line `parent_session`;
- the chats of 2025 are documents as Gemini CLI's, with messages of the type `qwen`;
- `coder-model` and `vision-model` are names of the vendor's free plan, and have no price.

Suggestions and speculative calls are recorded nowhere, so a chat is a lower bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ledger.providers.usage import disjoint
from ledger.sources.gemini_telemetry import answer_of
from ledger.sources.names import moment, name
from ledger.sources.session_log import LogReading, SessionLog, call, count, items, mapping
from ledger.sources.transcript import TranscriptMessage

__all__ = ["QwenChats"]

_CHATS: Final = "chats"
_HOME: Final = ".qwen"
_RESPONSE: Final = "qwen-code.api_response"
_OWN: Final = ("qwen", "gemini")
"""Types of the messages of a model in chats of 2025."""
_PARTS_OF_PROMPT_ID: Final = 3
_LINE: Final = (
    *("promptTokenCount", "candidatesTokenCount", "cachedContentTokenCount", "thoughtsTokenCount"),
    "totalTokenCount",
)
_MESSAGE: Final = ("input", "output", "cached", "thoughts", "total")
"""Whole input, output, cached, thoughts and total, in lines of the assistant and in messages of 2025."""


class QwenChats(SessionLog):
    """The logs `qwen`."""

    def is_log(self, path: str) -> bool:
        """See `SessionLog.is_log`; a document of another name is about a session, and not its chat."""
        *folders, file = path.split("/")
        return _CHATS in folders and (
            file.endswith(".jsonl") or (file.startswith("session-") and file.endswith(".json"))
        )

    def recognises(self, log: LogReading) -> bool:
        """See `SessionLog.recognises`: every line names its session, place in the tree and version of the client."""
        if log.path.suffix == ".jsonl":
            head = next((record for _, record in log.lines(b'"parentUuid"')), {})
            return {"uuid", "sessionId", "cwd", "version"} <= head.keys() and _is_own(head)
        chat = mapping(log.document())
        types = {str(each.get("type")) for each in items(chat.get("messages"))}
        return "projectHash" in chat and (_HOME in log.path.parts or "qwen" in types)

    def extract(self, log: LogReading) -> None:
        """See `SessionLog.extract`."""
        if log.path.suffix == ".jsonl":
            for number, record in log.lines(b'"usageMetadata"', b"api_response", b'"parent_session"'):
                _take_record(log, record, number)
            return
        chat = mapping(log.document())
        session_id = name(chat.get("sessionId"))
        if session_id:
            log.begin(session_id, moment(chat.get("startTime")))
        for message in items(chat.get("messages")):
            if message.get("type") in _OWN:
                log.add(1, _message, session_id, message)

    def title(self, log: LogReading, session_id: str) -> str:  # noqa: ARG002
        """See `SessionLog.title`: the one that the session was given last, else the first words of the user."""
        if log.path.suffix == ".json":
            texts = [each.get("content") for each in items(mapping(log.document()).get("messages")) if _is_user(each)]
            return next((text for text in texts if isinstance(text, str) and text.strip()), "")
        given = first = ""
        for _, record in log.lines(b'"custom_title"', b'"user"'):
            if record.get("subtype") == "custom_title":
                given = name(mapping(record.get("systemPayload")).get("customTitle")) or given
            elif _is_user(record) and not first:
                texts = [each.get("text") for each in items(mapping(record.get("message")).get("parts"))]
                first = next((text for text in texts if isinstance(text, str) and text.strip()), "")
        return given or first


def _is_own(record: Mapping[str, Any]) -> bool:
    """Whether a line is not Claude Code's, whose lines have the same ids, but other contents."""
    own = {"systemPayload", "usageMetadata", "toolCallResult"} & record.keys()
    return bool(own) or "parts" in mapping(record.get("message"))


def _is_user(message: Mapping[str, Any]) -> bool:
    return message.get("type") == "user"


def _take_record(log: LogReading, record: Mapping[str, Any], number: int) -> None:
    session_id, payload = _session_of(record), mapping(record.get("systemPayload"))
    if session_id:
        log.begin(session_id, moment(record.get("timestamp")), name(record.get("cwd")), name(record.get("gitBranch")))
    if record.get("subtype") == "parent_session":
        log.state["parent"] = name(payload.get("parentSessionId"))
    event = mapping(payload.get("uiEvent"))
    if event.get("event.name") == _RESPONSE:
        log.state["telemetry"] = True
        log.add(number, _response, log, record, event)
    elif record.get("type") == "assistant" and not log.state.get("telemetry"):
        log.add(number, _line, log, record)


def _response(log: LogReading, record: Mapping[str, Any], event: Mapping[str, Any]) -> TranscriptMessage | None:
    """The call that a record of telemetry is; None for one that failed, or names no tokens."""
    session_id, at = _session_of(record), moment(event.get("event.timestamp") or record.get("timestamp"))
    answer = answer_of([_RESPONSE], event, session_id, at)
    if answer is None or answer.usage is None:
        return None
    prompt = str(event.get("prompt_id")).split("#")
    subagent = prompt[1].rpartition("-")[0] or prompt[1] if len(prompt) == _PARTS_OF_PROMPT_ID else None
    found = call(
        answer.native,
        session_id,
        answer.model,
        answer.usage,
        at,
        subagent=subagent,
        root=log.state.get("parent"),
        partial=True,
    )
    return _marked(found and found._replace(names=answer.names), record)


def _line(log: LogReading, record: Mapping[str, Any]) -> TranscriptMessage | None:
    """The call that a line of the assistant is; None for one without usage."""
    usage, id = mapping(record.get("usageMetadata")), name(record.get("uuid"))
    if not usage:
        return None
    if not id:
        raise ValueError("it has no id")
    found = call(
        id,
        _session_of(record),
        record.get("model"),
        _used(usage, _LINE),
        moment(record.get("timestamp")),
        root=log.state.get("parent"),
        partial=True,
    )
    return _marked(found, record)


def _message(session_id: str, message: Mapping[str, Any]) -> TranscriptMessage | None:
    """The call that a message of 2025 is; None for one without tokens."""
    tokens, id = mapping(message.get("tokens")), name(message.get("id"))
    if not tokens:
        return None
    if not id:
        raise ValueError("it has no id")
    at = moment(message.get("timestamp"))
    return call(id, session_id, message.get("model"), _used(tokens, _MESSAGE), at, partial=True)


def _used(given: Mapping[str, Any], names: Iterable[str]) -> dict[str, int]:
    """Our buckets of the counts with these names; without a total, thoughts are taken for a part of the output."""
    whole, output, cached, thoughts, total = (count(given.get(name)) for name in names)
    return disjoint(whole, 0, cached, output if total in (0, whole + output) else output + thoughts)


def _session_of(record: Mapping[str, Any]) -> str:
    """The session of a line: of a copy, the one that it was copied from."""
    return name(mapping(record.get("forkedFrom")).get("sessionId")) or name(record.get("sessionId"))


def _marked(found: TranscriptMessage | None, record: Mapping[str, Any]) -> TranscriptMessage | None:
    """A call, marked where its line is a copy, so that the original counts."""
    return found._replace(copied=1) if found is not None and "forkedFrom" in record else found
