"""The end of a run that a ledger already has: an end that repeats it appends nothing.

A second end would move the time at which the workflow ended.
"""

from __future__ import annotations

import mmap
import re
from typing import Final

from ledger.errors import CostledgerError
from ledger.events.event import END_TYPES, LIFECYCLE_TYPES, Event, Line, event
from ledger.events.runs import Runs
from ledger.storage.directory_store import DirectoryStore
from projections.cli.option_errors import InvalidOption

__all__ = ["check_run", "end_so_far", "is_repeated", "same_event"]

_AN_END: Final = re.compile(rb'"type":"workflow_(?:completed|failed|cancelled)"')
_OF_THE_JOURNAL: Final = ("v", "seq", "recorded_at", "hash")


def end_so_far(ledgers: DirectoryStore, workflow_id: str) -> Line | None:
    """Return the line of the end of the current run; None while it runs. A ledger without an end costs a search.

    None also where it cannot be read: the append that follows has the error.
    """
    try:
        return _last_end(ledgers, workflow_id) if _names_an_end(ledgers, workflow_id) else None
    except (CostledgerError, OSError):
        return None


def check_run(ledgers: DirectoryStore, workflow_id: str, run: int) -> None:
    """Check that a run may end: it has started, or it is the first, which needs no start.

    Raises:
        InvalidOption: there is no such run; the message names those that there are.
        CostledgerError: the ledger cannot be read.
    """
    lifecycle = (line for line in ledgers.read(workflow_id) if line["type"] in LIFECYCLE_TYPES)
    runs = {line["run"] for line in lifecycle if isinstance(line.get("run"), int)} or {1}
    if run not in runs:
        names = ", ".join(map(str, sorted(runs)))
        raise InvalidOption(f"--run: run {run} of {workflow_id} never started; its runs: {names}")


def is_repeated(given: Event, end: Line) -> bool:
    """Return whether an event has nothing that an end in the ledger lacks; one with an id or a time of its own has."""
    own = given.fields
    same = given.type == end["type"] and all(end.get(name) == value for name, value in own.items())
    return same and "id" not in own and "observed_at" not in own


def same_event(end: Line) -> Event:
    """Return the event of a line, whose append returns the receipt of that line."""
    return event({name: value for name, value in end.items() if name not in _OF_THE_JOURNAL})


def _names_an_end(ledgers: DirectoryStore, workflow_id: str) -> bool:
    with (
        ledgers.ledger_path(workflow_id).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as ledger,
    ):
        return _AN_END.search(ledger) is not None


def _last_end(ledgers: DirectoryStore, workflow_id: str) -> Line | None:
    runs, last = Runs(), None
    for line in ledgers.read(workflow_id):
        if line["type"] in LIFECYCLE_TYPES and isinstance(run := line.get("run"), int):
            is_current = run >= runs.run
            runs = runs.after(line["type"], run)
            last = line if is_current and line["type"] in END_TYPES else last
    return last if runs.ended else None
