"""`stale`: what needs attention."""

from __future__ import annotations

import os
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
