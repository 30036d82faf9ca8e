"""`rebuild`: new rows, and what they change."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def test_rebuild_checks_and_swaps(run: Run, tmp_path: Path) -> None:
    run("observe", "w", "--cost-usd", "2.37")
    assert run("rebuild", "--check").code == 3
    assert "1 row rebuilt, 1 cost changed" in run("rebuild").out
    assert run("rebuild", "--check").code == 0
    with closing(sqlite3.connect(tmp_path / "data/history.db")) as db, db:
        db.execute("UPDATE workflow_history SET actual_cost_total = 0.09")
    db.close()
    drift = run("rebuild", "--check", "--json")
    assert drift.code == 3
    assert drift.json["drift"][0]["problem"] == "actual_cost_total is $0.09, and replay says $2.37"
    assert run("rebuild", "--processes", "2", "--json").json["changes"][0]["new_cost"] == "2.37"
