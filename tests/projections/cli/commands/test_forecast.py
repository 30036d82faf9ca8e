"""`forecast` from the command line: a sentence, a range and a table of what runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from projections.cli.parsing import moment_named
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def charged(run: Run, name: str, days: float, usd: str, *more: str) -> None:
    at = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    run("charge", name, "--cost-usd", usd, "--observed-at", at, "--message-id", f"{name}-{days}", *more)


def test_a_month_has_a_projection_and_a_range(run: Run) -> None:
    for days in (3, 2, 1):
        charged(run, "w", days, "2.5")
    printed = run("forecast", "--timezone", "UTC").out
    assert "so far, $" in printed
    assert "Each day left counts as the mean of the 3 days before today" in " ".join(printed.split())
    assert "nothing runs now" in printed
    found = run("forecast", "--timezone", "UTC", "--json").json["projection"]
    assert found["low_usd"] == found["projected_usd"] == found["high_usd"]


def test_what_runs_is_a_table_with_its_rate(run: Run) -> None:
    run("start", "w", "--issue-number", "17", "--workflow-template", "sdlc")
    charged(run, "w", 0, "0.25", "--agent", "plan")
    run("charge", "v", "--model", "who-knows-1", "--output-tokens", "9")
    printed = run("forecast", "--timezone", "UTC").out
    assert "a projection needs a complete day" in printed
    assert "$1.0000" in printed  # a quarter of a dollar in a quarter hour
    assert "#17" in printed
    assert "≥ $1.0000" in printed  # of all that runs
    only = run("forecast", "--timezone", "UTC", "--where", "agent=plan", "--json").json
    assert [burn["adw_id"] for burn in only["running"]] == ["w"]


def test_usage_without_a_price_is_no_projection_of_nothing(run: Run) -> None:
    for at in ("2 days ago", "now"):
        at_time = moment_named("--since", at).isoformat()
        run("charge", "w", "--model", "who-knows-1", "--output-tokens", "9", "--observed-at", at_time)
    printed = run("forecast", "--timezone", "UTC").out
    assert "a projection needs a complete day with a price" in printed
    assert "unpriced: who-knows-1" in printed
    assert "$" not in printed
    assert run("forecast", "--timezone", "UTC", "--json").json["projection"] is None
    for at in ("2 days ago", "yesterday"):
        run("observe", "v", "--cost-usd", "1", "--observed-at", moment_named("--since", at).isoformat())
    assert "at least $" in run("forecast", "--timezone", "UTC").out.partition("so far, ")[2]


def test_bad_input_is_a_sentence(run: Run) -> None:
    assert "no such zone" in run("forecast", "--timezone", "Mars").err
    assert "give NAME=VALUE" in run("forecast", "--where", "shop").err
    assert run("forecast", "--where", "planet=mars").code == 2


def test_without_data_there_is_a_forecast_of_nothing(run: Run) -> None:
    assert "$0.0000 so far; a projection needs a complete day" in run("forecast").out
