"""What a total does not hold: usage without a price, whose models are named below it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import orjson

from ledger.events import money
from ledger.text import counted
from projections.cli.output.text import plain
from projections.folding.cost_words import in_words, row_cost, row_in_words, shown_cost
from projections.folding.row import Row

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "in_words",
    "print_unpriced",
    "row_cost",
    "row_in_words",
    "shown_cost",
    "unpriced_of",
]

Unpriced = dict[str, tuple[int, int]]
"""Messages without a price and their tokens, by model."""


def unpriced_of(rows: Iterable[Row]) -> Unpriced:
    """Return the unpriced usage of rows, by model."""
    found: Unpriced = {}
    for row in rows:
        if row.unpriced_events:
            for name, usage in orjson.loads(row.cost_breakdown).get("unpriced", {}).items():
                events, tokens = found.get(name, (0, 0))
                found[name] = (events + usage["events"], tokens + usage["tokens"])
    return dict(sorted(found.items()))


def print_unpriced(out: Console, cost_nanousd: int, unpriced: Unpriced, *, indent: str = "") -> None:
    """Print that a total is a lower bound, and why; nothing when all usage is priced."""
    if unpriced:
        from rich.text import Text

        messages = counted(sum(events for events, _ in unpriced.values()), "message")
        named = ", ".join(
            f"{plain(name)} ({counted(events, 'message')}, {counted(tokens, 'token')})"
            for name, (events, tokens) in unpriced.items()
        )
        line = Text(indent)
        if cost_nanousd:
            line = line.append("at least ", "yellow").append(money.shown(cost_nanousd), "bold").append(", ")
        out.print(line.append(f"{messages} unpriced: {named}"))
