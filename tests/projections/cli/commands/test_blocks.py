"""`blocks` from the command line: windows, the active one with its rate, at any width."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.projections.cli.commands.test_spend import on_a_terminal
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


@pytest.fixture
def filled(run: Run) -> Run:
    """Spend a week ago, and now."""
    for name, days in (("old", 7.5), ("new", 0)):
        at = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        usage = ("--model", "claude-opus-4-5", "--output-tokens", "900", "--cost-usd", "1.25")
        run("charge", name, "--agent", name, "--observed-at", at, *usage)
    return run


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.usefixtures("filled")
def test_windows_and_the_active_one(columns: int) -> None:
    printed = on_a_terminal(columns, "blocks", "--timezone", "UTC", "--no-import")
    assert printed.count("$1.2500") >= 2
    assert "$5.0000 per hour, 60 tokens per minute" in " ".join(printed.split())
    assert "where a plan pays, they are API-equivalent" in printed
    assert ("claude-opus-4-5" in printed) == (columns == 200)


def test_recent_active_and_weekly_windows(filled: Run) -> None:
    every = filled("blocks", "--json").json["blocks"]
    assert [block["is_active"] for block in every] == [False, True]
    assert [block["burn"] is None for block in every] == [True, False]
    assert len(filled("blocks", "--recent", "--json").json["blocks"]) == 1
    assert len(filled("blocks", "--active", "--json").json["blocks"]) == 1
    assert len(filled("blocks", "--window", "7d", "--json").json["blocks"]) == 2
    assert filled("blocks", "--active", "--where", "agent=old").out == "no window is active\n"
    assert filled("blocks", "--window", "4h").code == 2
