"""`show`: what it says of a workflow now, and as it was."""

from __future__ import annotations

from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def test_a_cost_far_below_a_cent_is_not_shown_as_nothing(run: Run) -> None:
    run("charge", "n1", "--cost-usd", "0.00004")
    run("charge", "n2", "--cost-usd", "1")
    assert "cost    $0.00004 " in run("show", "n1").out
    lines = [line for line in run("history").out.splitlines() if "$" in line]
    assert ["$0.0000 " in f"{line} " for line in lines] == [False] * len(lines)


def test_a_duration_is_in_hours_and_minutes(run: Run) -> None:
    run("start", "w", "--observed-at", "2026-05-01T06:00:00Z")
    run("complete", "w", "--observed-at", "2026-05-01T16:24:18Z")
    assert run("show", "w").out.count(", 10 h 24 min\n") == 1


def test_a_row_as_it_was_is_not_idle_and_names_no_time_that_it_had_not(run: Run) -> None:
    run("start", "w", "--observed-at", "2026-05-01T06:00:00Z")
    first = run("show", "w", "--as-of", "1").out
    assert "w · running\n" in first
    assert "time    unknown; nothing has started or been read yet\n" in first
    assert "w · running\n" in run("show", "w", "--as-of", "2").out
    assert "w · idle\n" in run("show", "w").out


def test_an_event_after_the_last_one_is_not_the_present(run: Run) -> None:
    run("observe", "w", "--cost-usd", "2")
    last = run("show", "w").out.partition("ledger  ")[2].partition(" events")[0]
    assert run("show", "w", "--as-of", last).code == 0
    answer = run("show", "w", "--as-of", "99999")
    assert (answer.code, answer.out) == (2, "")
    assert f"--as-of 99999: w has {last} events" in answer.err
    assert f"; it has {last} events" in run("explain", "w", "--after", "99999").out


def test_a_moved_workflow_as_it_was_is_said_to_be_its_ledger_alone(run: Run) -> None:
    run("observe", "old", "--cost-usd", "2", "--agent", "plan")
    run("observe", "new", "--cost-usd", "1", "--agent", "plan")
    run("move", "old", "--to", "new")
    for name, other, cost in (("old", "new", "$2.0000"), ("new", "old", "$1.0000")):
        answer = run("show", name, "--as-of", "now")
        assert cost in answer.out
        assert f"its own ledger alone, without moves; now it is connected with {other}" in answer.err
    assert run("show", "new", "--as-of", "now", "--json").json["actual_cost_total"] == "1.00"


def test_readings_with_a_price_are_received_and_not_reported(run: Run) -> None:
    run("charge", "w", "--model", "gpt-5-nano", "--output-tokens", "100")
    shown = run("explain", "w").out
    assert ("priced by" in shown, "received by API" in shown, "reported by API" in shown) == (True, True, False)
