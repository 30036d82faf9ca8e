"""Sessions of Cline CLI: `~/.cline/data/sessions/<session>/<session>.json` and `<session>.messages.json`.

Source of the format: cline/cline, `sdk/packages`; observed in files of 2026:

- `<session>.messages.json` has the messages of a session and is written again as a whole. One of the assistant names in
  `metrics` what it used, with cached tokens not in the input, and what it cost in dollars;
- the id of a message is unique in its session only;
- `<session>.json` says where the session works, and who started it. `metadata.usage` repeats the sum of its messages,
  so it counts only where none of them has metrics, and once the session has ended;
- `aggregateUsage` includes child sessions, which have files of their own: it never counts;
- `messages_path` is absolute and wrong after a copy: the file next to it is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.events.ids import digest
from ledger.sources.formats.regular_files import open_regular
from ledger.sources.names import moment, name
from ledger.sources.session_log import LogReading, SessionLog, call, count, dollars, items, mapping, unix_moment, used
from ledger.sources.transcript import TranscriptMessage

__all__ = ["ClineCliSessions"]

_MESSAGES: Final = ".messages.json"
_SESSION: Final = ".json"
_BYTES_MAX: Final = 64 * 1024 * 1024
_DEPTH_MAX: Final = 16
"""Of sessions that sessions started."""


class ClineCliSessions(SessionLog):
    """The logs `cline-cli`."""

    def is_log(self, path: str) -> bool:
        """See `SessionLog.is_log`."""
        *_, folder, file = ("", *path.split("/"))
        return file in (f"{folder}{_SESSION}", f"{folder}{_MESSAGES}")

    def recognises(self, log: LogReading) -> bool:
        """See `SessionLog.recognises`."""
        document = mapping(log.document())
        if log.path.name.endswith(_MESSAGES):
            return "sessionId" in document and isinstance(document.get("messages"), list)
        return "session_id" in document and "provider" in document

    def extract(self, log: LogReading) -> None:
        """See `SessionLog.extract`."""
        document = mapping(log.document())
        of_messages = log.path.name.endswith(_MESSAGES)
        id = name(document.get("sessionId" if of_messages else "session_id"))
        if not id:
            return
        session = _read(log.path.with_name(f"{id}{_SESSION}")) if of_messages else document
        folder = name(session.get("workspace_root")) or name(session.get("cwd"))
        log.begin(id, moment(session.get("started_at")), folder)
        root = _root(log.path.parent.parent, id, session)
        if not of_messages:
            log.add(1, _rolled_up, log.path, id, session, root)
            return
        said = [each for each in items(document.get("messages")) if each.get("role") == "assistant"]
        partial = any("metrics" in each for each in said) and not all("metrics" in each for each in said)
        for message in said:
            log.add(1, _call, id, message, root, document.get("agent"), partial)

    def title(self, log: LogReading, session_id: str) -> str:  # noqa: ARG002
        """See `SessionLog.title`: the client's, or the user's first words."""
        document = mapping(log.document())
        given = mapping(document.get("metadata")).get("title") or document.get("prompt")
        texts = [given, *(_text(each) for each in items(document.get("messages")) if each.get("role") == "user")]
        return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _call(
    session_id: str, message: Mapping[str, Any], root: str, agent: object, partial: bool
) -> TranscriptMessage | None:
    metrics, id = mapping(message.get("metrics")), name(message.get("id"))
    if not metrics:
        return None
    if not id:
        raise ValueError("it has no id")
    return call(
        digest("cline-cli", session_id, id),
        session_id,
        mapping(message.get("modelInfo")).get("id"),
        _usage(metrics),
        unix_moment(message.get("ts"), milliseconds=True),
        nanousd=dollars(metrics.get("cost")),
        subagent=(name(agent) or "subagent") if root else None,
        root=root,
        partial=partial,
    )


def _rolled_up(path: Path, session_id: str, session: Mapping[str, Any], root: str) -> TranscriptMessage | None:
    """The sum of an ended session none of whose messages has metrics."""
    sum, ended = mapping(mapping(session.get("metadata")).get("usage")), moment(session.get("ended_at"))
    messages = items(_read(path.with_name(f"{session_id}{_MESSAGES}")).get("messages"))
    if not sum or not ended or any("metrics" in each for each in messages):
        return None
    return call(
        digest("cline-cli", session_id, "usage", 0),
        session_id,
        session.get("model"),
        _usage(sum),
        ended,
        nanousd=dollars(sum.get("totalCost")),
        subagent="subagent" if root else None,
        root=root,
        several=True,
    )


def _usage(given: Mapping[str, Any]) -> dict[str, int]:
    return used(
        given.get("inputTokens"),
        given.get("outputTokens"),
        reads=count(given.get("cacheReadTokens")),
        writes=count(given.get("cacheWriteTokens")),
    )


def _root(sessions: Path, session_id: str, session: Mapping[str, Any]) -> str:
    """The first of the sessions that started each other and then this one; "" where no other one did."""
    root, known = "", {session_id}
    for _ in range(_DEPTH_MAX):
        parent = name(session.get("parent_session_id"))
        if not parent or "/" in parent or parent in known:
            break
        root = parent
        known.add(parent)
        session = _read(sessions / parent / f"{parent}{_SESSION}")
    return root


def _read(path: Path) -> Mapping[str, Any]:
    """The object that a file is; an empty one where it is missing or damaged."""
    try:
        with open_regular(path) as file:
            return mapping(orjson.loads(file.read(_BYTES_MAX)))
    except (OSError, ValueError):
        return {}


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    parts = [content] if isinstance(content, str) else [each.get("text") for each in items(content)]
    return next((part for part in parts if isinstance(part, str) and part.strip()), "")
