"""Sums of hours and of workflows: whatever was written, a query answers as the spend itself does."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from projections.folding.row import FIGURE_MAX
from projections.folding.spend import AMOUNTS, NAMES, Spend
from projections.history.sql_scripts import statements
from projections.history.sqlite import rollups
from projections.history.sqlite.spend import SqliteSpend
from projections.history.store import Group, Where

names = st.none() | st.sampled_from(["a", "b"])
figures = st.integers(-9, 9) | st.sampled_from([FIGURE_MAX, -FIGURE_MAX])
rows = st.builds(
    lambda key, amounts: Spend(*key, *amounts),
    st.tuples(st.integers(-9, 20), names, names, names, names, st.integers(1, 2)),
    st.lists(figures, min_size=len(AMOUNTS), max_size=len(AMOUNTS)),
)
spends = st.lists(rows, max_size=6, unique_by=lambda row: row[: len(NAMES)])
writes = st.lists(st.tuples(st.sampled_from(["v", "w"]), st.none() | spends, st.booleans()), max_size=6)
groups: st.SearchStrategy[list[Group]] = st.lists(
    st.sampled_from(["agent", "session_id", "model", "spent_at_from", "run", "adw_id", "status"]),
    max_size=3,
    unique=True,
)
bounds = st.none() | st.integers(-9, 20)
periods = st.lists(st.integers(-9, 20) | st.sampled_from([-8, -4, 0, 4, 8, 12]), max_size=4, unique=True).map(sorted)
conditions: st.SearchStrategy[Where] = st.sampled_from(
    [(), (("model", ("a", None)),), (("agent", ("b",)), ("model", ("a",))), (("run", (2,)),), (("adw_id", ("w",)),)]
)


def opened(path: Path | str) -> sqlite3.Connection:
    """Return a connection to a database that has our tables."""
    db = sqlite3.connect(path, isolation_level=None)
    for statement in (*statements("sqlite"), *rollups.statements()):
        db.execute(statement)
    return db


@settings(max_examples=300)
@given(writes, groups, conditions, bounds, bounds, periods)
def test_sums_answer_as_the_spend_itself(
    written: list[tuple[str, list[Spend] | None, bool]],
    by: list[Group],
    where: Where,
    first: int | None,
    last: int | None,
    starts: list[int],
) -> None:
    stored: dict[str, list[Spend]] = {}
    with closing(opened(":memory:")) as db:
        table = SqliteSpend(db)
        for adw_id, spent, compacts in written:
            if spent is None:
                table.remove(adw_id)
            else:
                table.put(adw_id, spent)
            stored[adw_id] = spent or []
            if compacts:
                rollups.compact(db)
        expected: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(AMOUNTS))
        for adw_id, spent in stored.items():
            for row in spent:
                of: dict[str, Any] = {**row._asdict(), "adw_id": adw_id, "status": None}
                within = (first is None or row.quarter >= first) and (last is None or row.quarter <= last)
                if within and all(of[name] in asked for name, asked in where):
                    period = sum(row.quarter >= start for start in starts[1:])
                    sums = expected[(period, *(of[name] for name in by))]
                    sums[:] = [one + getattr(row, name) for one, name in zip(sums, AMOUNTS, strict=True)]
        found = {
            (sum(one.quarter >= start for start in starts[1:]), *one.group): one.amounts
            for one in table.sums(by, first, last, starts=starts, where=where)
        }
        assert found == expected


def test_marks_are_gone_after_a_question_and_stay_while_another_process_writes(tmp_path: Path) -> None:
    row = Spend(0, None, None, "m", None, 1, 5, *[0] * (len(AMOUNTS) - 1))
    marked = f"SELECT count(*) FROM {rollups.TABLES[-1]}"
    path = tmp_path / "history.db"
    with closing(opened(path)) as db, closing(opened(path)) as other:
        table = SqliteSpend(db)
        table.put("w", [row])
        other.execute("BEGIN IMMEDIATE")
        for left in (1, 0):
            assert [one.amounts[0] for one in table.sums(["model"], None, None, starts=(), where=())] == [5]
            assert [one.amounts[0] for one in table.sums(["adw_id"], None, None, starts=(), where=())] == [5]
            assert db.execute(marked).fetchone() == (left,)
            if left:
                other.execute("ROLLBACK")
