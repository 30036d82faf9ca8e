"""Blocks: the windows in which plans of agents limit usage, five hours or seven days from the first activity on.

A window begins with the full hour (UTC) of the first activity outside the one before, as in ccusage. Activity is known
by the quarter hour.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from fractions import Fraction
from typing import Final, Literal

from projections.folding.spend import QUARTER_SECONDS
from projections.history.store import HistoryStore
from projections.reports.spend_report import Line, SpendQuery, spend_sums, total_tokens
from projections.reports.tags import TagRules

__all__ = ["RECENT_DAYS", "WINDOWS", "Block", "Window", "blocks", "blocks_of"]

Window = Literal["5h", "7d"]

_HOUR: Final = 4
WINDOWS: Final[dict[Window, int]] = {"5h": 5 * _HOUR, "7d": 7 * 24 * _HOUR}
"""The windows, and their quarter hours."""

RECENT_DAYS: Final = 3
"""The days of `recent`."""


@dataclass(slots=True)
class Block:
    """One window and what was spent in it.

    Attributes:
        start, end: quarter hours, the last one not included.
        first, last: the first and the last quarter hour with activity.
    """

    start: int
    end: int
    first: int
    last: int
    spent: Line = field(default_factory=Line)

    @property
    def cost(self) -> int:
        """The cost in nanodollars."""
        return self.spent.cost

    @property
    def tokens(self) -> int:
        """The tokens."""
        return total_tokens(self.spent.amounts)

    def is_active(self, now: datetime) -> bool:
        """Return whether a moment is in the window."""
        return self.start * QUARTER_SECONDS <= now.timestamp() < self.end * QUARTER_SECONDS

    def burn(self, now: datetime) -> BlockRate:
        """Return the rate since the first activity, and what the window comes to by its end."""
        at = int(now.timestamp())
        spent_in, left = max(at - self.first * QUARTER_SECONDS, QUARTER_SECONDS), self.end * QUARTER_SECONDS - at
        cost, tokens = Fraction(max(self.cost, 0), spent_in), Fraction(max(self.tokens, 0), spent_in)
        return BlockRate(
            left,
            round(cost * 3600),
            round(tokens * 60),
            self.cost + round(cost * left),
            self.tokens + round(tokens * left),
        )


@dataclass(frozen=True, slots=True)
class BlockRate:
    """The burn rate of an active window, and what it comes to if that goes on.

    Attributes:
        seconds_left: until the end of the window.
        per_hour, projected: in nanodollars.
    """

    seconds_left: int
    per_hour: int
    tokens_per_minute: int
    projected: int
    projected_tokens: int


def blocks(
    history: HistoryStore,
    window: Window,
    zone: tzinfo | None,
    now: datetime,
    *,
    where: tuple[tuple[str, tuple[str, ...]], ...] = (),
    rules: TagRules = (),
    recent: bool = False,
    active: bool = False,
) -> list[Block]:
    """Return the windows with activity, the latest last.

    Args:
        recent: only those that end within the last `RECENT_DAYS`.
        active: only the one that a moment is in.
        zone, where, rules: see `spend_report`.

    Raises:
        InvalidInput: a name is no dimension and no tag, or a value is none of its dimension.
        HistoryUnavailable: the store cannot be used.
    """
    sums = spend_sums(history, SpendQuery(where=where), zone, rules=rules, by_quarter=True)
    found = blocks_of(
        ((quarter, model, packed) for quarter, _, model, _, packed in sums),
        WINDOWS[window],
    )
    oldest = now.timestamp() - RECENT_DAYS * 24 * 3600
    if recent:
        found = [block for block in found if block.end * QUARTER_SECONDS > oldest]
    return [block for block in found if not active or block.is_active(now)]


def blocks_of(sums: Iterable[tuple[int, str, int]], quarters: int) -> list[Block]:
    """Return the windows of sums.

    Args:
        sums: quarter hour, model and packed figures, in the order of the quarter hours.
        quarters: how many a window has.
    """
    found: list[Block] = []
    for quarter, model, packed in sums:
        if not packed:
            continue
        if not found or quarter >= found[-1].end:
            start = quarter - quarter % _HOUR
            found.append(Block(start, start + quarters, quarter, quarter))
        found[-1].last = quarter
        found[-1].spent.take(model, packed)
    return found
