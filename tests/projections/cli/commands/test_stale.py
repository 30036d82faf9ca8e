"""`stale`: what needs attention."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.ledger.logs import init, message, write
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def test_stale_is_quiet_about_a_killed_session_and_names_what_a_resync_would_add(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "agents/w1/plan/raw_output.jsonl"
    write(log, init(), message("m", 5))
    run("import", "adw", "agents", "--status", "completed")
    assert run("stale").out == "nothing needs attention\n", "its row says at least"
    write(log, init(), message("m", 5), message("m2", 5))
    os.utime(log, (4e9, 4e9))
    answer = run("stale", "--json").json["findings"]
    assert [(one["kind"], one["next_step"]) for one in answer] == [("source_grown", "costledger resync -- w1")]
    os.utime(log, (1e9, 1e9))
    assert run("correct", "w1", "--cost-usd", "0.12", "--reason", "the invoice").code == 0
    assert run("stale").out == "nothing needs attention\n"


def test_a_cost_that_another_program_raised_in_both_columns_is_held_before_the_next_event(run: Run) -> None:
    run("observe", "w", "--cost-usd", "1", "--agent", "plan")
    run("history")
    with closing(sqlite3.connect("data/history.db")) as history, history:
        history.execute("UPDATE workflow_history SET actual_cost_total = 5, actual_cost_nanousd = 5000000000")
    (held,) = run("stale", "--json").json["findings"]
    assert (held["kind"], held["next_step"]) == ("held", "costledger resync --force -- w")
    run("resync", "--force", "w")
    assert run("stale").out == "nothing needs attention\n"
