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
