"""`what-if`: usage under other prices, as a table, as JSON and over HTTP."""

from __future__ import annotations

from tests.projections.cli.configured import charge
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def test_usage_under_the_prices_of_another_model(run: Run) -> None:
    charge(run, "w", "claude-opus-4-5", 1_000_000, "--cache-read-tokens", "1000000")
    run("observe", "v", "--cost-usd", "2", "--model", "mystery")
    answer = run("what-if", "--model", "claude-haiku-4-5")
    assert answer.code == 0
    assert "$25.5000" in answer.out
    assert "$5.1000" in answer.out
    assert "-$20.4000" in answer.out
    assert "not in these sums: $2.0000 of mystery, as claude-haiku-4-5: no tokens are recorded" in answer.out
    found = run("what-if", "--model", "claude-haiku-4-5", "--json").json
    assert found["total"]["difference_usd"] == "-20.40"
    assert run("spend", "--json").json["total"]["cost_usd"] == "27.50", "nothing is appended"


def test_what_the_cache_saved(run: Run) -> None:
    assert run("what-if", "--no-cache").out == "nothing was spent\n"
    charge(run, "w", "claude-opus-4-5", 1, "--cache-read-tokens", "1000000")
    assert "prompt caching saved about $4.50" in run("what-if", "--no-cache").out
    assert run("what-if").code != 0


def test_a_difference_to_an_unknown_cost_is_not_shown(run: Run) -> None:
    charge(run, "w", "claude-opus-4-5", 1_000_000, "--cache-read-tokens", "1000000")
    shown = run("what-if", "--price", "*opus*=0,0").out
    assert "unknown" in shown, "the price of the cached tokens is not given"
    assert "-$" not in shown


def test_a_model_that_nothing_used_is_named(run: Run) -> None:
    charge(run, "w", "claude-opus-4-5", 1_000_000)
    asked = ("what-if", "--price", "CLAUDE-*=1,1", "--map", "gtp-5*=claude-haiku-4-5")
    shown = run(*asked).out
    assert run(*asked, "--json").json["unused"] == ["gtp-5*"]
    assert "no usage is of a model gtp-5*" in shown
    assert "no usage is of a model CLAUDE-*" not in shown


def test_a_map_that_a_price_goes_before_is_named(run: Run) -> None:
    charge(run, "w", "claude-opus-4-5", 1_000_000)
    asked = ("what-if", "--price", "*opus*=1,1", "--map", "claude-*=claude-haiku-4-5")
    assert run(*asked, "--json").json["overridden"] == ["claude-*"]
    assert "claude-* has no effect" in run(*asked).out
    charge(run, "v", "claude-sonnet-4-5", 1_000_000)
    assert run(*asked, "--json").json["overridden"] == [], "it applies to one of its models"


def test_a_model_that_others_are_mapped_to_has_the_price_that_is_given(run: Run) -> None:
    charge(run, "w", "claude-opus-4-5", 1_000_000)
    found = run("what-if", "--map", "*opus*=glm-of-ours", "--price", "glm-*=2,6", "--json").json
    assert (found["total"]["would_cost_usd"], found["unused"], found["overridden"]) == ("6.00", [], [])
    assert found["lines"][0]["priced_as"] == "glm-of-ours"
