"""Budgets: the status of a workflow against its budget, from its row or its state.

The budget is the one that the workflow's start names, else its template's, else the default.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from ledger.events import money
from ledger.text import counted
from projections.folding.breakdown import basis_of, summarise
from projections.folding.fold import RUNNING, State
from projections.folding.projection import moves_of
from projections.folding.row import FIGURE_MAX, Row, is_held, spend
from projections.folding.spend import quarter_of
from projections.history.idle import is_moved
from projections.history.store import HistoryStore
from projections.reports.periods import Per, start_of

__all__ = [
    "WARN_AT",
    "BudgetState",
    "BudgetStatus",
    "Budgets",
    "PeriodBudget",
    "budget_status",
    "configured_budgets",
    "cost_so_far",
    "ended_near_or_over",
    "near_or_over",
    "of_running",
    "standing_so_far",
]

WARN_AT: Final = (Decimal("0.8"),)
"""The default shares of a budget at which a warning is given: late enough to matter, early enough to act."""


_WITH_THEIR_OWN: Final = FIGURE_MAX
"""The cost from which rows are asked for where none but those that name a budget have one."""


class BudgetState(StrEnum):
    """The state of a budget: `ok` below the first warning share, `warned` from there on, `over` above the budget.

    A budget of $0 with usage without a price is `warned`: it may be over.
    """

    OK = "ok"
    WARNED = "warned"
    OVER = "over"


class PeriodBudget(Protocol):
    """A configured budget of a period: `ledger.config.budgets.PeriodBudgetConfig`."""

    @property
    def name(self) -> str | None:
        """The name for people."""
        ...

    @property
    def per(self) -> Per:
        """The period."""
        ...

    @property
    def usd(self) -> int:
        """Nanodollars for each period."""
        ...

    @property
    def where(self) -> tuple[str, ...]:
        """The conditions, each NAME=VALUE."""
        ...

    @property
    def warn_at(self) -> tuple[Decimal, ...] | None:
        """The shares at which a warning is given, the smallest first; None: those of all budgets."""
        ...


class Budgets(Protocol):
    """The configured budgets, for starts that name none: `ledger.config.schema.Budgets`."""

    @property
    def warn_at(self) -> tuple[Decimal, ...]:
        """The shares of a budget at which a warning is given, the smallest first."""
        ...

    @property
    def timezone(self) -> tzinfo | None:
        """Whose days the periods begin with; None: those of this host."""
        ...

    @property
    def period(self) -> tuple[PeriodBudget, ...]:
        """The budgets of days, weeks and months, see `period_budgets`."""
        ...

    @property
    def lowest(self) -> int | None:
        """The lowest budget of a template or of all in nanodollars; None when none is set."""
        ...

    def of(self, workflow_template: str | None) -> int | None:
        """Return the budget of a template in nanodollars; None when none is set."""
        ...


class _NoBudgets:
    """The budgets without a configuration."""

    warn_at = WARN_AT
    timezone: tzinfo | None = None
    period: tuple[PeriodBudget, ...] = ()
    lowest: int | None = None

    def of(self, workflow_template: str | None) -> int | None:  # noqa: ARG002
        """Return None: none is set."""
        return None


def configured_budgets(config: Path | None) -> Budgets:
    """Return the budgets that a configuration file sets.

    Raises:
        InvalidConfig: the file cannot be used.
    """
    if config is None:
        return _NoBudgets()
    from ledger.config.schema import load  # takes as long to import as the rest of a drain or a check

    return load(config).budgets


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """The status of a workflow against its budget, in nanodollars.

    Attributes:
        at_least: some usage has no price or is incomplete, so the cost is a lower bound.
        unpriced: the number of meters whose tokens have no price.
        warn_at: the shares of the budget at which a warning is given, the smallest first.
        known: the workflow has a reading.
    """

    budget_nanousd: int
    spent_nanousd: int
    at_least: bool
    unpriced: int
    warn_at: tuple[Decimal, ...] = WARN_AT
    known: bool = True

    @property
    def left_nanousd(self) -> int:
        """The rest of the budget; negative once it is over, and an upper bound with `at_least`."""
        return self.budget_nanousd - self.spent_nanousd

    @property
    def percent(self) -> int | None:
        """The used share of the budget, rounded down, and at least 101 when it is over; None of a budget of $0."""
        if self.budget_nanousd == 0:
            return None
        share = 100 * self.spent_nanousd // self.budget_nanousd
        return max(share, 101) if self.left_nanousd < 0 else share

    @property
    def in_percent(self) -> str:
        """The end of a sentence: " (84 %)", or an empty text."""
        return "" if self.percent is None else f" ({self.percent} %)"

    @property
    def state(self) -> BudgetState:
        """The state of the budget."""
        if self.left_nanousd < 0:
            return BudgetState.OVER
        nears = self.unpriced > 0 if self.percent is None else self.warned_at is not None
        return BudgetState.WARNED if nears else BudgetState.OK

    @property
    def warned_at(self) -> Decimal | None:
        """The largest warning share that has been reached; None below all of them and without a share."""
        if self.budget_nanousd == 0:
            return None
        reached = [share for share in self.warn_at if self.spent_nanousd >= share * self.budget_nanousd]
        return reached[-1] if reached else None

    @property
    def warning(self) -> str | None:
        """The warning for a person: "is over its budget (120 %)"; None while it is `ok`."""
        if self.state is BudgetState.OK:
            return None
        return f"{'is over' if self.state is BudgetState.OVER else 'nears'} its budget{self.in_percent}"

    @property
    def in_short(self) -> str:
        """The status for a table: "84 % of $5.00"."""
        whole = money.shown(self.budget_nanousd, 2)
        if self.unpriced and not self.spent_nanousd:
            return f"unpriced of {whole}"
        if not self.spent_nanousd and (self.at_least or not self.known):
            return f"unknown of {whole}"
        if self.percent is None:
            return f"over {whole}" if self.left_nanousd < 0 else whole
        return f"{'≥ ' if self.at_least else ''}{self.percent} % of {whole}"

    def __str__(self) -> str:
        """Return a sentence without the workflow: "$4.20 of $5.00 spent (84 %), $0.80 left"."""
        least, most = ("at least ", "at most ") if self.at_least else ("", "")
        spent, budget, left = self._shown()
        rest = f"{least}{left} over" if self.left_nanousd < 0 else f"{most}{left} left"
        tokens = f"; {counted(self.unpriced, 'reading')} without a price"
        if self.unpriced and not self.spent_nanousd:
            return f"an unpriced amount spent, {rest} of {budget}{tokens}"
        if not self.spent_nanousd and (self.at_least or not self.known):
            return f"an unknown amount spent, at most {left} left of {budget}"
        return f"{least}{spent} of {budget} spent{self.in_percent}, {rest}{tokens if self.unpriced else ''}"

    def _shown(self) -> tuple[str, str, str]:
        """Return the cost, the budget and their difference, with enough decimals to show the difference."""
        left = abs(self.left_nanousd)
        decimals = next((n for n in range(4, 9) if left == 0 or 2 * left >= 10 ** (9 - n)), 9)
        figures = (self.spent_nanousd, self.budget_nanousd, left)
        spent, budget, rest = (money.shown(figure, decimals) for figure in figures)
        return spent, budget, rest


def budget_status(row: Row, budgets: Budgets) -> BudgetStatus | None:
    """Return the status of a workflow against its budget; None when there is none.

    Args:
        budgets: for workflows whose start names none.
    """
    budget = row.budget_nanousd if row.budget_nanousd is not None else budgets.of(row.workflow_template)
    if budget is None or is_moved(row):
        return None
    least = row.cost_basis == "partial" and not is_held(row)
    return BudgetStatus(
        budget, row.actual_cost_nanousd, least, row.unpriced_events, budgets.warn_at, known=row.cost_basis is not None
    )


def near_or_over(rows: Iterable[Row], budgets: Budgets) -> list[tuple[Row, BudgetStatus]]:
    """Return the rows near or over their budget, the one that has used the largest share of it first."""
    both = [(row, budget_status(row, budgets)) for row in rows]
    found = [(row, status) for row, status in both if status is not None and status.state is not BudgetState.OK]
    return sorted(found, key=lambda one: (one[1].left_nanousd >= 0, -(one[1].percent or 0), one[0].adw_id))


def ended_near_or_over(
    history: HistoryStore, first: int | None, last: int | None, budgets: Budgets
) -> list[tuple[Row, BudgetStatus]]:
    """Return the workflows that ended near or over their budget, in the order of `near_or_over`.

    Args:
        first, last: quarter hours of their last activity, both included; None: no bound.

    Raises:
        HistoryUnavailable: the store cannot be used.
    """
    share = min((*budgets.warn_at, Decimal(1)))
    cost_from = _WITH_THEIR_OWN if budgets.lowest is None else int(budgets.lowest * share)
    rows = history.rows(since=start_of(first), cost_from=cost_from)
    ended = [(row, row.last_activity) for row in rows if row.status != RUNNING]
    within = [row for row, at in ended if at is not None and (last is None or quarter_of(at) <= last)]
    return near_or_over(within, budgets)


def of_running(history: HistoryStore, budgets: Budgets) -> list[tuple[Row, BudgetStatus]]:
    """Return the running workflows that have a budget, sorted by `adw_id`.

    Raises:
        HistoryUnavailable: the store cannot be used.
    """
    cost_from = _WITH_THEIR_OWN if budgets.lowest is None else None
    both = [(row, budget_status(row, budgets)) for row in history.rows(RUNNING, cost_from=cost_from)]
    return [(row, status) for row, status in both if status is not None]


def standing_so_far(state: State, budgets: Budgets) -> BudgetStatus | None:
    """Return the status of a workflow by its state, without a row."""
    budget = state.budget_nanousd if state.budget_nanousd is not None else budgets.of(state.workflow_template)
    if budget is None:
        return None
    return BudgetStatus(budget, *cost_so_far(state), budgets.warn_at, state.readings > 0)


def cost_so_far(state: State) -> tuple[int, bool, int]:
    """Return the cost of a workflow by its ledger, whether it is a lower bound, and how many meters have no price.

    Sessions that were moved to another workflow are not in it. It is a lower bound where the ledger shows that all of
    it was moved, or that it was opened for others that count in it.
    """
    home = state.workflow_id
    rest, _ = state.moves.get(None, (home, None))
    least = state.opened_for_move or rest != home
    away = {one.session_id for one in moves_of(state) if one.to != rest} - {None} if state.moves else set()
    if not away:
        summary = summarise(state.tree)
        return state.cost_nanousd, least or basis_of(summary, state.unread_events) == "partial", summary.unpriced
    remaining = [one for one in spend(state) if one.session_id not in away]
    unpriced = sum(one.unpriced_events for one in remaining)
    least = least or any(one.partial or one.unpriced_events or one.unpriced_tokens for one in remaining)
    return sum(one.cost_nanousd for one in remaining), least, unpriced
