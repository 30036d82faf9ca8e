"""Kimi CLI's sessions: `~/.kimi/sessions/<md5 of the folder>/<session>/wire.jsonl`, and those of its sub-agents below.

Source of the format: MoonshotAI/kimi-cli, `src/kimi_cli/wire/types.py`, `session_fork.py`, `subagents/` and
`metadata.py`; up to version 1.49, protocols 1.3 to 1.9:

- a `StatusUpdate` has the usage of one step; its kinds are disjoint, and fields that are null did not change;
- a call is recognised by `message_id`; without one, by its moment and figures;
- a sub-agent's updates are in the parent's file as `SubagentEvent`, in protocol 1.3 only there; in newer versions also
  in `subagents/<agent>/wire.jsonl`, with a `meta.json`, and those of a background one only there. So an update of such
  a file counts only with an id, by which it is found again;
- a fork has copies of lines with their times and ids, and nothing but its title, `Fork: …` in `state.json`, shows it;
- `kimi.json` has the paths of the folders.

No line names a model or money: calls are without a price. Calls for compaction and titles are in no file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.events.ids import digest
from ledger.sources.formats.regular_files import open_regular
from ledger.sources.names import name
from ledger.sources.session_log import LogReading, SessionLog, call, count, items, mapping, unix_moment, used
from ledger.sources.transcript import TranscriptMessage

__all__ = ["KimiSessions", "small_document", "wire_text"]

_WIRE: Final = "wire.jsonl"
_SUBAGENTS: Final = "subagents"
_NESTED_MAX: Final = 8
_DOCUMENT_BYTES_MAX: Final = 4 * 1024 * 1024


class KimiSessions(SessionLog):
    """The logs `kimi`."""

    def is_log(self, path: str) -> bool:
        """See `SessionLog.is_log`; Kimi Code's are below a folder `agents`."""
        folders = path.split("/")
        return folders[-1] == _WIRE and folders[-3:-2] != ["agents"]

    def recognises(self, log: LogReading) -> bool:
        """See `SessionLog.recognises`: a moment and a message with its type, after a line with the protocol."""
        records = (mapping(record.get("message")) for _, record in log.lines(b'"payload"') if "timestamp" in record)
        return {"type", "payload"} <= next(records, {}).keys()

    def extract(self, log: LogReading) -> None:
        """See `SessionLog.extract`."""
        session, subagent = _session_of(log.path)
        is_fork = str(small_document(session / "state.json").get("custom_title")).startswith("Fork: ")
        state = {"subagent": subagent, "copied": int(is_fork)}
        project = _project_of(session.parent)
        for number, record in log.lines(b'"token_usage"'):
            at = unix_moment(record.get("timestamp"))
            log.begin(name(session.name), at, project)
            message, kind = mapping(record.get("message")), subagent
            for _ in range(_NESTED_MAX):
                if message.get("type") != "SubagentEvent":
                    break
                payload = mapping(message.get("payload"))
                kind = name(payload.get("subagent_type")) or name(payload.get("agent_id")) or _SUBAGENTS[:-1]
                message = mapping(payload.get("event"))
            if message.get("type") == "StatusUpdate":
                log.add(number, _call, session.name, mapping(message.get("payload")), at, state | {"kind": kind})

    def title(self, log: LogReading, session_id: str) -> str:  # noqa: ARG002
        """See `SessionLog.title`: the one that the session was given, else the first words of the user."""
        session, _ = _session_of(log.path)
        if given := name(small_document(session / "state.json").get("custom_title")):
            return given
        records = (record for _, record in LogReading(session / _WIRE).lines(b'"TurnBegin"'))
        messages = (mapping(record.get("message")) for record in records)
        turns = (mapping(message.get("payload")) for message in messages if message.get("type") == "TurnBegin")
        return next((text for turn in turns if (text := wire_text(turn.get("user_input")))), "")


def wire_text(given: object) -> str:
    """Return the text that a user entered, which is one, or a list of parts."""
    parts = [given] if isinstance(given, str) else [each.get("text") for each in items(given)]
    return next((part for part in parts if isinstance(part, str) and part.strip()), "")


def small_document(path: Path) -> Mapping[str, Any]:
    """Return the object of a small JSON file next to a log; an empty one where it is missing or damaged."""
    try:
        with open_regular(path) as file:
            return mapping(orjson.loads(file.read(_DOCUMENT_BYTES_MAX)))
    except (OSError, orjson.JSONDecodeError):
        return {}


def _session_of(wire: Path) -> tuple[Path, str]:
    """The folder of a file's session, and the kind of the sub-agent whose file it is; "" for the session's own."""
    folder = wire.parent
    if folder.parent.name != _SUBAGENTS:
        return folder, ""
    return folder.parent.parent, name(small_document(folder / "meta.json").get("subagent_type")) or name(folder.name)


def _project_of(folder: Path) -> str:
    """The folder whose md5, as the client spells it, a folder of sessions is named by; "" where it is unknown."""
    listed = items(small_document(folder.parent.parent / "kimi.json").get("work_dirs"))
    paths = (name(each.get("path")) for each in listed)
    wanted = folder.name.rpartition("_")[2]
    return next((path for path in paths if hashlib.md5(path.encode(), usedforsecurity=False).hexdigest() == wanted), "")


def _call(session: str, update: Mapping[str, Any], at: str, about: Mapping[str, Any]) -> TranscriptMessage | None:
    """The call that an update is; None for one without usage."""
    usage, id = mapping(update.get("token_usage")), name(update.get("message_id"))
    if not usage or not (id or not about["subagent"]):
        return None
    fresh, output = count(usage.get("input_other")), count(usage.get("output"))
    reads, writes = count(usage.get("input_cache_read")), count(usage.get("input_cache_creation"))
    found = call(
        id or digest("kimi", "call", at, fresh, output, reads, writes),
        session,
        None,
        used(fresh, output, reads=reads, writes=writes),
        at,
        subagent=about["kind"],
        partial=True,
    )
    return None if found is None else found._replace(copied=about["copied"])
