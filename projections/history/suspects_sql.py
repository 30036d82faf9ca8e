"""Rows that may need attention, in SQL that both databases know, by an index that holds just those.

The index is larger by the rows that run: whether one is idle depends on the clock. What is left is
`stale.may_need_attention`.
"""

from __future__ import annotations

from typing import Final

from projections.history.suspects import LOW_COST_NANOUSD, MANY_TOKENS, MARKS

__all__ = ["DOUBTFUL", "doubtful"]

_BREAKDOWN: Final = "CAST(cost_breakdown AS text)"
_MARKED: Final = " OR ".join(f"replace({_BREAKDOWN}, '{mark}', '') <> {_BREAKDOWN}" for mark in MARKS)
DOUBTFUL: Final = (
    f"(status = 'running' OR unpriced_events > 0 OR {_MARKED} "
    f"OR (actual_cost_nanousd < {LOW_COST_NANOUSD} AND total_tokens > {MANY_TOKENS}))"
)


def doubtful(mark: str) -> str:
    """Conditions, order and limit of a query; its values: when a running row is idle, how many, after how many.

    Args:
        mark: how the database spells where a value goes.
    """
    now = f"(status <> 'running' OR updated_at < {mark} OR unpriced_events > 0 OR {_MARKED})"
    return f"{DOUBTFUL} AND {now} ORDER BY updated_at DESC, adw_id LIMIT {mark} OFFSET {mark}"
