"""`receipt`: what a workflow cost, for a pull request."""

from __future__ import annotations

from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def test_a_receipt_names_cost_agents_and_the_ledger(run: Run) -> None:
    run("start", "w1", "--issue-number", "17")
    run("observe", "w1", "--agent", "plan", "--model", "opus", "--cost-usd", "2.37")
    run("complete", "w1")
    lines = run("receipt", "w1").out.splitlines()
    assert lines[0] == "### Cost: $2.3700"
    assert lines[2].startswith("Workflow `w1`, issue #17, completed in ")
    assert "| `plan` | `opus` | $2.3700 | 0 |" in lines
    assert lines[-1].startswith("Ledger: 4 events, hash `")


def test_a_receipt_of_an_unknown_workflow_is_an_error(run: Run) -> None:
    missing = run("receipt", "nothing")
    assert (missing.code, missing.err.count("nothing")) == (1, 1)


def test_a_receipt_says_in_which_ledgers_a_moved_cost_is(run: Run) -> None:
    run("observe", "old", "--agent", "plan", "--cost-usd", "2.37")
    run("complete", "old")
    run("move", "old", "--to", "new")
    here = run("receipt", "old").out.splitlines()
    assert here[2] == "Workflow `old`, moved."
    assert "Moved: $2.3700 to `new`, where it counts." in here
    there = run("receipt", "new").out.splitlines()
    assert "Moved: $2.3700 from the ledger of `old`." in there
    assert there[-1].startswith("Ledger: 2 events, hash `")
