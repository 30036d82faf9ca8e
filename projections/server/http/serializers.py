"""Rows as the API shows them: money as text, breakdowns as objects, times as they are in the ledger."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson

from ledger.config.schema import Config
from ledger.events import money
from projections.applications.plan import Compared
from projections.folding.row import Row
from projections.history.idle import is_idle
from projections.history.query import QueryTotals
from projections.reports.budgets import budget_json, budget_status

__all__ = ["row_as_json", "totals_as_json", "usd"]


def usd(nanousd: int | None) -> str | None:
    """An amount as the wire spells it."""
    return None if nanousd is None else money.to_wire(nanousd)


def row_as_json(row: Row, config: Config, copy: Compared | None = None) -> dict[str, Any]:
    """A row for JSON, as it is now.

    Args:
        config: its budgets, where a workflow's start names none; and after how long without activity one is idle.
        copy: what an application's table shows of it.
    """
    told = asdict(row)
    told["idle"] = is_idle(row, datetime.now(UTC), config.idle_after)
    del told["budget_nanousd"]
    told["budget"] = budget_json(budget_status(row, config.budgets))
    estimate = told["estimated_cost_total"]
    told["actual_cost_total"] = usd(told.pop("actual_cost_nanousd"))
    told["estimated_cost_total"] = None if estimate is None else usd(money.parse_total(estimate))
    for name in ("cost_breakdown", "token_breakdown"):
        told[name] = orjson.loads(told[name])
    told["application"] = None if copy is None else copy.as_json()
    return told


def totals_as_json(totals: QueryTotals) -> dict[str, Any]:
    """What rows add up to, for JSON."""
    read_in = totals.input_tokens + totals.cached_tokens + totals.cache_hit_tokens
    return {
        "total_cost": usd(totals.cost_nanousd),
        "average_cost": usd(totals.cost_nanousd // totals.count) if totals.count else None,
        "at_least": totals.at_least,
        "partial_count": totals.partial_count,
        "unpriced_events": totals.unpriced_events,
        "input_tokens": totals.input_tokens,
        "cached_tokens": totals.cached_tokens,
        "cache_hit_tokens": totals.cache_hit_tokens,
        "output_tokens": totals.output_tokens,
        "total_tokens": read_in + totals.output_tokens,
        "cache_efficiency_percent": round(100 * totals.cache_hit_tokens / read_in, 2) if read_in else 0.0,
        "by_status": {
            status: {"count": each.count, "cost": usd(each.cost_nanousd), "at_least": each.at_least}
            for status, each in sorted(totals.by_status.items())
        },
    }
