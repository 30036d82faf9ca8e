"""Budgets of a day, a week or a month: what was spent of each in the present period.

A budget's cost is the total of the spend query with its conditions and the days of its period:

    found = period_budgets(history, budgets, day, zone, rules=rules)
    [(one.title, str(one.status)) for one in found if one.status.state is not BudgetState.OK]
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import Final

from ledger.errors import InvalidInput
from projections.folding.row import Row
from projections.folding.spend import AMOUNTS
from projections.history.store import HistoryStore
from projections.reports.budgets import Budgets, BudgetState, BudgetStatus, PeriodBudget
from projections.reports.dimensions import dimension, parsed_where
from projections.reports.periods import bounds_of, label_of, quarters
from projections.reports.spend_report import Line, SpendQuery, spend_report
from projections.reports.tags import TagRules

__all__ = ["PeriodBudgetStatus", "budgets_now", "counts_workflow", "period_budgets", "period_status", "spent_most"]

_UNPRICED: Final = AMOUNTS.index("unpriced_events")


@dataclass(frozen=True, slots=True)
class PeriodBudgetStatus:
    """What was spent of a budget in a period.

    Attributes:
        period: its name, such as `2026-11`.
        since, until: its first and its last day.
        problem: why nothing can have its conditions, such as a tag that no workflow has; None: there is no reason.
    """

    budget: PeriodBudget
    period: str
    since: date
    until: date
    status: BudgetStatus
    problem: str | None = None

    @property
    def name(self) -> str:
        """The configured name, else the conditions."""
        return self.budget.name or ", ".join(self.budget.where) or "all spend"

    @property
    def title(self) -> str:
        """The name with the period: "team payments in 2026-11"."""
        return f"{self.name} in {self.period}"

    def __str__(self) -> str:
        """Return a sentence: "team payments in 2026-11: $4.2000 of $5.0000 spent (84 %), $0.8000 left"."""
        return f"{self.title}: {self.status}"


def period_status(
    budget: PeriodBudget, warn_at: tuple[Decimal, ...], day: date, total: Line, problem: str | None = None
) -> PeriodBudgetStatus:
    """Return what a total comes to of a budget; pure.

    Args:
        warn_at: the shares of a budget that names none of its own.
        day: a day of the period.
        total: what was spent in the period under the conditions of the budget.
    """
    shares = warn_at if budget.warn_at is None else budget.warn_at
    status = BudgetStatus(budget.usd, total.amounts[0], total.at_least, total.amounts[_UNPRICED], shares)
    return PeriodBudgetStatus(budget, label_of(budget.per, day), *bounds_of(budget.per, day), status, problem)


def period_budgets(
    history: HistoryStore, budgets: Budgets, day: date, zone: tzinfo | None, *, rules: TagRules = ()
) -> list[PeriodBudgetStatus]:
    """Return what was spent of each budget in the period that a day is in, in the order of the configuration.

    Args:
        zone: whose days; None is the local one of this host.
        rules: see `dimensions.dimension`.

    Raises:
        HistoryUnavailable: the store cannot be used.
    """
    found = list[PeriodBudgetStatus]()
    for budget in budgets.period:
        first, last = quarters(*bounds_of(budget.per, day), zone)
        try:
            query = SpendQuery(where=parsed_where("where", budget.where), first=first, last=last)
            total, problem = spend_report(history, query, zone, rules=rules).total, None
        except InvalidInput as error:  # nothing has such a tag, yet
            total, problem = Line(), str(error)
        found.append(period_status(budget, budgets.warn_at, day, total, problem))
    return found


def budgets_now(history: HistoryStore, budgets: Budgets, *, rules: TagRules = ()) -> list[PeriodBudgetStatus]:
    """Return what was spent of each budget in the present period, of the configured time zone, else of this host's.

    Raises:
        HistoryUnavailable: the store cannot be used.
    """
    return period_budgets(history, budgets, datetime.now(budgets.timezone).date(), budgets.timezone, rules=rules)


def counts_workflow(budget: PeriodBudget, row: Row | None, rules: TagRules = ()) -> bool:
    """Return whether all that a workflow spends counts in a budget, by its row.

    A workflow without a row counts in budgets without conditions only, and none does where only some of its calls
    may count, as with `model=`.

    Raises:
        InvalidInput: a condition asks for a number by what is none.
    """
    for name, asked in parsed_where("where", budget.where):
        one = dimension(name, rules)
        if row is None or one.is_of_spend or not one.matches({name: getattr(row, name) for name in one.columns}, asked):
            return False
    return True


def spent_most(found: Iterable[PeriodBudgetStatus]) -> list[PeriodBudgetStatus]:
    """Return the budgets that are near or over, the one with the largest share first."""
    near = [one for one in found if one.status.state is not BudgetState.OK]
    return sorted(near, key=lambda one: (one.status.left_nanousd >= 0, -(one.status.percent or 0), one.title))
