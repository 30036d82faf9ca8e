"""`move`: to rename, merge and regroup workflows."""

from __future__ import annotations

from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def test_a_workflow_gets_another_name_and_both_rows_say_where_it_counts(run: Run) -> None:
    run("observe", "old-name", "--cost-usd", "2.37", "--agent", "plan")
    moved = run("move", "old-name", "--to", "issue-17", "--agent", "review", "--reason", "its issue")
    assert moved.out.splitlines() == [
        "old-name counts in issue-17 now",
        "old-name: $0.0000, $2.3700 moved to issue-17",
        "issue-17: $2.3700, $2.3700 from old-name",
    ]
    assert "already" in run("move", "old-name", "--to", "issue-17", "--agent", "review").out
    shown = run("show", "old-name").out
    assert "moved" in shown.splitlines()[0]
    assert "moved   $2.3700 to issue-17" in shown
    assert "moved   $2.3700 from old-name" in run("show", "issue-17").out
    explained = run("explain", "old-name").out
    assert "all counts in issue-17 (as agent review, its issue)" in explained
    assert "$2.3700 of it counts in issue-17: costledger explain -- issue-17" in explained
    there = run("explain", "issue-17", "--json").json
    assert [step["why"] for step in there["steps"]] == ["all counts here (opened by a move)"]
    assert (there["moved_from"], there["moved_to"]) == ({"old-name": "2.37"}, {})
    assert "moved here from old-name" in run("explain", "issue-17").out
    assert run("verify").code == run("rebuild", "--check").code == 0


def test_a_move_that_is_not_possible_says_why(run: Run) -> None:
    run("observe", "a", "--cost-usd", "1")
    run("observe", "b", "--cost-usd", "1")
    run("move", "a", "--to", "b")
    circle = run("move", "b", "--to", "a")
    assert (circle.code, "b cannot be moved to a, which was moved to it" in circle.err) == (1, True)
    unknown = run("move", "nobody-knows", "--to", "b")
    assert (unknown.code, "nobody-knows" in unknown.err) == (1, True)
    assert "has no session 's'" in run("move", "b", "--to", "c", "--session", "s").err
