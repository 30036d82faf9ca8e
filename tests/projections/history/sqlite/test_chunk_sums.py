"""Sums of the spend in chunks: whatever was written, a query answers as the spend itself does."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.folding.row import FIGURE_MAX
from projections.folding.spend import AMOUNTS, NAMES, Spend
from projections.history.sql_scripts import statements
from projections.history.sqlite import chunks, compaction
from projections.history.sqlite.chunk_sums import sums
from projections.history.sqlite.compaction import compact
from projections.history.sqlite.history import SqliteHistory
from projections.history.sqlite.spend import SqliteSpend
from projections.history.store import Derived, Group, Where

names = st.none() | st.sampled_from(["a", "b"])
figures = st.integers(-9, 9) | st.sampled_from([FIGURE_MAX, -FIGURE_MAX])
rows = st.builds(
    lambda key, amounts: Spend(*key, *amounts),
    st.tuples(st.integers(-9, 20), names, names, names, names, st.integers(1, 2)),
    st.lists(figures, min_size=len(AMOUNTS), max_size=len(AMOUNTS)),
)
spends = st.lists(rows, max_size=6, unique_by=lambda row: row[: len(NAMES)])
statuses = st.none() | st.sampled_from(["running", "failed"])
"""Of the row; None: there is none."""
writes = st.lists(st.tuples(st.sampled_from(["u", "v", "w"]), st.none() | spends, statuses, st.booleans()), max_size=9)
same_letter = Derived(("agent", "model"), lambda values: values[0] == values[1])
is_w = Derived(("adw_id", "status"), lambda values: None if values[1] is None else values[0] == "w")
groups: st.SearchStrategy[list[Group | Derived]] = st.lists(
    st.sampled_from(
        ["agent", "session_id", "model", "spent_at_from", "run", "adw_id", "status", "issue_number", same_letter, is_w]
    ),
    max_size=3,
    unique=True,
)
bounds = st.none() | st.integers(-9, 20)
periods = st.lists(st.integers(-9, 20) | st.sampled_from([-8, -4, 0, 4, 8, 12]), max_size=4, unique=True).map(sorted)
conditions: st.SearchStrategy[Where] = st.sampled_from(
    [
        (),
        (("model", ("a", None)),),
        (("agent", ("b",)), ("model", ("a",))),
        (("run", (2,)),),
        (("adw_id", ("w",)),),
        (("status", (None, "failed")), ("session_id", ("a",))),
        (("model", ()),),
        ((is_w, (True, None)), ("adw_id", ("u", "w"))),
        ((same_letter, (True,)), ("run", (1,))),
    ]
)


def value_of(name: Group | Derived, of: dict[str, Any]) -> Any:
    """The value of a group by those of all columns."""
    return name.of(tuple([of[column] for column in name.columns])) if isinstance(name, Derived) else of[name]


def opened(path: Path | str) -> sqlite3.Connection:
    """Return a connection to a database that has our tables."""
    db = sqlite3.connect(path, isolation_level=None)
    for statement in (*statements("sqlite"), *chunks.statements()):
        db.execute(statement)
    return db


def put_row(db: sqlite3.Connection, adw_id: str, status: str | None) -> None:
    """Store a row with this status, or remove it."""
    if status is None:
        db.execute("DELETE FROM workflow_history WHERE adw_id = ?", (adw_id,))
        return
    required = [name for _, name, _, must, *_ in db.execute("PRAGMA table_info(workflow_history)") if must]
    values = dict.fromkeys(required, 0) | {"adw_id": adw_id, "status": status}
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    update = "ON CONFLICT (adw_id) DO UPDATE SET status = excluded.status"
    db.execute(f"INSERT INTO workflow_history ({names}) VALUES ({marks}) {update}", list(values.values()))


@settings(max_examples=400)
@given(writes, groups, conditions, bounds, bounds, st.none() | periods, st.booleans())
def test_sums_answer_as_the_spend_itself(
    written: list[tuple[str, list[Spend] | None, str | None, bool]],
    by: list[Group | Derived],
    where: Where,
    first: int | None,
    last: int | None,
    starts: list[int] | None,
    compacts_last: bool,
) -> None:
    stored: dict[str, tuple[list[Spend], str | None]] = {}
    with closing(opened(":memory:")) as db:
        table = SqliteSpend(db)
        for adw_id, spent, status, compacts in (*written, ("w", None, None, compacts_last)):
            put_row(db, adw_id, status)
            table.put(adw_id, spent or [])
            stored[adw_id] = (spent or [], status)
            if compacts:
                compact(db)
        expected: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(AMOUNTS))
        lasts: dict[tuple[Any, ...], int] = {}

        def period_of(quarter: int) -> int:
            return quarter if starts is None else sum(quarter >= start for start in starts[1:])

        for adw_id, (spent, status) in stored.items():
            for row in spent:
                of: dict[str, Any] = {**row._asdict(), "adw_id": adw_id, "status": status, "issue_number": None}
                within = (first is None or row.quarter >= first) and (last is None or row.quarter <= last)
                if within and all(value_of(name, of) in asked for name, asked in where):
                    key = (period_of(row.quarter), *(value_of(name, of) for name in by))
                    expected[key] = [one + getattr(row, name) for one, name in zip(expected[key], AMOUNTS, strict=True)]
                    lasts[key] = max(lasts.get(key, row.quarter), row.quarter)
        made = list(sums(db, by, first, last, starts=starts, where=where))
        found = {(period_of(one.quarter), *one.group): one for one in made}
        assert {key: one.amounts for key, one in found.items()} == expected
        assert len(found) == len(made)
        if "session_id" in by:
            assert {key: one.quarter for key, one in found.items()} == lasts
        if starts is None:
            assert made == sorted(made, key=lambda one: one.quarter)


def test_many_workflows_in_several_chunks_are_made_again_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SIZE", 3)
    row = Spend(0, "a", "s", "m", None, 1, 5, *[0] * (len(AMOUNTS) - 1))
    with closing(opened(":memory:")) as db:
        table = SqliteSpend(db)
        for number in range(10):
            table.put(f"w{number}", [row._replace(quarter=9 - number)])
        compact(db)
        table.put("w3", [row._replace(cost_nanousd=7)])
        table.remove("w4")
        for _ in range(2):
            found = {one.group: one.amounts[0] for one in sums(db, ["adw_id"], None, None, starts=(), where=())}
            assert found == {(f"w{number}",): 7 if number == 3 else 5 for number in range(10) if number != 4}
            bounded = sums(db, ["agent"], 2, 4, starts=(), where=())
            assert [(one.group, one.amounts[0]) for one in bounded] == [(("a",), 15)]  # w5 to w7
            compact(db)
        assert db.execute("SELECT adw_id FROM costledger_number WHERE adw_id = 'w4'").fetchall() == []


def test_marks_are_gone_after_a_question_and_stay_while_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with SqliteHistory(path) as history, closing(sqlite3.connect(path, isolation_level=None)) as other:
        table = SqliteSpend(other)
        table.put("w", [Spend(0, None, None, "m", None, 1, 5, *[0] * (len(AMOUNTS) - 1))])
        other.execute("BEGIN IMMEDIATE")
        for left in (1, 0):
            assert [one.amounts[0] for one in history.spent(["model"], starts=())] == [5]
            assert [one.amounts[0] for one in history.spent(["adw_id"], starts=())] == [5]
            assert other.execute("SELECT count(*) FROM costledger_stale").fetchone() == (left,)
            if left:
                other.execute("ROLLBACK")
