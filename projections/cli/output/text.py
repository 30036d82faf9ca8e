"""Text and JSON as every command writes them; nothing here needs rich."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from ledger.events import timestamps
from ledger.text import without_escapes
from projections.json_text import json_bytes

__all__ = [
    "batches",
    "csv_cell",
    "duration",
    "from_home",
    "local_time",
    "location",
    "plain",
    "print_json",
    "print_json_list",
    "project_names",
    "short_ids",
]

T = TypeVar("T")

_BATCH: Final = 500
"""What is printed at once of a long list."""

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_UUID = re.compile(r"([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def short_ids(text: str) -> str:
    """Return a text for a narrow terminal, its UUIDs cut to their first eight digits."""
    return _UUID.sub(r"\1…", text)


def plain(text: str) -> str:
    """Return foreign text without the characters that control a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "·" for c in without_escapes(text))


def from_home(path: Path) -> str:
    """Return a path as a shell takes it, with `~` for the home."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else shlex.quote(str(path))


def project_names(projects: Iterable[str | None]) -> dict[str | None, str]:
    """Return a short name of each project: the last part of its path, of two that share it one part more, or all."""
    named = {project: re.split(r"[/\\]", project.rstrip("/\\")) for project in projects if project}
    found: dict[str | None, str] = {None: ""}
    for project, parts in named.items():
        alone = (size for size in (1, 2) if sum(other[-size:] == parts[-size:] for other in named.values()) == 1)
        found[project] = plain("/".join(parts[-next(alone, len(parts)) :])) or project
    return found


def print_json(value: object) -> None:
    """Print one JSON document, for programs."""
    click.echo(json_bytes(value, indented=True))


def batches(entries: Iterable[T]) -> Iterator[list[T]]:
    """Yield the entries of a long list, as many at a time as are printed at once."""
    left = iter(entries)
    while batch := list(islice(left, _BATCH)):
        yield batch


def print_json_list(name: str, entries: Iterable[object], rest: Callable[[], Mapping[str, Any]]) -> None:
    """Print one JSON object with a list that may be long, while its entries are made.

    Args:
        rest: the members after the list, asked for once that has ended.
    """
    before = f'{{\n  "{name}": ['
    for batch in batches(entries):
        for entry in batch:
            text = json_bytes(entry, indented=True).decode().replace("\n", "\n    ")
            click.echo(f"{before}\n    {text}", nl=False)
            before = ","
    end = "\n  ]" if before == "," else f"{before}]"
    click.echo(f"{end},{json_bytes(rest(), indented=True).decode()[1:]}")


def local_time(moment: str | None) -> str:
    """Return a moment of a row in the local time zone, to the second; other text as it is."""
    found = timestamps.moment(moment)
    return (moment or "") if found is None else f"{found.astimezone():%Y-%m-%d %H:%M:%S}"


def duration(seconds: int) -> str:
    """Return a duration in its two largest units: "42 s", "14 min 1 s", "10 h 24 min", "12 d 4 h"."""
    at = next((at for at, (_, size) in enumerate(_UNITS) if seconds >= size), len(_UNITS) - 1)
    parts: list[str] = []
    for name, size in _UNITS[at : at + 2]:
        count, seconds = divmod(seconds, size)
        if count or not parts:
            parts.append(f"{count:,} {name}")
    return " ".join(parts)


def location(file: str | None, line: int | None) -> str:
    """Return where something was read, relative to the current directory when it lies below."""
    if file is None:
        return "received by API"
    path = Path(file)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{plain(str(shown))}:{line}" if line is not None else plain(str(shown))


def csv_cell(value: Any) -> Any:
    """Return a name as text for a spreadsheet (https://owasp.org/www-community/attacks/CSV_Injection)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
