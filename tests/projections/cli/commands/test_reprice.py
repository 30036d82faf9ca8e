"""`reprice`: shown first, appended on request."""

from __future__ import annotations

from pathlib import Path

from tests.ledger.logs import init, message, result, write
from tests.projections.cli.configured import NEGOTIATED, charge, configure
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def test_a_reprice_shows_the_difference_and_appends_only_when_told(run: Run) -> None:
    charge(run, "w", "claude-opus-4-5")
    charge(run, "w", "qwen-at-home", 9)
    run("complete", "w")
    configure(NEGOTIATED)
    shown = run("reprice", "--reason", "contract of May")
    assert "nothing was appended; add --yes" in shown.out
    assert "-$5.0000" in shown.out
    assert "qwen-at-home: still no price for 9 tokens in 1 reading;" in shown.out
    assert run("show", "w", "--json").json["actual_cost_total"] == "25.00"
    done = run("reprice", "--reason", "contract of May", "--yes", "--json").json
    assert done["appended"] == 1
    assert done["models"]["claude-opus-4-5"]["new_cost_usd"] == "20.00"
    assert done["workflows"] == [
        {"adw_id": "w", "status": "completed", "events": 1, "old_cost_usd": "25.00", "new_cost_usd": "20.00"}
    ]
    assert run("show", "w", "--json").json["actual_cost_total"] == "20.00"
    assert "contract of May" in run("explain", "w").out
    again = run("reprice", "--reason", "contract of May", "--yes")
    assert again.out.startswith("nothing to append")
    assert run("verify").code == 0


def test_a_running_workflow_is_told_to_wait_for_its_end(run: Run) -> None:
    charge(run, "w", "claude-opus-4-5")
    configure(NEGOTIATED)
    assert "$5.0000 of this will only be taken off when it ends" in run("reprice", "--reason", "r", "--yes").out
    assert run("show", "w", "--json").json["actual_cost_total"] == "25.00"
    run("complete", "w")
    assert run("show", "w", "--json").json["actual_cost_total"] == "20.00"


def test_a_reprice_takes_only_the_workflows_and_days_named(run: Run) -> None:
    for name in ("w1", "w2"):
        charge(run, name, "claude-opus-4-5", 1, "--observed-at", "2026-05-01T12:00:00Z")
    configure(NEGOTIATED)
    assert len(run("reprice", "w1", "--reason", "r", "--json").json["workflows"]) == 1
    for days, count in (("2026-05-01", 2), ("2026-04-30", 0)):
        answer = run("reprice", "--reason", "r", "--until", days, "--since", "2026-04-29", "--json").json
        assert len(answer["workflows"]) == count
    nowhere = run("reprice", "w1", "nowhere", "--reason", "r", "--yes")
    assert (nowhere.code, "nowhere" in nowhere.err) == (1, True)
    assert "1 reading appended to 1 workflow\n" in nowhere.out
    assert run("reprice", "--reason", " ").code == 2


def test_an_import_after_a_reprice_appends_nothing(run: Run) -> None:
    write(Path("agents/w1/plan/raw_output.jsonl"), init(), message("m1", 5), message("m2", 7))
    run("import", "adw", "agents")
    configure('[[prices]]\nmodel = "*"\ninput_usd_per_mtok = 1\noutput_usd_per_mtok = 1\ncache_read_usd_per_mtok = 1\n')
    assert run("reprice", "--reason", "r", "--yes", "--json").json["appended"] == 2
    assert run("import", "adw", "agents", "--json").json["appended"] == 0
    write(Path("agents/w1/plan/raw_output.jsonl"), init(), message("m1", 5), message("m2", 7), result(0.5))
    run("import", "adw", "agents", "--status", "completed")
    assert run("show", "w1", "--json").json["actual_cost_total"] == "0.50", "a total that comes after it counts"


def test_a_cost_without_a_price_was_none_before_and_not_nothing(run: Run) -> None:
    charge(run, "w", "home-made")
    configure('[[prices]]\nmodel = "home-made"\ninput_usd_per_mtok = 1\noutput_usd_per_mtok = 1\n')
    answer = run("reprice", "--reason", "r", "--json").json
    (workflow,), model = answer["workflows"], answer["models"]["home-made"]
    assert (workflow["old_cost_usd"], model["old_cost_usd"]) == (None, None)
    assert workflow["new_cost_usd"] == model["new_cost_usd"] != "0.00"
    shown = run("reprice", "--reason", "r").out
    assert ("$0.0000" in shown, shown.count("none")) == (False, 2)


def test_a_model_without_a_price_today_has_no_figures(run: Run) -> None:
    charge(run, "w", "home-made")
    model = run("reprice", "--reason", "r", "--json").json["models"]["home-made"]
    assert (model["old_cost_usd"], model["new_cost_usd"], model["unpriced_readings"]) == (None, None, 1)
