"""Progress of long work: bars on stderr, and nothing at all, rich not even imported, when that is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

__all__ = ["counted_bar", "progress_bar"]

Progress = Callable[[int, int], None]
"""Takes how much is done, and of how much."""


def counted_bar(doing: str, unit: str) -> AbstractContextManager[Progress]:
    """Show a bar for a task measured in things."""
    return _bar(doing, unit)


def progress_bar(doing: str) -> AbstractContextManager[Progress]:
    """Show a bar for a task measured in bytes."""
    return _bar(doing, None)


@contextmanager
def _bar(doing: str, unit: str | None) -> Iterator[Progress]:
    if not sys.stderr.isatty():
        yield lambda done, size: None  # noqa: ARG005 - there is no terminal
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    measures = (DownloadColumn(),) if unit is None else (MofNCompleteColumn(), TextColumn(unit))
    columns = (TextColumn(doing), BarColumn(), *measures, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)
