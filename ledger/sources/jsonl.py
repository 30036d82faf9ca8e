"""Foreign JSON lines, read in bounded memory: whatever the file holds, it ends in records or in reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.sources.findings import Skipped

__all__ = ["records", "records_of_line"]

_LINE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A line of a log holds a tool's whole output, images included; the largest seen is 9 MB."""

_SEVERAL_BYTES_MAX: Final = 4 * 1024 * 1024
"""Up to this size a line that is not one JSON value is tried as several."""

_UNREADABLE: Final = "is not JSON"


def records(path: Path) -> Iterator[tuple[int, dict[str, Any]] | Skipped]:
    """The objects of a file, each with its line number from 1, and what had to be skipped.

    Two records on one line, as interrupted writers leave them, are two records. Errors of the operating system
    become one `Skipped` for the file.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LINE_BYTES_MAX):
                number += 1
                if len(line) == _LINE_BYTES_MAX and not line.endswith(b"\n"):
                    while (more := file.readline(_LINE_BYTES_MAX)) and not more.endswith(b"\n"):
                        pass
                    yield Skipped(path, number, f"is longer than {_LINE_BYTES_MAX:,} bytes")
                    continue
                if line.strip():
                    yield from records_of_line(path, number, line)
    except OSError as error:
        yield Skipped(path, None, f"cannot be read: {error.strerror or error}")


def records_of_line(path: Path, number: int, line: bytes) -> Iterator[tuple[int, dict[str, Any]] | Skipped]:
    """The objects of one line, or why it has none."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        yield from _several(path, number, line)
        return
    if isinstance(value, dict):
        yield number, value
    else:
        yield Skipped(path, number, "is JSON, but not an object")


def _several(path: Path, number: int, line: bytes) -> Iterator[tuple[int, dict[str, Any]] | Skipped]:
    cut = not line.endswith(b"\n")
    if len(line) > _SEVERAL_BYTES_MAX or not line.lstrip().startswith(b"{"):
        yield Skipped(path, number, _UNREADABLE)
        return
    text = line.decode("utf-8", "replace").strip()
    at = 0
    while at < len(text):
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            yield Skipped(path, number, "is cut in the middle" if cut else _UNREADABLE)
            return
        if isinstance(value, dict):
            yield number, value
        while at < len(text) and text[at].isspace():
            at += 1


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)
