"""Tables, JSON and progress for people and programs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from projections.cli.tables import Id, Table
from projections.drift import Finding

__all__ = [
    "console",
    "counted_bar",
    "local_time",
    "place",
    "plain",
    "print_findings",
    "print_json",
    "progress_bar",
    "short_ids",
    "styled_status",
]

_PIPED_COLUMNS = 100_000
"""Width of what goes to a file or a pipe: nothing is broken, shortened or left out there."""

_UUID = re.compile(r"([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_STYLES = {"completed": "green", "running": "cyan", "failed": "red", "cancelled": "yellow"}


def console() -> Console:
    """Where people read: the terminal's width, or wide enough when it is not one. NO_COLOR is respected by rich.

    Markup is off: what agents call themselves is text, never a style.
    """
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _PIPED_COLUMNS)


def styled_status(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=_STYLES.get(status, ""))


def short_ids(text: str) -> str:
    """A text for a narrow terminal, its UUIDs cut to their first eight digits."""
    return _UUID.sub(r"\1…", text)


def plain(text: str) -> str:
    """Foreign text without the characters that drive a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "·" for c in text)


def print_json(value: object) -> None:
    """One JSON document, for programs."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=str))


def local_time(moment: str | None) -> str:
    """A moment of the ledger in the local time zone, to the second."""
    if moment is None:
        return ""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M:%S}"


def place(file: str | None, line: int | None) -> str:
    """Where something was read, relative to the current directory when it lies below."""
    if file is None:
        return "told directly"
    path = Path(file)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{plain(str(shown))}:{line}" if line is not None else plain(str(shown))


def print_findings(findings: Iterable[Finding]) -> None:
    """Each finding with its next step."""
    shown = Table(None, "workflow", "finding", "next step", prose=("finding", "next step"))
    for finding in findings:
        shown.add_row(Id(finding.workflow_id), plain(finding.problem), finding.next_step)
    if shown.row_count:
        shown.print(console())


@contextmanager
def counted_bar(doing: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr for a task measured in things; nothing when that is not a terminal."""
    bar = Progress(
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)


@contextmanager
def progress_bar(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr for a task measured in bytes; nothing when that is not a terminal."""
    bar = Progress(
        TextColumn(doing),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)
