"""`demo`: the story on example data."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.command import costledger
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def test_the_demo_tells_the_story_from_any_directory(tmp_path: Path) -> None:
    done = costledger(tmp_path, "demo")
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


@pytest.mark.parametrize("starts", [False, True], ids=["serves", "starts"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_served_demo_leaves_nothing_behind(tmp_path: Path, how: signal.Signals, starts: bool) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "projections", "demo", "--serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = next(filter(None, (re.search(r"http://\S+/", line) for line in process.stderr)))
        if not starts:
            with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
                assert client.get(f"{found[0]}api/access").status_code == 200
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(how)
        process.communicate(timeout=60)
    assert process.returncode == {signal.SIGTERM: 143, signal.SIGINT: 130}[how]
    assert list(tmp_path.iterdir()) == []
