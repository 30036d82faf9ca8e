"""A budget is shown where people look: in `history`, in `show`, in every receipt, and in `check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.projections.cli.test_app import Run, events, piped, run

__all__ = ["run"]

_AMOUNTS = {"budget_usd": "5.00", "spent_usd": "4.20", "left_usd": "0.80"}
LEFT = _AMOUNTS | {"percent": 84, "state": "warned", "at_least": False}

UNKNOWN = {
    "budget_usd": "1.00",
    "spent_usd": None,
    "left_usd": "1.00",
    "percent": None,
    "state": "ok",
    "at_least": True,
}


@pytest.fixture(autouse=True)
def _no_configuration_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COSTLEDGER_CONFIG", raising=False)


def test_every_receipt_says_what_is_left(run: Run) -> None:
    started = run("start", "w", "--budget-usd", "5")
    assert (
        started.out
        == "w: workflow started is event 2; budget: an unknown amount spent, at most $5.0000 left of $5.0000\n"
    )
    plan = run("observe", "w", "--agent", "plan", "--cost-usd", "4.20")
    assert plan.out.endswith("; budget: $4.2000 of $5.0000 spent (84 %), $0.8000 left\n")
    assert plan.err == "costledger: w nears its budget (84 %)\n"
    assert run("charge", "w", "--agent", "build", "--cost-usd", "1", "--json").json["budget"]["state"] == "over"
    corrected = run("correct", "w", "--cost-usd", "4.20", "--reason", "one call was counted twice")
    assert corrected.err == "costledger: w is over its budget (104 %)\n", "a running cost never falls"
    assert "$0.8000 left" in run("complete", "w").out, "the end settles it"


def test_a_receipt_of_a_workflow_without_a_budget_names_none(run: Run) -> None:
    done = run("observe", "w", "--cost-usd", "4.20")
    assert (done.out, done.err) == ("w: cost observed $4.2000 is event 2\n", "")
    assert run("observe", "w", "--cost-usd", "4.30", "--json").json["budget"] is None


def test_a_budget_of_the_configuration_is_in_the_receipt_at_once(run: Run) -> None:
    Path("costledger.toml").write_text('[budgets]\ndefault_usd = "5"\nwarn_at = [0.9]\n', encoding="utf-8")
    receipt = run("observe", "w", "--cost-usd", "4.20", "--json")
    assert (receipt.json["budget"], receipt.err) == (LEFT | {"state": "ok"}, "")


def test_a_configuration_that_cannot_be_used_fails_no_append(run: Run) -> None:
    Path("costledger.toml").write_text("[budgets]\ndefault_usd = 'much'\n", encoding="utf-8")
    done = run("observe", "w", "--cost-usd", "1")
    assert (done.code, done.out) == (0, "w: cost observed $1.0000 is event 2\n")
    assert "the event is recorded; what is left of a budget is unknown: " in done.err


def test_events_from_stdin_say_it_in_each_receipt_and_warn_once(tmp_path: Path) -> None:
    start = {"type": "workflow_started", "workflow_id": "w", "budget_usd": "5"}
    costs = [
        {"type": "cost_observed", "workflow_id": "w", "cost_usd": usd, "agent": agent}
        for usd, agent in (("4.00", "plan"), ("0.20", "build"))
    ]
    done = piped(tmp_path, "append", "--json", stdin=events(start, *costs))
    assert json.loads(done.out.splitlines()[-1])["budget"] == LEFT
    assert done.err == "costledger: w nears its budget (84 %)\n"


def test_history_and_show_have_it_only_where_there_is_one(run: Run) -> None:
    run("observe", "free", "--cost-usd", "1")
    assert "budget" not in run("history").out
    assert "budget" not in run("show", "free").out
    run("start", "w", "--budget-usd", "5")
    run("observe", "w", "--cost-usd", "4.20")
    table = run("history").out.splitlines()
    assert "budget" in table[0]
    assert "84 % of $5.00" in next(line for line in table if line.strip().startswith("w "))
    run("start", "unknown", "--budget-usd", "1")
    run("charge", "unknown", "--model", "who-knows-1", "--output-tokens", "9")
    assert "unpriced of $1.00" in run("history").out
    assert "budget  $4.2000 of $5.0000 spent (84 %), $0.8000 left" in run("show", "w").out
    assert {row["adw_id"]: row["budget"] for row in run("history", "--json").json["workflows"]} == {
        "free": None,
        "unknown": UNKNOWN,
        "w": LEFT,
    }
    assert run("show", "w", "--json").json["budget"] == LEFT


def test_check_alone_lists_only_what_has_a_budget(run: Run) -> None:
    run("observe", "free", "--cost-usd", "1")
    assert run("check").out.startswith("there is no budget of a period, and no running workflow has one; ")
    run("start", "w", "--budget-usd", "5")
    assert run("check").out == "w: an unknown amount spent, at most $5.0000 left of $5.0000\n"
    assert [one["adw_id"] for one in run("check", "--json").json["workflows"]] == ["w"]


def test_the_receipt_of_a_workflow_that_a_move_concerns_says_at_least(run: Run) -> None:
    run("observe", "old", "--cost-usd", "2")
    run("move", "old", "--to", "new")
    run("start", "new", "--budget-usd", "5")
    assert "budget: at least $1.0000 of $5.0000 spent" in run("observe", "new", "--cost-usd", "1").out
    assert run("check", "new").out.startswith("new: $3.0000 of $5.0000 spent")
    run("start", "old", "--budget-usd", "5")
    assert "budget: at least $2.5000 of $5.0000 spent" in run("observe", "old", "--cost-usd", "2.5").out
    run("move", "old", "--to", "old")
    assert "budget: $2.6000 of $5.0000 spent" in run("observe", "old", "--cost-usd", "2.6").out


def test_a_session_that_was_moved_away_is_not_in_the_budget_of_a_receipt(run: Run) -> None:
    run("start", "w", "--budget-usd", "10")
    for session, usd in (("s1", "1"), ("s2", "2"), ("s3", "4")):
        run("charge", "w", "--session-id", session, "--agent", "plan", "--cost-usd", usd)
    run("charge", "w", "--session-id", "s2", "--agent", "plan", "--model", "who-knows-1", "--output-tokens", "9")
    run("move", "w", "--session", "s2", "--to", "v")
    last = run("charge", "w", "--session-id", "s1", "--agent", "plan", "--cost-usd", "1")
    assert last.out.endswith("; budget: $6.0000 of $10.0000 spent (60 %), $4.0000 left\n")
    assert last.err == ""
    assert run("check", "w").out == "w: $6.0000 of $10.0000 spent (60 %), $4.0000 left\n"
    run("move", "w", "--session", "s2", "--to", "w")
    assert "; budget: at least $8.0000 of" in run("complete", "w").out
