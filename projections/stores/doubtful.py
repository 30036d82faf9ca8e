"""Rows that may be wrong, in SQL that both databases know: an index holds just those, so asking does not read the rest.

The index is larger by the rows that run: whether one is idle depends on the clock. What is left is `stale.may_doubt`.
"""

from __future__ import annotations

from typing import Final

from projections.stale import LOW_COST_NANOUSD, MANY_TOKENS, MARKS

__all__ = ["DOUBTFUL", "doubtful"]

_BREAKDOWN: Final = "CAST(cost_breakdown AS text)"
_MARKED: Final = " OR ".join(f"replace({_BREAKDOWN}, '{mark}', '') <> {_BREAKDOWN}" for mark in MARKS)
DOUBTFUL: Final = (
    f"(status = 'running' OR cost_basis = 'partial' OR {_MARKED} "
    f"OR (actual_cost_nanousd < {LOW_COST_NANOUSD} AND total_tokens > {MANY_TOKENS}))"
)


def doubtful(mark: str) -> str:
    """Conditions, order and limit of a query; its values are when a running row is idle, and how many are wanted.

    Args:
        mark: how the database spells where a value goes.
    """
    now = f"(status <> 'running' OR updated_at < {mark} OR {_MARKED})"
    return f"{DOUBTFUL} AND {now} ORDER BY updated_at DESC, adw_id LIMIT {mark}"
