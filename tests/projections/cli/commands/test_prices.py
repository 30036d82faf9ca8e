"""`prices`: what a model costs, when and where."""

from __future__ import annotations

import re

from tests.projections.cli.configured import LOCAL, charge, configure
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def test_prices_without_a_model_are_those_of_all_in_use(run: Run) -> None:
    before = run("prices").out.splitlines()
    assert "names a model yet" in before[0]
    configure(LOCAL)
    for model in ("claude-sonnet-4-5", "glm-5", "who-knows-1"):
        charge(run, "w", model)
    charge(run, "v", next(line.split('"')[1] for line in LOCAL.splitlines() if "model" in line).replace("*", "x"))
    answer = run("prices")
    lines = answer.out.splitlines()
    shown = {line.split()[0]: line for line in lines[2:] if line.startswith("  ")}
    assert "anthropic" in shown["claude-sonnet-4-5"]
    assert "≥ " in shown["glm-5"]
    assert "unpriced" in shown["who-knows-1"]
    assert any("[[prices]] number 1" in line for line in shown.values())
    assert re.search(
        r"^list: genai-prices \S+, newest dated price \d{4}-\d\d-\d\d, corrections \d{4}", answer.out, re.M
    )
    assert re.search(r"^update the list: .*--upgrade genai-prices$", answer.out, re.M)
    assert set(before[1:]) <= set(lines), "the list and its update do not depend on workflows"
    assert len(before) == 3
    every = run("prices", "--json").json
    assert {one["model"]: one["rates"] is None for one in every["models"]}["who-knows-1"] is True
    assert every["models"][0] | {"at": ""} == run("prices", every["models"][0]["model"], "--json").json | {"at": ""}


def test_prices_of_a_model(run: Run) -> None:
    answer = run("prices", "claude-sonnet-4-5-20250929", "--at", "2026-01-10T00:00Z", "--json").json
    assert answer["rates"]["input_tokens"] == {
        "usd": "3.00",
        "per": 1_000_000,
        "tiers": [{"above_input_tokens": 200_000, "usd": "6.00"}],
    }
    assert (answer["price_book"].split()[0], answer["override"]) == ("genai-prices", None)
    assert (answer["providers"], answer["correction"], answer["at_least"]) == (["anthropic"], None, False)
    table = run("prices", "claude-sonnet-4-5", "--at", "2026-01-10").out
    assert "above 200,000" in table
    assert "cache write, 1 h" in table
    batch = run("prices", "claude-opus-4-5", "--service-tier", "batch").out
    assert "12.500   1M tokens" in batch, "decimals line up"


def test_prices_name_the_correction_and_the_providers(run: Run) -> None:
    long = run("prices", "claude-sonnet-4-20250514", "--at", "2025-09-15T00:00Z", "--json").json
    assert long["rates"]["output_tokens"]["tiers"] == [{"above_input_tokens": 200_000, "usd": "22.50"}]
    named = {name: long["correction"][name] for name in ("version", "since", "until", "above_input_tokens")}
    assert named["version"] in long["price_book"]
    assert named | {"version": ""} == {
        "version": "",
        "since": "2025-08-12",
        "until": "2026-05-01",
        "above_input_tokens": 200_000,
    }
    assert "corrected from 2026-05-01: " in run("prices", "claude-sonnet-4-5", "--at", "2026-06-01").out
    several = run("prices", "glm-5")
    assert "lowest of zhipuai and zai" in several.out
    assert "a provider before the name, or [providers], decides" in several.out
    assert run("prices", "glm-5", "--json").json["at_least"] is True
    configure('[providers]\n"glm-*" = "zai"\n')
    decided = run("prices", "glm-5", "--json").json
    assert (decided["providers"], decided["at_least"]) == (["zai"], False)


def test_a_provider_that_has_no_price_list_is_refused_with_the_one_that_was_meant(run: Run) -> None:
    configure('[providers]\n"glm-*" = "zia"\n')
    refused = run("prices", "glm-5")
    assert (refused.code, refused.out) == (2, "")
    assert "costledger.toml, line 2" in refused.err
    assert "did you mean 'zai'?" in refused.err


def test_a_price_above_a_context_or_of_several_is_at_least_until_the_provider_is_named(run: Run) -> None:
    charge = ("charge", "w", "--model", "glm-5", "--output-tokens", "1000000")
    assert run(*charge).code == 0
    row = run("show", "w", "--json").json
    lowest = row["actual_cost_total"]
    assert (float(lowest) < 3.2, row["cost_basis"]) == (True, "partial")
    configure('[providers]\n"glm-*" = "zai"\n')
    assert run("reprice", "--reason", "zai served it", "--yes").code == 0
    assert run("complete", "w").code == 0
    row = run("show", "w", "--json").json
    assert (row["actual_cost_total"], row["cost_basis"]) == ("3.20", "priced")
    configure('[providers]\n"glm-*" = "zhipuai"\n')
    assert run("reprice", "--reason", "no, zhipuai", "--yes").code == 0
    row = run("show", "w", "--json").json
    assert (row["actual_cost_total"], row["cost_basis"]) == (lowest, "priced")


def test_prices_change_in_time(run: Run) -> None:
    def tiers(at: str) -> int:
        return len(run("prices", "claude-sonnet-4-6", "--at", at, "--json").json["rates"]["input_tokens"]["tiers"])

    assert (tiers("2026-03-12T23:59:59Z"), tiers("2026-03-13T00:00:00Z")) == (1, 0)
    assert run("prices", "claude-sonnet-4-6", "--at", "soon").code == 2


def test_a_model_without_a_price_names_those_like_it_and_the_next_step(run: Run) -> None:
    unknown = run("prices", "claude-sonet-4-5")
    assert (unknown.code, unknown.out) == (1, "")
    assert "claude-sonnet-4-5" in unknown.err
    assert "[[prices]] in costledger.toml" in unknown.err
    configure(LOCAL)
    assert run("prices", "qwen-at-home").code == 1
    assert run("prices", "llama-at-home").code == 0
