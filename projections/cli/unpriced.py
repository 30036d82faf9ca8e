"""What a total does not hold: usage of models that no price is known for, said by name wherever a total is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

from ledger import money
from projections.cli.output import plain
from projections.workflow_history import Row

__all__ = ["print_unpriced", "unpriced_json", "unpriced_of"]

Unpriced = dict[str, tuple[int, int]]
"""Messages without a price and their tokens, by model."""


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
        messages = _messages(sum(events for events, _ in unpriced.values()))
        named = [
            f"{plain(name)} ({_messages(events)}, {tokens:,} tokens)" for name, (events, tokens) in unpriced.items()
        ]
        told = Text.assemble(indent, ("at least ", "yellow"), (money.shown(cost_nanousd), "bold"))
        out.print(told.append(f", {messages} unpriced: {', '.join(named)}"))


def _messages(count: int) -> str:
    return f"{count:,} message" + ("" if count == 1 else "s")
