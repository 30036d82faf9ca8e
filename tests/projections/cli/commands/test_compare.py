"""`compare` from the command line: two sides, and what their difference comes from, at any width."""

from __future__ import annotations

import pytest

from ledger.text import without_escapes
from tests.projections.cli.commands.test_spend import on_a_terminal
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


@pytest.fixture
def filled(run: Run) -> Run:
    """A dollar in October, three in November, by two agents, and a message without a price."""
    for at, agent, usd in (("10-05", "plan", "1"), ("11-05", "plan", "0.5"), ("11-06", "build", "2.5")):
        moment = ("--observed-at", f"2026-{at}T12:00:00Z")
        run("charge", f"w{at}", "--agent", agent, "--model", "opus", "--cost-usd", usd, *moment)
    run("charge", "w11-06", "--agent", "lint", "--model", "mystery", "--output-tokens", "9", *moment)
    return run


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.usefixtures("filled")
def test_a_difference_and_its_parts(columns: int) -> None:
    asked = ("compare", "2026-10", "2026-11", "--by", "agent", "--no-import")
    printed = without_escapes(on_a_terminal(columns, *asked))
    lines = [line.split() for line in printed.splitlines()]
    assert ["cost", "$1.0000", "≥", "$3.0000", "+$2.0000"] in lines
    assert ["workflows", "1", "2", "+1"] in lines
    assert ["per", "workflow", "$1.0000", "≥", "$1.5000", "+$0.5000"] in lines
    assert "+$1.0000 from the number of workflows, +$1.0000 from what each costs" in printed
    assert ["build", "$2.5000", "+$2.5000"] in lines
    assert ["plan", "$1.0000", "$0.5000", "-$0.5000"] in lines
    assert ["lint", "unpriced"] in lines
    assert ["total", "$1.0000", "≥", "$3.0000", "+$2.0000"] in lines


def test_others_are_one_line(filled: Run) -> None:
    printed = filled("compare", "2026-10", "2026-11", "--by", "agent", "-n", "1").out
    assert "2 others" in printed
    found = filled("compare", "2026-10", "2026-11", "--by", "agent", "-n", "1", "--json").json
    assert (found["contributions"][0]["difference_usd"], found["others"]["difference_usd"]) == ("2.50", "-0.50")


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        (("moon", "2026-11"), "compare 'moon' is no time: give 2026-11-23"),
        (("2026-11-05..2026-11-01", "2026-11"), "compare 2026-11-05 is after its end 2026-11-01"),
        (("2026-10", "model=opus"), "compare two periods, or two values"),
        (("planet=mars", "planet=venus"), "no dimension"),
    ],
)
def test_bad_input_is_a_sentence(filled: Run, sides: tuple[str, str], message: str) -> None:
    refused = filled("compare", *sides)
    assert (refused.code, message in refused.err) == (2, True), refused.err


def test_nothing_on_both_sides_is_a_sentence_and_on_one_a_table(filled: Run) -> None:
    answer = filled("compare", "2020-01", "2020-02")
    assert answer.out == "nothing was spent in 2020-01 and in 2020-02: there is nothing to compare\n"
    assert filled("compare", "2020-01", "2020-02", "--json").json["contributions"] == []
    assert "$0.0000" in filled("compare", "2020-01", "2026-10").out


def test_long_values_are_folded_and_no_cell_is_below_another(run: Run) -> None:
    first, second = "claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929"
    for model, usd in ((first, "3"), (second, "1")):
        run("charge", "w1", "--agent", "implementor", "--model", model, "--cost-usd", usd)
    asked = ("compare", f"model={first}", f"model={second}", "--no-import")
    printed = without_escapes(on_a_terminal(80, *asked))
    assert ["implementor", "$3.0000", "$1.0000", "-$2.0000"] in [line.split() for line in printed.splitlines()]
    assert max(map(len, printed.splitlines())) <= 80
    assert first in without_escapes(on_a_terminal(200, *asked))
