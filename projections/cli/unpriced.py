"""What a total does not hold, said alike wherever a cost is shown: "≥" in a table, "at least" in a sentence.

Usage that has no price is "unpriced", never $0, and its models are named below.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson

from ledger import money
from ledger.words import counted
from projections.cli.output import plain
from projections.workflow_history import Row

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["in_words", "print_unpriced", "row_cost", "shown_cost", "unpriced_json", "unpriced_of"]

Unpriced = dict[str, tuple[int, int]]
"""Messages without a price and their tokens, by model."""


def shown_cost(nanousd: int, *, unpriced: bool, at_least: bool = False) -> str:
    """A cost in a table: "$1.7500"; "≥ $1.7500" when it is more than that; "unpriced" when none of it has a price."""
    if unpriced and not nanousd:
        return "unpriced"
    return f"≥ {money.shown(nanousd)}" if unpriced or at_least else money.shown(nanousd)


def row_cost(row: Row) -> str:
    """The cost of a workflow in a table."""
    return shown_cost(row.actual_cost_nanousd, unpriced=row.unpriced_events > 0, at_least=row.cost_basis == "partial")


def in_words(nanousd: int, *, unpriced: bool, at_least: bool = False) -> str:
    """A cost in a sentence: "$1.7500", "at least $1.7500", "an unpriced amount"."""
    shown = shown_cost(nanousd, unpriced=unpriced, at_least=at_least)
    return "an unpriced amount" if shown == "unpriced" else shown.replace("≥", "at least")


def unpriced_of(rows: Iterable[Row]) -> Unpriced:
    """What these rows say of it, together."""
    found: Unpriced = {}
    for row in rows:
        if row.unpriced_events:
            for name, told in orjson.loads(row.cost_breakdown).get("unpriced", {}).items():
                events, tokens = found.get(name, (0, 0))
                found[name] = (events + told["events"], tokens + told["tokens"])
    return dict(sorted(found.items()))


def unpriced_json(unpriced: Unpriced) -> dict[str, Any]:
    """The same for programs."""
    return {name: {"events": events, "tokens": tokens} for name, (events, tokens) in unpriced.items()}


def print_unpriced(out: Console, cost_nanousd: int, unpriced: Unpriced, *, indent: str = "") -> None:
    """Say that a total is a lower bound, and why; nothing when all usage is priced."""
    if unpriced:
        from rich.text import Text

        messages = counted(sum(events for events, _ in unpriced.values()), "message")
        named = ", ".join(
            f"{plain(name)} ({counted(events, 'message')}, {counted(tokens, 'token')})"
            for name, (events, tokens) in unpriced.items()
        )
        told = Text(indent)
        if cost_nanousd:
            told = told.append("at least ", "yellow").append(money.shown(cost_nanousd), "bold").append(", ")
        out.print(told.append(f"{messages} unpriced: {named}"))
