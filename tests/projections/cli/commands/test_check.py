"""`check`: what is left of budgets, with its exit code."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from tests.projections.cli.configured import charge, configure
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def test_a_check_exits_3_when_over_and_warns_from_80_percent_on(run: Run) -> None:
    run("start", "w", "--budget-usd", "5")
    for cost, code, warned in (("3.99", 0, ""), ("4.00", 0, "nears its budget"), ("5.01", 3, "is over its budget")):
        run("observe", "w", "--cost-usd", cost)
        checked = run("check", "w")
        assert (checked.code, warned in checked.err) == (code, True)
        assert ("budget" in checked.err) == bool(warned)
    answer = run("check", "w", "--json")
    assert (answer.code, answer.json["budget"]["state"], answer.json["budget"]["left_usd"]) == (3, "over", "-0.01")


def test_a_check_of_a_budget_of_nothing_names_no_percentage(run: Run) -> None:
    run("start", "w", "--budget-usd", "0")
    run("observe", "w", "--cost-usd", "0.0000001")
    answer = run("check", "w")
    assert (answer.code, answer.out) == (3, "w: $0.0000001 of $0.0000000 spent, $0.0000001 over\n")
    assert answer.err.endswith("costledger: w is over its budget\n")
    assert run("check", "w", "--json").json["budget"]["percent"] is None


def test_a_check_without_an_id_is_of_all_that_runs(run: Run) -> None:
    assert "no running workflow has one" in run("check").out
    configure('[budgets]\ndefault_usd = 10\n[budgets.by_template]\nsmall = "0.50"\n')
    run("start", "w1", "--workflow-template", "small")
    run("observe", "w1", "--cost-usd", "0.51")
    run("observe", "w2", "--cost-usd", "0.51")
    answer = run("check", "--json")
    found = answer.json["workflows"]
    assert [(one["adw_id"], one["budget"]["state"]) for one in found] == [
        ("w1", "over"),
        ("w2", "ok"),
    ]
    assert answer.code == 3
    run("complete", "w1")
    assert run("check").code == 0, "what has ended is no longer watched"
    assert run("check", "w1").code == 3, "unless it is asked for"
    assert run("check", "nowhere").code == 1


def test_an_unpriced_part_is_said_by_a_check(run: Run) -> None:
    run("start", "w", "--budget-usd", "5")
    charge(run, "w", "qwen-at-home", 9)
    answer = run("check", "w").out
    assert answer == "w: an unpriced amount spent, at most $5.0000 left of $5.0000; 1 reading without a price\n"
    assert run("check", "w", "--json").json["budget"]["at_least"] is True


MONTHLY = """
[[tags]]
project = "*/shop"
set = { team = "payments" }
[budgets]
default_usd = 100
[[budgets.period]]
name = "team payments"
per = "month"
usd = "5.00"
where = ["team=payments"]
[[budgets.period]]
per = "day"
usd = 20
warn_at = [0.25]
"""


def test_a_budget_of_a_period_counts_what_its_conditions_ask_for(run: Run) -> None:
    configure(MONTHLY)
    run("start", "w", "--project", "/srv/shop")
    for cost, code, states in (("4.99", 0, ["warned", "ok"]), ("5.01", 3, ["over", "warned"])):
        run("observe", "w", "--cost-usd", cost)
        answer = run("check", "--json")
        assert [one["budget"]["state"] for one in answer.json["periods"]] == states
        assert answer.code == code
    team, day = answer.json["periods"]
    assert (team["name"], team["per"], team["where"]) == ("team payments", "month", ["team=payments"])
    assert (team["budget"]["left_usd"], day["budget"]["percent"], day["name"]) == ("-0.01", 25, "all spend")
    run("observe", "other", "--cost-usd", "1")
    answer = run("check")
    assert answer.out.startswith(f"team payments in {team['period']}: $5.0100 of $5.0000 spent (101 %), $0.0100 over\n")
    assert f"costledger: team payments in {team['period']} is over its budget (101 %)\n" in answer.err
    assert f"all spend in {day['period']}: $6.0100 of $20.0000 spent (30 %), $13.9900 left\n" in answer.out
    run("complete", "w")
    assert run("check").code == 3, "what was spent stays spent in its period"
    picture = run()
    assert f"team payments in {team['period']}" in picture.out
    assert [one["period"] for one in run("--json").json["period_budgets"]] == [team["period"], day["period"]]


def test_the_periods_of_budgets_are_those_of_the_configured_time_zone(run: Run) -> None:
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):  # between them it is always another day
        configure(f'[budgets]\ntimezone = "{zone}"\n[[budgets.period]]\nper = "day"\nusd = 1\n')
        found = run("check", "--json").json
        assert found["timezone"] == zone
        assert found["periods"][0]["since"] == datetime.now(ZoneInfo(zone)).date().isoformat()
    configure('[budgets]\ntimezone = "Mars"\n')
    assert "Mars" in run("check").err


def test_a_budget_that_nothing_can_count_for_is_reported(run: Run) -> None:
    configure('[[budgets.period]]\nper = "week"\nusd = 1\nwhere = ["tema=payments"]\n')
    run("observe", "w", "--cost-usd", "2")
    answer = run("check")
    assert (answer.code, answer.out.endswith(": $0.0000 of $1.0000 spent (0 %), $1.0000 left\n")) == (0, True)
    assert "counts nothing: where 'tema': no dimension and no tag" in answer.err
    assert "counts nothing" in run().err
    assert "no dimension" in run("check", "--json").json["periods"][0]["problem"]
