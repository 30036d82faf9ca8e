"""The query of spend sums, in SQL that both databases read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from projections.folding.spend import AMOUNTS
from projections.history.store import OWN, Group, SpendSum

__all__ = ["sum_of", "sums_query"]

_SUMS: Final = ", ".join(f"sum(spend.{name})" for name in AMOUNTS)


def sums_query(
    table: str,
    by: Sequence[Group],
    first: int | None,
    last: int | None,
    *,
    merged: bool,
    mark: str,
    nothing: str,
    sums: str = _SUMS,
) -> tuple[str, list[int]]:
    """Return a query of `HistoryStore.spent`, whose rows `sum_of` reads, and its values.

    Args:
        mark, nothing: how a database spells the placeholder of a value, and grouping by nothing.
        sums: the expressions of the sums.
    """
    own = OWN | {"adw_id"}
    names = [f"spend.{name}" if name in own else f"history.{name}" for name in by]
    keys = names if merged else ["spend.quarter", *names]
    quarter = "max(spend.quarter)" if merged else "spend.quarter"
    joined = "LEFT JOIN workflow_history AS history USING (adw_id)" if set(by) - own else ""
    bounds = [(f"spend.quarter {sign} {mark}", bound) for sign, bound in ((">=", first), ("<=", last))]
    given = [(term, bound) for term, bound in bounds if bound is not None]
    where = f"WHERE {' AND '.join(term for term, _ in given)}" if given else ""
    selected, grouped = ", ".join([quarter, *names, sums]), ", ".join(keys) or nothing
    query = f"SELECT {selected} FROM {table} AS spend {joined} {where} GROUP BY {grouped} ORDER BY 1"
    return query, [bound for _, bound in given]


def sum_of(values: Sequence[Any]) -> SpendSum:
    """Return the sum of a row of `sums_query`."""
    return SpendSum(values[0], tuple(values[1 : -len(AMOUNTS)]), [int(amount) for amount in values[-len(AMOUNTS) :]])
