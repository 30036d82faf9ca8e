"""Progress of long work: bars on stderr, and nothing at all, rich not even imported, when that is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

__all__ = ["counted_bar", "progress_bar"]

Tell = Callable[[int, int], None]
"""Takes how much is done, and of how much."""


@contextmanager
def counted_bar(doing: str, unit: str) -> Iterator[Tell]:
    """For a task measured in things."""
    if not sys.stderr.isatty():
        yield _untold
        return
    from rich.progress import MofNCompleteColumn, TextColumn

    with _bar(doing, MofNCompleteColumn(), TextColumn(unit)) as tell:
        yield tell


@contextmanager
def progress_bar(doing: str) -> Iterator[Tell]:
    """For a task measured in bytes."""
    if not sys.stderr.isatty():
        yield _untold
        return
    from rich.progress import DownloadColumn

    with _bar(doing, DownloadColumn()) as tell:
        yield tell


def _untold(done: int, size: int) -> None:
    """Nobody looks."""


@contextmanager
def _bar(doing: str, *measures: ProgressColumn) -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(doing), BarColumn(), *measures, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)
