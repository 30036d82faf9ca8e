"""Compaction while another process writes: it stops between two portions, and every sum stays right."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from projections.folding.spend import AMOUNTS, Spend
from projections.history.sqlite import compaction
from projections.history.sqlite.history import SqliteHistory
from projections.history.sqlite.spend import SqliteSpend


def test_a_writer_that_comes_between_two_portions_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SIZE", 3)
    monkeypatch.setattr(compaction, "_CHUNKS_AT_ONCE", 1)
    path, row = tmp_path / "history.db", Spend(0, "a", "s", "m", None, 1, 5, *[0] * (len(AMOUNTS) - 1))
    SqliteHistory(path).close()
    with closing(_opened(path)) as db, closing(_opened(path)) as other:
        table = SqliteSpend(other)
        for number in range(9):
            table.put(f"w{number}", [row])
        commits = list[str]()

        def traced(statement: str) -> None:
            if statement.startswith("BEGIN"):
                commits.append(statement)
                if len(commits) == 3:  # the first numbers the workflows, the second makes w0 and w1
                    other.execute("BEGIN IMMEDIATE")
                    SqliteSpend(other).put("w8", [row._replace(cost_nanousd=7)])

        db.set_trace_callback(traced)
        compaction.compact(db)
        db.set_trace_callback(None)
        other.execute("COMMIT")
        assert len(commits) == 3
        assert _marked(db) == {"w2", "w3", "w4", "w5", "w6", "w7", "w8"}
        with SqliteHistory(path) as history:
            found = {one.group: one.amounts[0] for one in history.spent(["adw_id"], starts=())}
        assert found == {(f"w{number}",): 7 if number == 8 else 5 for number in range(9)}
        assert _marked(db) == set()


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def _marked(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT adw_id FROM costledger_stale")}
