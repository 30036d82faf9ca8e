"""Gemini CLI's chats: `~/.gemini/tmp/<project>/chats/session-….json`, from version 0.40 `.jsonl`.

Source of the format: google-gemini/gemini-cli, `packages/core/src/services/chatRecordingService.ts`; observed in chats
of 2025 and 2026, up to version 0.40:

- a chat is one document with `messages`, or a log of operations: a header, messages, `{"$set": …}`, `{"$rewindTo": …}`;
- a message comes again under its id when it is written again, also within `$set.messages`: it is one call;
- `$rewindTo` takes messages out of the conversation. They were paid;
- `input` includes `cached`; `thoughts` are output and not part of `output`; `tool` is input and not part of `input`;
- a resumed session continues its file, or another one with the same session id;
- a sub-agent's chat is in a folder with the id of the session that it works for, and nowhere else.

Calls for routing, loop detection, summaries and compression are in no chat, so a chat is a lower bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ledger.sources.formats.regular_files import open_regular
from ledger.sources.names import moment, name
from ledger.sources.session_log import LogReading, SessionLog, call, count, items, mapping, used
from ledger.sources.transcript import TranscriptMessage

__all__ = ["GeminiChats"]

_CHATS: Final = "chats"
_SUFFIXES: Final = (".json", ".jsonl")
_PROJECT_BYTES_MAX: Final = 4096
_HEADER: Final = ("sessionId", "startTime")


class GeminiChats(SessionLog):
    """The logs `gemini`."""

    def is_log(self, path: str) -> bool:
        """See `SessionLog.is_log`."""
        return path.endswith(_SUFFIXES) and f"/{_CHATS}/" in path

    def recognises(self, log: LogReading) -> bool:
        """See `SessionLog.recognises`: a header names the session and a project's hash."""
        if log.path.suffix == ".jsonl":
            head = next((record for _, record in log.lines(b'"projectHash"')), {})
            return "projectHash" in head
        chat = mapping(log.document())
        messages = chat.get("messages")
        if "projectHash" not in chat or not isinstance(messages, list) or ".qwen" in log.path.parts:
            return False
        return all(each.get("type") != "qwen" for each in items(messages))

    def extract(self, log: LogReading) -> None:
        """See `SessionLog.extract`."""
        if log.path.suffix == ".jsonl":
            for number, record in log.lines(b'"tokens"', b'"sessionId"', b'"directories"'):
                _take_record(log, record, number)
            return
        chat = mapping(log.document())
        _take_header(log, chat)
        for message in items(chat.get("messages")):
            log.add(1, _call, log, message)

    def title(self, log: LogReading, session_id: str) -> str:  # noqa: ARG002
        """See `SessionLog.title`: the first words of the user."""
        if log.path.suffix == ".json":
            messages = items(mapping(log.document()).get("messages"))
        else:
            messages = [record for _, record in log.lines(b'"user"')]
        return next((text for each in messages if each.get("type") == "user" and (text := _text(each))), "")


def _take_record(log: LogReading, record: Mapping[str, Any], number: int) -> None:
    change = mapping(record.get("$set"))
    if change:
        _take_header(log, change)
        for message in items(change.get("messages")):
            log.add(number, _call, log, message)
    elif "type" in record:
        log.add(number, _call, log, record)
    elif "sessionId" in record:
        _take_header(log, record)


def _take_header(log: LogReading, header: Mapping[str, Any]) -> None:
    """Note the session of a chat: of a sub-agent's, the one that its folder names."""
    own = name(header.get("sessionId"))
    if own and "session" not in log.state:
        folder = log.path.parent
        is_child = header.get("kind") == "subagent" and folder.name != _CHATS
        log.state |= {"session": folder.name, "subagent": own} if is_child else {"session": own}
    session_id = log.state.get("session")
    if session_id:
        folders = header.get("directories")
        project = name(folders[0]) if isinstance(folders, list) and folders else _project_of(log.path)
        log.begin(session_id, moment(header.get("startTime")), project)


def _project_of(path: Path) -> str:
    """The folder that a file next to the chats names, in newer versions; "" without one."""
    chats = next((folder for folder in path.parents if folder.name == _CHATS), None)
    if chats is None:
        return ""
    try:
        with open_regular(chats.with_name(".project_root")) as file:
            return name(file.read(_PROJECT_BYTES_MAX).decode("utf-8", "replace").strip())
    except OSError:
        return ""


def _call(log: LogReading, message: Mapping[str, Any]) -> TranscriptMessage | None:
    """The call that a message is; None for one of another kind."""
    tokens = message.get("tokens")
    if message.get("type") != "gemini" or not isinstance(tokens, dict):
        return None
    id = name(message.get("id"))
    if not id:
        raise ValueError("it has no id")
    whole, cached = count(tokens.get("input")), count(tokens.get("cached"))
    fresh = whole - cached if whole >= cached else whole
    return call(
        id,
        log.state.get("session"),
        message.get("model"),
        used(
            fresh + count(tokens.get("tool")),
            count(tokens.get("output")) + count(tokens.get("thoughts")),
            reads=cached,
        ),
        moment(message.get("timestamp")),
        subagent=log.state.get("subagent"),
        partial=True,
    )


def _text(message: Mapping[str, Any]) -> str:
    """The text of a message, which is one, or a list of parts."""
    content = message.get("content")
    parts = [content] if isinstance(content, str) else [each.get("text") for each in items(content)]
    return next((part for part in parts if isinstance(part, str) and part.strip()), "")
