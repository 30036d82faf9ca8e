"""`resync`: sources again, and rows put right."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.ledger.logs import init, result, write
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def test_a_resync_reads_the_sources_again(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "agents/w1/plan/raw_output.jsonl"
    write(log, init(), result(0.1))
    run("import", "adw", "agents")
    write(log, init(), result(0.1), result(2.37, uuid="r2"))
    answer = run("resync", "w1", "--json").json
    assert (answer["appended"], answer["resynced_count"], answer["workflows"]) == (1, 1, ["w1"])
    assert [(change["old_cost"], change["new_cost"]) for change in answer["changes"]] == [("0.10", "2.37")]


def test_a_row_set_wrong_by_hand_is_put_right_by_a_forced_resync(run: Run, tmp_path: Path) -> None:
    run("observe", "w", "--cost-usd", "2.37")
    run("complete", "w")
    run("refresh")
    with closing(sqlite3.connect(tmp_path / "data/history.db")) as db, db:
        db.execute("UPDATE workflow_history SET actual_cost_total = 0.09, actual_cost_nanousd = 90000000")
    db.close()
    assert run("verify").code == 3
    assert "$2.3700" in run("resync", "w", "--force").out
    assert run("verify").code == 0
