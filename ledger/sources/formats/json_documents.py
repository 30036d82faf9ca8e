"""The JSON of other tools' exports: JSON lines, or one document, pretty or not, with its records inside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.errors import NoLogs, SourceUnreadable, reason
from ledger.sources.findings import Skipped
from ledger.sources.formats.folders import is_folder, walked
from ledger.sources.formats.jsonl import json_value, records
from ledger.sources.formats.regular_files import open_regular, read_regular

__all__ = ["documents", "files_of"]

_DOCUMENT_BYTES_MAX: Final = 64 * 1024 * 1024
"""A document is in memory whole; JSON lines are not."""

_FIRST_LINE_BYTES_MAX: Final = 1024 * 1024
_LISTS: Final = ("data", "results", "rows")
"""Fields with the records of an API's answer, such as LiteLLM's `/spend/logs/v2`."""


def documents(path: Path) -> Iterator[tuple[int, dict[str, Any]] | Skipped]:
    """Yield the objects of a file, each with its line (1 for those in one document), and what had to be skipped."""
    try:
        with open_regular(path) as file:
            first = b""
            while not first.strip() and (first := file.readline(_FIRST_LINE_BYTES_MAX)):
                pass
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        yield Skipped(path, None, f"cannot be read: {reason(error)}")
        return
    first = first.removeprefix(b"\xef\xbb\xbf").strip()
    if not first.startswith(b"[") and (not first or not first.startswith(b"{") or _whole(first)):
        yield from records(path)
    elif size > _DOCUMENT_BYTES_MAX:
        yield Skipped(path, 1, f"is one JSON document of more than {_DOCUMENT_BYTES_MAX:,} bytes: make it JSON lines")
    else:
        yield from _document(path)


def _document(path: Path) -> Iterator[tuple[int, dict[str, Any]] | Skipped]:
    try:
        value: Any = json_value(read_regular(path).removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        yield from records(path)  # JSON lines after all, with a broken first line
        return
    except OSError as error:
        yield Skipped(path, None, f"cannot be read: {reason(error)}")
        return
    if isinstance(value, dict):
        value = next((value[name] for name in _LISTS if isinstance(value.get(name), list)), [value])
    for number, record in enumerate(value, 1):
        if isinstance(record, dict):
            yield 1, record
        else:
            yield Skipped(path, 1, f"element {number:,} is JSON, but not an object")


def _whole(line: bytes) -> bool:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return not (isinstance(value, dict) and any(isinstance(value.get(name), list) for name in _LISTS))


def files_of(path: Path, *suffixes: str, skipped: list[Skipped]) -> list[Path]:
    """Return the file itself, or the files below a folder whose names have one of these suffixes, sorted.

    Args:
        skipped: gets each folder that cannot be read.

    Raises:
        SourceUnreadable: there is none, or nothing can be read.
    """
    if not is_folder(path):
        if path.is_file():
            return [path]
        raise SourceUnreadable(path, "is no file or folder" if path.exists() else "there is no such file or folder")
    found = [
        Path(where) / name
        for where, _, names in walked(path, skipped)
        for name in names
        if name.lower().endswith(suffixes)
    ]
    if not found and skipped:
        raise SourceUnreadable(skipped[0].path, skipped[0].reason)
    if not found:
        raise NoLogs(path, f"holds no file that ends in {' or '.join(suffixes)}")
    return sorted(found)
