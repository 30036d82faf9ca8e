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
    assert (missing.code, "nothing" in missing.err) == (1, True)
