from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections import defaultdict
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from projections.folding.spend import AMOUNTS
from projections.history.spend_sql import sums_query
from projections.history.store import Group

spends = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from(["w", "v"]), st.none() | st.sampled_from(["a", "b"]), st.integers(-9, 9)
    ),
    max_size=8,
)


@given(
    starts=st.sampled_from([None, (), (0,), (0, 2), (-1, 1, 2, 3)]),
    spent=spends,
    by=st.sampled_from([(), ("agent",), ("agent", "status"), ("adw_id",)]),
    first=st.none() | st.integers(0, 4),
    where=st.sampled_from(
        [(), (("agent", ("a", None)),), (("agent", ()),), (("status", ("failed",)), ("agent", ("b",)))]
    ),
)
def test_a_query_sums_what_lies_in_its_bounds_by_its_groups(
    *,
    starts: tuple[int, ...] | None,
    spent: list[tuple[int, str, str | None, int]],
    by: tuple[Group, ...],
    first: int | None,
    where: list[tuple[Group, tuple[str | int | None, ...]]],
) -> None:
    names = ("quarter", "adw_id", "agent", *AMOUNTS)
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"CREATE TABLE spend_rows ({', '.join(names)})")
        db.execute("CREATE TABLE workflow_history (adw_id, status)")
        db.execute("INSERT INTO workflow_history VALUES ('w', 'running'), ('v', 'failed')")
        for *keys, cost in spent:
            marks = ", ".join("?" * len(names))
            db.execute(f"INSERT INTO spend_rows VALUES ({marks})", (*keys, *[cost] * len(AMOUNTS)))
        of_cost = "sum(spend.cost_nanousd)"
        query, values = sums_query(
            "spend_rows", by, first, 3, starts=starts, where=where, mark="?", nothing="NULL", sums=of_cost
        )
        sums = list(db.execute(query, values))
    found = {tuple(keys): cost for *keys, cost in sums}
    expected: dict[tuple[object, ...], list[tuple[int, int]]] = defaultdict(list)
    for quarter, adw_id, agent, cost in spent:
        if (first or 0) <= quarter <= 3:
            of: dict[str, object] = {
                "agent": agent,
                "adw_id": adw_id,
                "status": {"w": "running", "v": "failed"}[adw_id],
            }
            period = quarter if starts is None else bisect_right(starts[1:], quarter)
            if all(of[name] in asked for name, asked in where):
                expected[(period, *(of[name] for name in by))].append((quarter, cost))
    added = {
        (max(quarter for quarter, _ in parts), *key[1:]): sum(cost for _, cost in parts)
        for key, parts in expected.items()
    }
    assert found == added
