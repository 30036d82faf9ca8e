"""What a transcript's session is about: the title that its client gave it, else the first words of its user.

Titles are private: they are read to be shown on this machine, and no event, row or replica ever contains one.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import orjson

from ledger.sources.agent_places import agent_reader
from ledger.sources.formats.regular_files import open_regular
from ledger.text import without_escapes

__all__ = ["TITLE_CHARACTERS_MAX", "one_line", "title_of"]

TITLE_CHARACTERS_MAX: Final = 80
_HEAD_BYTES, _END_BYTES = 512 * 1024, 64 * 1024
"""A session's first words and its latest title are in these parts of a file; the rest is not read."""

_CLAUDE_WANTED: Final = (b'"user"', b'-title"', b'"summary"')
_CODEX_WANTED: Final = (b'"user_message"', b'"user"')
_COMMAND: Final = re.compile(
    r"<command-name>\s*(?P<name>[^<]+?)\s*</command-name>(?:.*?<command-args>(?P<args>[^<]*)</command-args>)?",
    re.DOTALL,
)
_CLIENT_COMMANDS: Final = re.compile(
    "/?(add-dir|agents|bashes|clear|compact|config|context|cost|doctor|effort|exit|export|fast|help|hooks|ide|login"
    "|logout|mcp|memory|model|output-style|permissions|plugin|quit|release-notes|rename|resume|rewind|status"
    "|statusline|theme|upgrade|usage|vim)"
)
"""Commands about the client, not about the work."""
_CLIENT_TEXTS: Final = ("<", "Caveat: ", "[Request interrupted", "# AGENTS.md", "This session is being continued")
"""Beginnings of texts that a client adds in the name of the user."""


def title_of(kind: str, file: Path, session_id: str = "") -> str:
    """Return the title of a transcript's session; "" where the file shows none or cannot be read.

    Args:
        kind: of the transcript, as `costledger import KIND`.
        session_id: which of the sessions in the file, where it has several.
    """
    if kind not in ("claude", "codex"):
        from ledger.sources.session_log import LogReading, SessionLog

        reader = agent_reader(kind)
        return one_line(reader.title(LogReading(file), session_id)) if isinstance(reader, SessionLog) else ""
    try:
        head, end = _read(file)
    except (OSError, EOFError, zlib.error):
        return ""
    return one_line(_claude(head, end) if kind == "claude" else _codex(head))


def one_line(text: str) -> str:
    """Return a text as one line of at most 80 characters, without control characters."""
    words = " ".join("".join(c if c.isprintable() else " " for c in without_escapes(text)).split())
    return words if len(words) <= TITLE_CHARACTERS_MAX else f"{words[: TITLE_CHARACTERS_MAX - 1].rstrip()}…"


def _read(file: Path) -> tuple[bytes, bytes]:
    """The beginning of a file, and its end where the two do not meet."""
    with open_regular(file) as raw:
        if file.name.endswith(".gz"):
            unpacked: IO[bytes] = gzip.GzipFile(fileobj=raw, mode="rb")  # type: ignore[assignment]
            return unpacked.read(_HEAD_BYTES), b""
        head = raw.read(_HEAD_BYTES)
        size = raw.seek(0, os.SEEK_END)
        raw.seek(max(len(head), size - _END_BYTES))
        return head, raw.read(_END_BYTES)


def _records(data: bytes, *wanted: bytes) -> Iterator[Mapping[str, Any]]:
    for line in data.split(b"\n"):
        if any(each in line for each in wanted):
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # it is cut, or the rest of a line that begins before
            if isinstance(record, dict):
                yield record


def _claude(head: bytes, end: bytes) -> str:
    """Claude Code: the title that its user gave, its own, its summary of this conversation, or the first prompt."""
    named: dict[str, str] = {}
    for record in _records(head + b"\n" + end, *_CLAUDE_WANTED):
        kind = record.get("type")
        if kind == "custom-title":
            named["custom"] = _text(record.get("customTitle"))
        elif kind == "ai-title":
            named["ai"] = _text(record.get("aiTitle"))
        elif kind == "summary" and f'"uuid":"{record.get("leafUuid")}"'.encode() in head + end:
            named["summary"] = _text(record.get("summary"))  # of others it sums up another conversation
        elif kind == "user" and not (record.get("isMeta") or record.get("isSidechain") or named.get("first")):
            body = record.get("message")
            content = body.get("content") if isinstance(body, dict) else None
            named["first"] = _first_words(content)
            named["command"] = named.get("command") or _command(content)
    return next((named[each] for each in ("custom", "ai", "summary", "first", "command") if named.get(each)), "")


def _codex(head: bytes) -> str:
    """Codex: the first message of the user."""
    first = ""
    for record in _records(head, *_CODEX_WANTED):
        payload = record.get("payload")
        if not isinstance(payload, dict):
            continue
        if record.get("type") == "event_msg" and payload.get("type") == "user_message":
            if found := _first_words(payload.get("message")):
                return found
        elif payload.get("type") == "message" and payload.get("role") == "user":
            first = first or _first_words(payload.get("content"))
    return first


def _first_words(content: object) -> str:
    """The first words of a person in a message, also those after a command; "" where all of it is the client's."""
    for text in _texts(content):
        if (command := _COMMAND.search(text)) is not None:
            if _text(command["args"]) and not _is_of_client(command["name"]):
                return f"{command['name']} {command['args']}"
        elif text and not text.startswith(_CLIENT_TEXTS):
            return text
    return ""


def _command(content: object) -> str:
    """The first command in a message that is not about the client; "" without one."""
    found = (command["name"] for text in _texts(content) if (command := _COMMAND.search(text)) is not None)
    return next((name for name in found if not _is_of_client(name)), "")


def _is_of_client(command: str) -> bool:
    return _CLIENT_COMMANDS.fullmatch(command) is not None


def _texts(content: object) -> Iterator[str]:
    for block in content if isinstance(content, list) else [content]:
        yield _text(block.get("text") if isinstance(block, dict) else block)


def _text(value: object) -> str:
    """A text with letters or digits; "" for anything else."""
    text = value.strip() if isinstance(value, str) else ""
    return text if any(map(str.isalnum, text[:4096])) else ""
