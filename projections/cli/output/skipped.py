"""Inputs that were not read, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from ledger.sources.findings import Skipped
from projections.cli.output.console import console
from projections.cli.output.tables import Table
from projections.cli.output.text import location

__all__ = ["print_skipped"]

_SHOWN_MAX: Final = 20
"""Lines of skipped input that are printed."""


def print_skipped(every: Sequence[Skipped], *, rest: str) -> None:
    """Print where something was skipped, and why; nothing when nothing was.

    Args:
        rest: what lists those for which there is no room.
    """
    if not every:
        return
    shown = Table("skipped", "where", "why", prose=("where", "why"))
    for skipped in every[:_SHOWN_MAX]:
        shown.add_row(location(str(skipped.path.absolute()), skipped.line), skipped.reason)
    shown.print(console())
    if len(every) > _SHOWN_MAX:
        click.echo(f"  and {len(every) - _SHOWN_MAX:,} more; {rest}")
