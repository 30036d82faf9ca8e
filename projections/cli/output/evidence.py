"""How much of a figure is dated by evidence, as a line below it: the sources of these readings have no time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ledger.events import money
from projections.cli.output.text import plain

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_evidence"]

_NAMES: Final = {
    "file": "the log file's modification time",
    "adw_state": "the times in adw_state.json",
    "application": "the times of the application's row",
    "transcript": "the times of the session's transcript",
}


def print_evidence(out: Console, dated: Mapping[str, int]) -> None:
    """Print how much is dated by which evidence; nothing when all events carry their times."""
    for name, nanousd in dated.items():
        out.print(f"{money.shown(nanousd)} dated by {_NAMES.get(name) or plain(name)}")
