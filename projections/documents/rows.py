"""A row of `workflow_history`, and a page of rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, cast

import orjson

from ledger.events import money
from projections.applications.plan import Compared
from projections.documents.budgets import BudgetDocument, budget_document
from projections.documents.totals import TotalsDocument
from projections.documents.types import About, AdwIdText, Moment, TypedDict, Usd, document, usd
from projections.folding.cost_words import known_row_cost
from projections.folding.row import Row
from projections.history.idle import shown_status
from projections.reports.budgets import Budgets, budget_status

__all__ = ["CopyDocument", "RowDocument", "WorkflowsDocument", "row_document"]


@document
class CopyDocument(TypedDict):
    """What an application's own table shows of a workflow."""

    stored_cost_usd: Annotated[Usd | None, About("null: its column is NULL", examples=["0.09"])]
    ledger_cost_usd: Annotated[Usd, About("the cost by the ledger")]
    held: Annotated[bool, About("the workflow runs and a larger cost is stored, which is not lowered until it ends")]
    wrong: Annotated[list[str], About("columns that do not show the row", examples=[["actual_cost_total"]])]
    overwrites: Annotated[
        int, About("how often another writer has changed it back, each time within an hour of the last")
    ]


@document
class RowDocument(TypedDict):
    """A row of `workflow_history`."""

    adw_id: AdwIdText
    issue_number: Annotated[int | None, About(examples=[17])]
    workflow_template: Annotated[str | None, About(examples=["adw_sdlc"])]
    project: Annotated[
        str | None,
        About(
            "the repository, or the folder, that it worked in; a name, where its start gives one",
            examples=["/home/ann/shop"],
        ),
    ]
    branch: Annotated[str | None, About("the git branch on which it started", examples=["main"])]
    tool: Annotated[
        str | None, About("whose logs its readings come from; null without a reading", examples=["Claude Code"])
    ]
    tags: Annotated[dict[str, str], About("its own tags by key", examples=[{"team": "payments"}])]
    status: Annotated[
        str, About("running, completed, failed, cancelled, or moved: it counts in another row", examples=["completed"])
    ]
    idle: Annotated[
        bool, About("running, and without activity for `idle_after` of the configuration, an hour by default")
    ]
    start_time: Moment | None
    end_time: Moment | None
    duration_seconds: Annotated[
        int | None,
        About(
            "from start to end; null while it runs, and when the end was recorded a day after all activity",
            examples=[841],
        ),
    ]
    last_activity: Annotated[Moment | None, About("the latest of its readings, starts and ends")]
    actual_cost_total: Annotated[
        Usd | None,
        About("null: unknown, or with `unpriced_events` unpriced; 0.00 is a figure that was read", examples=["2.37"]),
    ]
    estimated_cost_total: Usd | None
    budget: Annotated[BudgetDocument | None, About("null: neither its start nor the configuration sets one")]
    cost_breakdown: Annotated[
        dict[str, Any], About(examples=[{"by_agent": {"plan": "2.37"}, "by_model": {"opus": "2.37"}}])
    ]
    token_breakdown: dict[str, Any]
    input_tokens: Annotated[int, About("uncached input")]
    cached_tokens: Annotated[int, About("cache writes")]
    cache_hit_tokens: Annotated[int, About("cache reads")]
    cache_miss_tokens: Annotated[int, About("uncached input")]
    output_tokens: int
    total_tokens: int
    cache_efficiency_percent: Annotated[float, About("100 × reads ÷ (input + writes + reads)")]
    model_used: Annotated[str | None, About("the model that cost most")]
    cost_basis: Annotated[str | None, About("reported, priced or partial (at least this); null without a reading")]
    unpriced_events: Annotated[int, About("meters whose tokens have no price")]
    event_count: int
    ledger_seq: int
    ledger_hash: str
    error_message: str | None
    created_at: Moment
    updated_at: Moment
    application: Annotated[
        CopyDocument | None,
        About("null: no application's table is named, it has no row of this workflow, or the row comes by stream"),
    ]


@document
class WorkflowsDocument(TypedDict):
    """Rows of a filter, and what all rows of the filter add up to."""

    workflows: list[RowDocument]
    total_count: Annotated[int, About("rows of the filter, on every page")]
    analytics: TotalsDocument


def row_document(row: Row, budgets: Budgets, *, idle: bool, copy: Compared | None = None) -> RowDocument:
    """Return a row with its breakdowns as objects and its amounts as text.

    Args:
        budgets: where the workflow's start names none.
        idle: see `is_idle`.
        copy: what an application's table shows of it.
    """
    estimate = row.estimated_cost_total
    found = asdict(row) | {
        "tags": {} if row.tags is None else orjson.loads(row.tags),
        "status": shown_status(row),
        "idle": idle,
        "actual_cost_total": usd(known_row_cost(row)),
        "estimated_cost_total": None if estimate is None else usd(money.parse_total(estimate)),
        "budget": budget_document(budget_status(row, budgets)),
        "cost_breakdown": orjson.loads(row.cost_breakdown),
        "token_breakdown": orjson.loads(row.token_breakdown),
        "application": None if copy is None else _copy_document(copy),
    }
    del found["actual_cost_nanousd"], found["budget_nanousd"]
    return cast(RowDocument, found)


def _copy_document(copy: Compared) -> CopyDocument:
    return {
        "stored_cost_usd": usd(copy.stored_nanousd),
        "ledger_cost_usd": money.to_wire(copy.ledger_nanousd),
        "held": copy.held,
        "wrong": list(copy.wrong),
        "overwrites": copy.overwrites,
    }
