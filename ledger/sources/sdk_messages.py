"""Messages of the Claude Agent SDK as a program writes them as JSON, as records of stream-json.

Source of the format: anthropics/claude-agent-sdk-python, `types.py` (0.2) and `_internal/message_parser.py`. The SDK
for TypeScript gives the records of stream-json themselves; the one for Python makes a dataclass of each, whose fields
are those of the record, but for its `type`: `model_usage` is `modelUsage`, an `AssistantMessage` has the fields of its
response itself, and a `SystemMessage` has the whole record in `data`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ledger.errors import reason
from ledger.sources.findings import Skipped
from ledger.sources.formats.json_documents import documents
from ledger.sources.formats.jsonl import records
from ledger.sources.formats.regular_files import open_regular

__all__ = ["stream_records"]

_TYPES: Final = ("system", "user", "assistant", "result", "stream_event")
_FIRST_LINE_BYTES_MAX: Final = 1024
_RESULT: Final = {"session_id", "num_turns", "total_cost_usd"}
_ASSISTANT: Final = {"session_id", "model", "content", "message_id", "usage"}
_EVENT: Final = {"session_id", "uuid", "event"}


def stream_records(path: Path) -> Iterator[tuple[int, dict[str, Any]] | Skipped]:
    """Yield the records of a log, each with its line, and what had to be skipped.

    A log is JSON lines, of which one may be an array, or one document over several lines: an array, or one record. The
    line of a record in such a document is its number.
    """
    try:
        with open_regular(path) as file:
            first = file.readline(_FIRST_LINE_BYTES_MAX).strip()
    except OSError as error:
        yield Skipped(path, None, f"cannot be read: {reason(error)}")
        return
    is_document = first in (b"[", b"{")
    for number, found in enumerate(documents(path) if is_document else records(path, arrays=True), 1):
        if isinstance(found, Skipped):
            yield found
        else:
            yield number if is_document else found[0], _stream_record(found[1])


def _stream_record(record: dict[str, Any]) -> dict[str, Any]:
    """The record of stream-json that a message of the SDK was made of; anything else as it is."""
    if record.get("type") in _TYPES:
        return record
    fields, data = record.keys(), record.get("data")
    if isinstance(data, dict) and "subtype" in fields and data.get("type") in _TYPES:
        return data
    if fields >= _RESULT and record["total_cost_usd"] is not None:
        return record | {
            "type": "result",
            "modelUsage": _given(record, "model_usage", "modelUsage"),
            "usage": _given(record, "usage"),
        }
    if fields >= _ASSISTANT and record["message_id"] is not None and isinstance(record["usage"], dict):
        response = {"id": record["message_id"], "model": record["model"], "usage": record["usage"]}
        return record | {"type": "assistant", "message": response | {"stop_reason": record.get("stop_reason")}}
    if fields >= _EVENT and isinstance(record["event"], dict):
        return record | {"type": "stream_event"}
    return record


def _given(record: Mapping[str, Any], *names: str) -> object:
    """The first of some fields that is not null; an empty object without one."""
    return next((record[name] for name in names if record.get(name) is not None), {})
