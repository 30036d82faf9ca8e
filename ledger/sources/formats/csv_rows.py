"""CSV as spreadsheets and databases write it: any usual delimiter, a byte order mark or none, quoted line ends.

One row at a time is in memory. Text is UTF-8, or UTF-16 where a byte order mark shows that; rows that are neither are
skipped.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.errors import SourceUnreadable, reason
from ledger.sources.findings import Skipped
from ledger.sources.formats.regular_files import open_regular

__all__ = ["header", "rows"]

_DELIMITERS: Final = ",;\t|"
_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")
_HEADER_CHARACTERS_MAX: Final = 128 * 1024
"""Of the line that names the columns."""

_FIELD_CHARACTERS_MAX: Final = 16 * 1024 * 1024
"""Of one field: a log of calls may have whole prompts; a quote that is never closed ends here."""


def header(path: Path) -> list[str]:
    """Return the names of the columns.

    Raises:
        SourceUnreadable: it cannot be read, is empty, or names a column twice.
    """
    try:
        with _text(path) as text:
            return _header(path, text)[0]
    except OSError as error:
        raise SourceUnreadable(path, f"cannot be read: {reason(error)}") from error


def rows(path: Path) -> Iterator[tuple[int, dict[str, str]] | Skipped]:
    """Yield each row by column name, with its first line from 1, and what had to be skipped.

    Raises:
        SourceUnreadable: see `header`.
    """
    try:
        with _text(path) as text:
            names, delimiter, line = _header(path, text)
            yield from _rows(path, text, names, delimiter, line)
    except OSError as error:
        yield Skipped(path, None, f"cannot be read: {reason(error)}")


def _rows(
    path: Path, text: io.TextIOWrapper, names: list[str], delimiter: str, line: int
) -> Iterator[tuple[int, dict[str, str]] | Skipped]:
    previous = csv.field_size_limit(_FIELD_CHARACTERS_MAX)
    try:
        reader = csv.reader(text, delimiter=delimiter)
        while True:
            first = line + reader.line_num + 1
            try:
                values = next(reader, None)
            except csv.Error as error:
                yield Skipped(path, first, f"is not a row of CSV: {error}")
                continue
            if values is None:
                return
            if not values:
                continue
            if len(values) != len(names):
                yield Skipped(path, first, f"has {len(values)} fields, and the header names {len(names)}")
            elif any(map(_NOT_UTF8.search, values)):
                yield Skipped(path, first, "is not UTF-8")
            else:
                yield first, dict(zip(names, values, strict=True))
    finally:
        csv.field_size_limit(previous)


def _text(path: Path) -> io.TextIOWrapper:
    file = open_regular(path)
    start = file.read(3)
    file.seek(0)
    wide = start.startswith((b"\xff\xfe", b"\xfe\xff"))
    return io.TextIOWrapper(
        file, encoding="utf-16" if wide else "utf-8-sig", errors="replace" if wide else "surrogateescape", newline=""
    )


def _header(path: Path, text: io.TextIOWrapper) -> tuple[list[str], str, int]:
    """Column names, the delimiter, and how many lines they took."""
    first, lines = "", 0
    while not first.strip():
        first, lines = text.readline(_HEADER_CHARACTERS_MAX), lines + 1
        if not first:
            raise SourceUnreadable(path, "is empty")
        if len(first) >= _HEADER_CHARACTERS_MAX:
            problem = f"its first line, the header, is longer than {_HEADER_CHARACTERS_MAX:,} characters"
            raise SourceUnreadable(path, problem)
    delimiter = max(_DELIMITERS, key=first.count)
    names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    if any(map(_NOT_UTF8.search, names)):
        raise SourceUnreadable(path, "its header is not UTF-8")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SourceUnreadable(path, f"its header names the column {twice!r} twice")
    return names, delimiter, lines
