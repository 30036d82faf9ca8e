"""What rows add up to."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from ledger.events import money
from projections.documents.types import About, TypedDict, Usd, document, usd
from projections.history.query import QueryTotals

__all__ = ["StatusTotalsDocument", "TotalsDocument", "totals_document"]


@document
class StatusTotalsDocument(TypedDict):
    """What the rows of one status add up to."""

    count: int
    cost_usd: Usd
    at_least: bool


@document
class TotalsDocument(TypedDict):
    """What all rows of a filter add up to, not only those of the page."""

    total_cost_usd: Usd
    average_cost_usd: Annotated[Usd | None, About("of workflows that were not moved")]
    at_least: Annotated[
        bool, About("a row is partial, has unpriced events or no reading: the true total is above this")
    ]
    partial_count: int
    unknown_count: Annotated[int, About("rows without a reading, whose cost is unknown")]
    unpriced_events: int
    input_tokens: int
    cached_tokens: int
    cache_hit_tokens: int
    output_tokens: int
    total_tokens: int
    cache_efficiency_percent: float
    by_status: Annotated[
        dict[str, StatusTotalsDocument], About("`moved`: rows of workflows that count in the rows of others")
    ]


def totals_document(totals: QueryTotals) -> TotalsDocument:
    """Return what rows add up to."""
    count = totals.count - totals.moved_count
    read_in = totals.input_tokens + totals.cached_tokens + totals.cache_hit_tokens
    return {
        "total_cost_usd": money.to_wire(totals.cost_nanousd),
        "average_cost_usd": usd(round(Fraction(totals.cost_nanousd, count))) if count else None,
        "at_least": totals.at_least,
        "partial_count": totals.partial_count,
        "unknown_count": totals.unknown_count,
        "unpriced_events": totals.unpriced_events,
        "input_tokens": totals.input_tokens,
        "cached_tokens": totals.cached_tokens,
        "cache_hit_tokens": totals.cache_hit_tokens,
        "output_tokens": totals.output_tokens,
        "total_tokens": read_in + totals.output_tokens,
        "cache_efficiency_percent": round(100 * totals.cache_hit_tokens / read_in, 2) if read_in else 0.0,
        "by_status": {
            status: {"count": each.count, "cost_usd": money.to_wire(each.cost_nanousd), "at_least": each.at_least}
            for status, each in sorted(totals.by_status.items())
        },
    }
