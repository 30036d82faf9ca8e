"""The query of spend sums, in SQL that both databases read."""

from __future__ import annotations

from collections.abc import Sequence

from projections.history.store import OWN, Group

__all__ = ["sums_query"]


def sums_query(
    table: str,
    by: Sequence[Group],
    first: int | None,
    last: int | None,
    *,
    merged: bool,
    mark: str,
    nothing: str,
    sums: str,
) -> tuple[str, list[int]]:
    """Return a query of `HistoryStore.spent`, and its values; its rows are the quarter, the group and the sums.

    Args:
        mark, nothing: how a database spells the placeholder of a value, and grouping by nothing.
        sums: the expressions of the sums; the table is called `spend` in them.
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
