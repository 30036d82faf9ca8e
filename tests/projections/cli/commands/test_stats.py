"""`stats` from the command line: what is shown of costs and waste, at any width."""

from __future__ import annotations

import pytest

from ledger.text import without_escapes
from tests.projections.cli.commands.test_spend import on_a_terminal
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


@pytest.fixture
def filled(run: Run) -> Run:
    """A workflow that was repeated, one that failed, and one of a model without a price."""
    for name, template, usd in (("w", "sdlc", "1.25"), ("v", "sdlc", "0.75"), ("u", "review", None)):
        run("start", name, "--workflow-template", template, "--issue-number", "17")
        cost = ("--cost-usd", usd) if usd else ("--output-tokens", "9")
        run("charge", name, "--agent", "plan", "--model", "who-knows-1", *cost)
        run("fail", name)
    run("start", "w", "--run", "2")
    run("charge", "w", "--agent", "build", "--cost-usd", "3", "--model", "who-knows-1")
    run("complete", "w", "--run", "2")
    return run


def test_costs_and_waste_by_template(filled: Run) -> None:
    printed = without_escapes(on_a_terminal(200, "stats", "--no-import"))
    (sdlc,) = [line for line in printed.splitlines() if line.strip().startswith("sdlc")]
    figures = ["2", "3", "$5.0000", "$2.5000", "$2.5000", "$3.9000", "$4.0750", "$4.2500", "$1.6667"]
    assert sdlc.split()[1:] == [*figures, "$0.7500", "$1.2500", "$2.0000"]
    (review,) = [line for line in printed.splitlines() if line.strip().startswith("review")]
    assert "unpriced" in review
    assert "$0" not in review
    assert "≥ $5.0000" in printed
    assert "≥ means at least" in printed
    narrow = without_escapes(on_a_terminal(80, "stats", "--no-import"))
    assert max(map(len, narrow.splitlines())) <= 80
    assert "wasted" in narrow
    assert filled("stats", "--since", "2020", "--json").code == 2


def test_some_lines_and_none(filled: Run) -> None:
    assert "and 1 more" in filled("stats", "-n", "1").out
    assert filled("stats", "--until", "2020-01-01").out == "nothing was spent on this\n"
    assert [line["group"] for line in filled("stats", "--by", "agent", "--json").json["lines"]] == ["build", "plan"]
    assert "did you mean 'agent'" in filled("stats", "--by", "agnt").err
