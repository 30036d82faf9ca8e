"""Foreign JSON lines, read in bounded memory: all content of a file becomes records or reasons.

Every record can be written again, as UTF-8 and as JSON: `orjson` reads nothing else, and the values of the standard
library's decoder, which reads what `orjson` refuses, are made to comply here, so that no other module has to.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.errors import reason
from ledger.sources.findings import Skipped
from ledger.sources.formats.regular_files import open_regular

__all__ = ["CUT", "json_value", "records", "records_of_line"]

_LINE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A line of a log may contain a tool's whole output, images included; the largest observed has 9 MB."""

_SEVERAL_BYTES_MAX: Final = 4 * 1024 * 1024
"""Up to this size a line that is not one JSON value is tried as several."""

_UNREADABLE: Final = "is not JSON"

_UTF16: Final = "is UTF-16 (make the file UTF-8)"
CUT: Final = "is cut in the middle"
"""The reason for a last line whose end has not been written yet, or never will be."""

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SUBSTITUTE: Final = "\x1a"
"""ASCII's own character for one that was found to be invalid; it is invalid in our names and ids."""
_INTEGERS: Final = range(-(2**63), 2**64)
"""Integers that `orjson` reads and writes as such."""


def records(path: Path, *, arrays: bool = False) -> Iterator[tuple[int, dict[str, Any]] | Skipped]:
    """Yield the objects of a file, each with its line number from 1, and what had to be skipped.

    Two records on one line, as interrupted writers leave them, are two records. Errors of the operating system
    become one `Skipped` for the file.

    Args:
        arrays: also yield the objects of a line that is an array.
    """
    try:
        with open_regular(path) as file:
            number = 0
            while line := file.readline(_LINE_BYTES_MAX):
                number += 1
                if len(line) == _LINE_BYTES_MAX and not line.endswith(b"\n"):
                    while (more := file.readline(_LINE_BYTES_MAX)) and not more.endswith(b"\n"):
                        pass
                    yield Skipped(path, number, f"is longer than {_LINE_BYTES_MAX:,} bytes")
                    continue
                if line.strip():
                    yield from records_of_line(path, number, line, arrays=arrays)
    except OSError as error:
        yield Skipped(path, None, f"cannot be read: {reason(error)}")


def records_of_line(
    path: Path, number: int, line: bytes, *, arrays: bool = False
) -> Iterator[tuple[int, dict[str, Any]] | Skipped]:
    """Yield the objects of one line, or why it has none."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        yield from _several(path, number, line)
        return
    for each in value if arrays and isinstance(value, list) else (value,):
        yield (number, each) if isinstance(each, dict) else Skipped(path, number, "is JSON, but not an object")


def _several(path: Path, number: int, line: bytes) -> Iterator[tuple[int, dict[str, Any]] | Skipped]:
    cut = not line.endswith(b"\n")
    if len(line) > _SEVERAL_BYTES_MAX or not line.lstrip().startswith(b"{"):
        wide = line == b"\0" or line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"\0{"))
        yield Skipped(path, number, _UTF16 if wide else _UNREADABLE)
        return
    text = line.decode("utf-8", "replace").strip()
    at = 0
    while at < len(text):
        try:
            value, at = _DECODER.raw_decode(text, at)
            value = _writable(value)
        except (ValueError, OverflowError, RecursionError):
            yield Skipped(path, number, CUT if cut else _UNREADABLE)
            return
        if isinstance(value, dict):
            yield number, value
        while at < len(text) and text[at].isspace():
            at += 1


def json_value(text: bytes | str) -> Any:
    """Return the value of a JSON text; characters that `orjson` refuses become ones that are invalid in names.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return _writable(_DECODER.decode(text if isinstance(text, str) else text.decode("utf-8", "replace")))
        except (OverflowError, RecursionError) as error:
            raise ValueError(str(error)) from None


def _writable(value: Any) -> Any:
    """A value of the standard library's decoder as `orjson` could have read it.

    A text with a lone surrogate, as a program leaves it that cuts an emoji in two, is no Unicode text. Most are in
    prose, and the record counts; in a name or an id the substitute is invalid, so that one is skipped, with its line.
    """
    if isinstance(value, str):
        return _LONE_SURROGATE.sub(lambda found: f"{_SUBSTITUTE}u{ord(found[0]):04x}", value)
    if isinstance(value, dict):
        return {_writable(name): _writable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_writable(each) for each in value]
    return float(value) if isinstance(value, int) and value not in _INTEGERS else value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)
