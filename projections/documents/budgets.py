"""What a workflow has spent of its budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ledger.events import money
from projections.documents.types import About, AdwIdText, TypedDict, Usd, document, usd
from projections.folding.cost_words import known_cost, known_row_cost

if TYPE_CHECKING:
    from projections.folding.row import Row
    from projections.reports.budgets import BudgetStatus

__all__ = ["BudgetDocument", "CheckDocument", "budget_document", "check_document"]


@document
class BudgetDocument(TypedDict):
    """The budget of a workflow, and what is left of it."""

    budget_usd: Usd
    spent_usd: Annotated[Usd | None, About("null: unknown or unpriced", examples=["4.20"])]
    left_usd: Annotated[Usd, About("negative when the workflow is over its budget; at most this with `at_least`")]
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
