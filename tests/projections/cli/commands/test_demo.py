"""`demo`: the story on example data."""

from __future__ import annotations

import re
from pathlib import Path

from tests.projections.cli.test_app import Run, piped, run

__all__ = ["run"]


def test_the_demo_tells_the_story_from_any_directory(tmp_path: Path) -> None:
    done = piped(tmp_path, "demo")
    assert (done.code, done.err) == (0, "")
    figures = re.findall(r"a5b80595\s+(running|completed)\s+(nothing|\$[\d.]+)\s+\$([\d.]+)", done.out)
    assert [(status, cost) for status, _, cost in figures] == [
        ("running", "0.0900"),
        ("running", "0.2412"),
        ("running", "1.2912"),
        ("running", "1.9112"),
        ("running", "5.0000"),
        ("running", "5.0000"),
        ("completed", "2.3700"),
    ]
    assert "costledger import adw" in done.out
    assert list(tmp_path.iterdir()) == []


def test_the_demo_can_be_kept_and_looked_at(run: Run) -> None:
    assert run("demo", "--keep", "kept").code == 0
    assert "$2.3700" in run("--data", "kept", "show", "a5b80595").out
    assert run("--data", "kept", "verify").code == 0
    assert run("demo", "--keep", "kept").code == 2


def test_weeks_of_made_up_workflows_are_the_same_until_the_same_moment(run: Run) -> None:
    for folder, moment in (("one", "2026-11-20T15:00Z"), ("two", "2026-11-20T16:00+01:00")):
        done = run("demo", "--keep", folder, "--weeks-until", moment)
        assert (done.code, done.err) == (0, "")
    one, two = (run("--data", folder, "spend", "--by", "workflow", "--json").json for folder in ("one", "two"))
    assert one == two
    assert (len(one["lines"]), one["total"]["cost_usd"]) == (167, "161.438970667")
    for refused in (["--weeks-until", "today"], ["--keep", "three", "--weeks-until", "some day"]):
        done = run("demo", *refused)
        assert (done.code, "--weeks-until" in done.err) == (2, True)
