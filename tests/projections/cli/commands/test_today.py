"""`costledger` alone: the picture of today."""

from __future__ import annotations

from pathlib import Path

from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def test_the_picture_of_today(run: Run) -> None:
    empty = run("--data", "nowhere")
    assert (empty.code, "no workflows" in empty.out) == (0, True)
    assert not Path("nowhere").exists(), "looking makes nothing"
    run("observe", "w", "--cost-usd", "0.09")
    assert "spent $0.0900; in all $0.0900 in 1 workflow\n" in run().out
    assert run("--json").json["running"] == [
        {"adw_id": "w", "cost_usd": "0.09", "at_least": False, "cost_basis": "reported", "unpriced_events": 0}
    ]
