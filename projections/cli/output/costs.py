"""What a total does not hold, as lines below it: usage without a price, incomplete usage, rows without a reading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import orjson

from ledger.events import money
from ledger.text import counted, first_of
from projections.cli.output.text import plain
from projections.folding.breakdown import UNATTRIBUTED
from projections.folding.cost_words import in_words, is_lower_bound, row_cost, row_in_words, shown_cost
from projections.folding.row import Row
from projections.folding.spend import AMOUNTS

if TYPE_CHECKING:
    from rich.console import Console

    from projections.reports.spend_report import Line

__all__ = [
    "in_words",
    "is_lower_bound",
    "line_cost",
    "model_name",
    "print_missing",
    "print_unpriced",
    "row_cost",
    "row_in_words",
    "shown_cost",
    "unknown_rows",
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


def unknown_rows(rows: Iterable[Row]) -> int:
    """Return how many rows have no reading: their cost is unknown."""
    return sum(row.cost_basis is None for row in rows)


def model_name(model: str) -> str:
    """Return a model for people; what named none is no model's name."""
    return "no model named" if model == UNATTRIBUTED else plain(model)


def line_cost(line: Line, nanousd: int | None = None) -> str:
    """Return the cost of a line of a report for a table, or another amount that is a lower bound when the line is."""
    unpriced = line.amounts[AMOUNTS.index("unpriced_events")] > 0
    return shown_cost(line.amounts[0] if nanousd is None else nanousd, unpriced=unpriced, at_least=line.at_least)


def print_missing(out: Console, cost_nanousd: int, *, unknown: int, incomplete: bool) -> None:
    """Print what "≥" means below a total, or why it is unknown; nothing where the total is complete.

    Args:
        unknown: rows of the total without a reading.
        incomplete: some usage has no price or is incomplete.
    """
    reasons = ["some usage has no price or is incomplete"] if incomplete else []
    if unknown:
        reasons.append(f"{counted(unknown, 'workflow')} without a reading, whose cost is unknown")
    if reasons:
        out.print(("≥ means at least: " if cost_nanousd else "") + "; ".join(reasons))


def print_unpriced(out: Console, cost_nanousd: int, unpriced: Unpriced, *, indent: str = "") -> None:
    """Print the models without a price, most tokens first; nothing when all usage is priced.

    Args:
        cost_nanousd: of the total, which they make a lower bound; 0 leaves it out.
    """
    if unpriced:
        from rich.text import Text

        messages = counted(sum(events for events, _ in unpriced.values()), "message")
        most_first = sorted(unpriced.items(), key=lambda one: (-one[1][1], one[0]))
        named = first_of(
            [
                f"{model_name(name)} ({counted(events, 'message')}, {counted(tokens, 'token')})"
                for name, (events, tokens) in most_first
            ]
        )
        line = Text(indent)
        if cost_nanousd:
            line = line.append("at least ", "yellow").append(money.shown(cost_nanousd), "bold").append(", ")
        out.print(line.append(f"{messages} unpriced: {named}"))
