"""Budgets: what a workflow has spent of what it may cost. Rows or states and budgets in, standings out.

The budget is the one that the workflow's start names, else its template's, else the default.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from ledger.events import money
from ledger.text import counted
from projections.folding.breakdown import basis_of, summarise
from projections.folding.fold import State
from projections.folding.row import Row

__all__ = [
    "WARN_AT",
    "BudgetState",
    "BudgetStatus",
    "Budgets",
    "budget_status",
    "configured_budgets",
    "lower_bound",
    "near_or_over",
    "standing_so_far",
]

WARN_AT: Final = (Decimal("0.8"),)
"""The shares of a budget that are warned of by default: late enough to mean something, early enough to act."""


class BudgetState(StrEnum):
    """`ok` below the first share that is warned of, `warned` from there on, `over` above the whole budget.

    Usage without a price, of a budget of nothing, is `warned`: it may be over.
    """

    OK = "ok"
    WARNED = "warned"
    OVER = "over"


class Budgets(Protocol):
    """Budgets where a start names none: `ledger.config.schema.Budgets`."""

    @property
    def warn_at(self) -> tuple[Decimal, ...]:
        """The shares of a budget that are warned of, the smallest first."""
        ...

    def of(self, workflow_template: str | None) -> int | None:
        """Nanodollars; None when none is set."""
        ...


class _NoBudgets:
    """Those of no configuration."""

    warn_at = WARN_AT

    def of(self, workflow_template: str | None) -> int | None:  # noqa: ARG002
        """None is set."""
        return None


def configured_budgets(config: Path | None) -> Budgets:
    """The budgets that a configuration file sets.

    Raises:
        InvalidConfig: the file cannot be used.
    """
    if config is None:
        return _NoBudgets()
    from ledger.config.schema import load  # takes as long to import as all the rest of a drain or a check

    return load(config).budgets


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """How a workflow stands against its budget, in nanodollars.

    Attributes:
        at_least: some usage has no price or is known to be incomplete, so more than this was spent.
        unpriced: meters whose tokens have no price.
        warn_at: the shares of the budget that are warned of, the smallest first.
        known: some reading tells what was spent.
    """

    budget_nanousd: int
    spent_nanousd: int
    at_least: bool
    unpriced: int
    warn_at: tuple[Decimal, ...] = WARN_AT
    known: bool = True

    @property
    def left_nanousd(self) -> int:
        """Negative once it is over; with `at_least`, at most this is left."""
        return self.budget_nanousd - self.spent_nanousd

    @property
    def percent(self) -> int | None:
        """Of the budget, rounded down, and at least 101 when it is over.

        None of a budget of nothing, of which nothing is a share.
        """
        if self.budget_nanousd == 0:
            return None
        share = 100 * self.spent_nanousd // self.budget_nanousd
        return max(share, 101) if self.left_nanousd < 0 else share

    @property
    def in_percent(self) -> str:
        """Behind a sentence: " (84 %)", or nothing."""
        return "" if self.percent is None else f" ({self.percent} %)"

    @property
    def state(self) -> BudgetState:
        if self.left_nanousd < 0:
            return BudgetState.OVER
        nears = self.unpriced > 0 if self.percent is None else self.warned_at is not None
        return BudgetState.WARNED if nears else BudgetState.OK

    @property
    def warned_at(self) -> Decimal | None:
        """The largest share that is warned of and has been reached; None below all of them and without a share."""
        if self.budget_nanousd == 0:
            return None
        reached = [share for share in self.warn_at if self.spent_nanousd >= share * self.budget_nanousd]
        return reached[-1] if reached else None

    @property
    def warning(self) -> str | None:
        """What is to be said to a person: "is over its budget (120 %)"; None while it is `ok`."""
        if self.state is BudgetState.OK:
            return None
        return f"{'is over' if self.state is BudgetState.OVER else 'nears'} its budget{self.in_percent}"

    @property
    def in_short(self) -> str:
        """For a table: "84 % of $5.00"."""
        whole = money.shown(self.budget_nanousd, 2)
        if self.unpriced and not self.spent_nanousd:
            return f"unpriced of {whole}"
        if not self.spent_nanousd and (self.at_least or not self.known):
            return f"unknown of {whole}"
        if self.percent is None:
            return f"over {whole}" if self.left_nanousd < 0 else whole
        return f"{'≥ ' if self.at_least else ''}{self.percent} % of {whole}"

    def __str__(self) -> str:
        """A sentence without a name in front: "$4.20 of $5.00 spent (84 %), $0.80 left"."""
        least, most = ("at least ", "at most ") if self.at_least else ("", "")
        spent, budget, left = self._shown()
        rest = f"{least}{left} over" if self.left_nanousd < 0 else f"{most}{left} left"
        tokens = f"; the tokens of {counted(self.unpriced, 'meter')} have no price"
        if self.unpriced and not self.spent_nanousd:
            return f"an unpriced amount spent, {rest} of {budget}{tokens}"
        if not self.spent_nanousd and (self.at_least or not self.known):
            return f"an unknown amount spent, at most {left} left of {budget}"
        return f"{least}{spent} of {budget} spent{self.in_percent}, {rest}{tokens if self.unpriced else ''}"

    def _shown(self) -> tuple[str, str, str]:
        """What was spent, the budget and their difference, with as many decimals as a difference needs to be seen."""
        left = abs(self.left_nanousd)
        decimals = next((n for n in range(4, 9) if left == 0 or 2 * left >= 10 ** (9 - n)), 9)
        figures = (self.spent_nanousd, self.budget_nanousd, left)
        spent, budget, rest = (money.shown(figure, decimals) for figure in figures)
        return spent, budget, rest


def budget_status(row: Row, budgets: Budgets) -> BudgetStatus | None:
    """How a workflow stands against its budget; None when there is none.

    Args:
        budgets: where the workflow's start names none.
    """
    budget = row.budget_nanousd if row.budget_nanousd is not None else budgets.of(row.workflow_template)
    if budget is None:
        return None
    least = row.cost_basis == "partial"
    return BudgetStatus(
        budget, row.actual_cost_nanousd, least, row.unpriced_events, budgets.warn_at, known=row.cost_basis is not None
    )


def near_or_over(rows: Iterable[Row], budgets: Budgets) -> list[tuple[Row, BudgetStatus]]:
    """The rows that near their budget or are over it, the one that has used the largest share of it first."""
    both = [(row, budget_status(row, budgets)) for row in rows]
    found = [(row, stands) for row, stands in both if stands is not None and stands.state is not BudgetState.OK]
    return sorted(found, key=lambda one: (one[1].left_nanousd >= 0, -(one[1].percent or 0), one[0].adw_id))


def standing_so_far(state: State, budgets: Budgets) -> BudgetStatus | None:
    """The same by replay, without a row."""
    budget = state.budget_nanousd if state.budget_nanousd is not None else budgets.of(state.workflow_template)
    if budget is None:
        return None
    return BudgetStatus(budget, state.cost_nanousd, *lower_bound(state), budgets.warn_at, state.readings > 0)


def lower_bound(state: State) -> tuple[bool, int]:
    """Whether a workflow cost more than is known, and how many meters have tokens without a price."""
    summary = summarise(state.tree)
    return basis_of(summary, state.unread_events) == "partial", summary.unpriced
