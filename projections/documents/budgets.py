"""What was spent of budgets: of a workflow's, and of a day's, a week's or a month's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, cast

from ledger.events import money
from projections.documents.types import About, AdwIdText, TypedDict, Usd, document, usd
from projections.folding.cost_words import known_cost, known_row_cost
from projections.reports.timezones import zone_called

if TYPE_CHECKING:
    from projections.folding.row import Row
    from projections.reports.budgets import Budgets, BudgetStatus
    from projections.reports.period_budgets import PeriodBudgetStatus

__all__ = [
    "BudgetDocument",
    "BudgetsDocument",
    "CheckDocument",
    "PeriodBudgetDocument",
    "budget_document",
    "budgets_document",
    "check_document",
    "period_budget_document",
]


@document
class BudgetDocument(TypedDict):
    """A budget, and what is left of it."""

    budget_usd: Usd
    spent_usd: Annotated[Usd | None, About("null: unknown or unpriced", examples=["4.20"])]
    left_usd: Annotated[Usd, About("negative when more than the budget was spent; at most this with `at_least`")]
    percent: Annotated[
        int | None,
        About(
            "the share that was spent, rounded down, and at least 101 when it is over; null for a budget of 0, and "
            "where `spent_usd` is",
            examples=[84],
        ),
    ]
    state: Annotated[
        str, About("ok, warned (from the first share of `[budgets] warn_at`) or over", examples=["warned"])
    ]
    at_least: Annotated[bool, About("some usage has no price or is incomplete, or there is no reading: more was spent")]


@document
class CheckDocument(TypedDict):
    """The fields of a row that its budget is checked by."""

    adw_id: AdwIdText
    status: str
    actual_cost_total: Annotated[
        Usd | None, About("null: unknown, or with `unpriced_events` unpriced", examples=["2.37"])
    ]
    cost_basis: Annotated[str | None, About("null: there is no reading", examples=["reported"])]
    unpriced_events: Annotated[int, About("meters whose tokens have no price")]
    budget: BudgetDocument | None


@document
class PeriodBudgetDocument(TypedDict):
    """What was spent of the budget of a day, a week or a month, in the present one."""

    name: Annotated[str, About("as it is configured, else its conditions", examples=["team payments"])]
    per: Annotated[str, About("day, week or month", examples=["month"])]
    period: Annotated[str, About("the present one", examples=["2026-11"])]
    since: Annotated[str, About("its first day", examples=["2026-11-01"])]
    until: Annotated[str, About("its last day", examples=["2026-11-30"])]
    where: Annotated[list[str], About("its conditions; none: all spend", examples=[["team=payments"]])]
    budget: BudgetDocument
    problem: Annotated[str | None, About("why nothing can have these conditions, such as a tag that no workflow has")]


@document
class BudgetsDocument(TypedDict):
    """The budgets of periods, and of the running workflows that have one."""

    timezone: Annotated[str, About("whose days: of `[budgets] timezone`, else of the host", examples=["Europe/Berlin"])]
    periods: list[PeriodBudgetDocument]
    workflows: Annotated[list[CheckDocument], About("those that run, then those that ended in the days asked for")]


def budget_document(found: BudgetStatus | None) -> BudgetDocument | None:
    """Return a budget; None where no budget is set."""
    if found is None:
        return None
    spent = known_cost(found.spent_nanousd, unpriced=found.unpriced > 0, at_least=found.at_least, known=found.known)
    return {
        "budget_usd": money.to_wire(found.budget_nanousd),
        "spent_usd": usd(spent),
        "left_usd": money.to_wire(found.left_nanousd),
        "percent": None if spent is None else found.percent,
        "state": str(found.state),
        "at_least": found.at_least or not found.known,
    }


def check_document(row: Row, found: BudgetStatus | None) -> CheckDocument:
    """Return a row's cost and budget."""
    return {
        "adw_id": row.adw_id,
        "status": row.status,
        "actual_cost_total": usd(known_row_cost(row)),
        "cost_basis": row.cost_basis,
        "unpriced_events": row.unpriced_events,
        "budget": budget_document(found),
    }


def period_budget_document(found: PeriodBudgetStatus) -> PeriodBudgetDocument:
    """Return a period's budget."""
    return {
        "name": found.name,
        "per": found.budget.per,
        "period": found.period,
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "where": list(found.budget.where),
        "budget": cast(BudgetDocument, budget_document(found.status)),
        "problem": found.problem,
    }


def budgets_document(
    periods: Sequence[PeriodBudgetStatus], workflows: Sequence[tuple[Row, BudgetStatus | None]], budgets: Budgets
) -> BudgetsDocument:
    """Return the budgets of periods and of workflows.

    Args:
        budgets: as they are configured.
    """
    return {
        "timezone": zone_called(budgets.timezone),
        "periods": [period_budget_document(found) for found in periods],
        "workflows": [check_document(row, found) for row, found in workflows],
    }
