"""A line of a report: figures by model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from projections.folding.spend import AMOUNTS, Amounts
from projections.history.packed import cost_of, unpack
from projections.reports.dimensions import Value

__all__ = ["Line", "at_least", "merged", "total_tokens"]

_COUNTED: Final = itemgetter(
    *(AMOUNTS.index(f"{kind}_tokens") for kind in ("input", "cache_write", "cache_read", "output"))
)
_UNPRICED: Final = (AMOUNTS.index("unpriced_events"), AMOUNTS.index("unpriced_tokens"))
_PARTIAL: Final = AMOUNTS.index("partial")


@dataclass(slots=True)
class Line:
    """One line of a report.

    Attributes:
        period: the name of its period; None: all of the time.
        group: its value of each dimension of `by`.
        quarter: its last quarter hour, of sessions; of others one of its period.
        at: the last activity of a session, in seconds since 1970; by its last quarter hour where no more is known.
        packed: figures by model, see `packed.unpack`.
        unknown: workflows without a reading; only of a total, since no model or agent is known of them.
    """

    period: str | None = None
    group: tuple[Value, ...] = ()
    quarter: int = 0
    at: float = 0.0
    packed: dict[str, int] = field(default_factory=dict)
    unknown: int = 0

    @property
    def cost(self) -> int:
        """The cost in nanodollars."""
        return cost_of(sum(self.packed.values()))

    @property
    def amounts(self) -> Amounts:
        """The figures in the order of `AMOUNTS`."""
        return unpack(sum(self.packed.values()))

    @property
    def models(self) -> dict[str, Amounts]:
        """The figures by model."""
        return {name: unpack(packed) for name, packed in self.packed.items()}

    @property
    def at_least(self) -> bool:
        """Whether the line is a lower bound: under any model, or since the cost of a workflow is unknown."""
        return self.unknown > 0 or any(at_least(unpack(packed)) for packed in self.packed.values())

    @property
    def is_partial(self) -> bool:
        """Whether some of its usage is incomplete, under any model."""
        return any(unpack(packed)[_PARTIAL] > 0 for packed in self.packed.values())

    def take(self, model: str, packed: int) -> None:
        """Add figures of a model."""
        self.packed[model] = self.packed.get(model, 0) + packed

    def take_line(self, other: Line) -> None:
        """Add the figures of another line."""
        self.quarter = max(self.quarter, other.quarter)
        for model, packed in other.packed.items():
            self.take(model, packed)

    def leave_out_cancelled(self) -> None:
        """Leave out each model whose figures cancel out; a store may or may not have summed them already."""
        self.packed = {model: packed for model, packed in self.packed.items() if packed}


def merged(lines: Sequence[Line]) -> Line:
    """Return the sum of lines, such as of those that are not shown; a model whose figures cancel out is not in it."""
    found = Line()
    for line in lines:
        found.take_line(line)
    found.leave_out_cancelled()
    return found


def at_least(amounts: Sequence[int]) -> bool:
    """Return whether these figures are a lower bound: some usage has no price or is incomplete."""
    return amounts[_UNPRICED[0]] > 0 or amounts[_PARTIAL] > 0


def total_tokens(amounts: Sequence[int]) -> int:
    """Return the sum of input, cache writes, cache reads and output."""
    return sum(_COUNTED(amounts))
