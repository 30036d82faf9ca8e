"""Where people read: the console, its styles, and tables that several commands print; rich is imported for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from projections.cli.output.tables import Id, Table
from projections.cli.output.text import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from projections.replay.drift import Finding

__all__ = ["BUDGET_STYLES", "console", "print_findings", "styled_status"]

_PIPED_COLUMNS = 100_000
"""Width of what goes to a file or a pipe: nothing is broken, shortened or left out there."""

_STYLES = {"completed": "green", "running": "cyan", "idle": "dim", "failed": "red", "cancelled": "yellow"}

BUDGET_STYLES: Final = {"ok": "", "warned": "yellow", "over": "red"}


def console() -> Console:
    """Return a console as wide as the terminal; into a pipe as $COLUMNS, or wide enough. Rich respects NO_COLOR.

    Markup is off: what agents call themselves is text, never a style.
    """
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            """Leave a closed output to `main`, which knows what it means; rich would exit with 1."""
            raise

    return Output(highlight=False, markup=False, width=None if sys.stdout.isatty() else _piped_columns())


def _piped_columns() -> int:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isascii() and columns.isdigit() and int(columns) else _PIPED_COLUMNS


def styled_status(status: str, *, idle: bool = False, moved: bool = False) -> Text:
    """Return a status in its colour.

    Args:
        idle: the workflow is open, and had no activity for some time.
        moved: it counts in the row of another workflow.
    """
    from rich.text import Text

    shown = "moved" if moved else "idle" if idle else status
    return Text(shown, style=_STYLES.get(shown, ""))


def print_findings(findings: Iterable[Finding]) -> None:
    """Print each finding with its next step."""
    shown = Table(None, "workflow", "finding", "next step", prose=("finding", "next step"))
    for finding in findings:
        shown.add_row(Id(finding.workflow_id), plain(finding.problem), finding.next_step)
    if shown.row_count:
        shown.print(console())
