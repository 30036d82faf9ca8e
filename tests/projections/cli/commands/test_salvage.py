"""`salvage`: a damaged ledger and its row."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.storage.line import chain_hash
from tests.conftest import PROJECT
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


def test_a_damaged_ledger_is_salvaged_and_anchored(run: Run, tmp_path: Path) -> None:
    for agent, cost in (("plan", "0.09"), ("build", "2.28")):
        run("observe", "w", "--agent", agent, "--cost-usd", cost)
    run("history")
    line = run("anchor").out
    (tmp_path / "safe.txt").write_text(line)
    assert run("verify", "--against", "safe.txt").code == 0
    path = tmp_path / "data/ledgers/w.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"2.28"', b'"0.01"'))
    assert "costledger salvage -- w" in run("verify").out
    answer = run("salvage", "w")
    assert (answer.code, "its row showed $2.3700, and shows $0.0900 now" in answer.out) == (0, True)
    assert run("verify").code == 0
    assert run("verify", "--against", "safe.txt").code == 3
    assert run("salvage", "w").code == 1
    assert run("verify", "--against", "data/history.db").code == 2


def test_a_salvage_killed_before_it_came_to_the_row_is_finished_by_the_next(run: Run, tmp_path: Path) -> None:
    for agent, cost in (("plan", "0.09"), ("build", "2.28")):
        run("observe", "w", "--agent", agent, "--cost-usd", cost)
    run("refresh")
    path = tmp_path / "data/ledgers/w.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"2.28"', b'"0.01"'))
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:signal=KILL:when=2"]
    if shutil.which("strace") is None:
        pytest.skip("no strace: apt-get install strace")
    command = [*strace, sys.executable, "-m", "projections", "salvage", "w"]
    killed = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(PROJECT)}, check=False)
    assert killed.returncode != 0
    assert b'"salvaged":true' in path.read_bytes()  # its row is still the damaged ledger's
    assert run("verify").code == 3
    answer = run("salvage", "w")
    assert answer.code == 0
    assert "1 event recovered" in answer.out
    assert "w.jsonl.damaged-1" in answer.out
    assert "its row showed $2.3700, and shows $0.0900 now" in answer.out
    assert run("verify").code == 0
    assert run("salvage", "w").code == 1
    run("observe", "w", "--agent", "test", "--cost-usd", "1")
    run("refresh")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert run("salvage", "w").code == 1  # cut since: that is no salvage's doing
    assert run("verify").code == 3


def test_a_salvage_whose_row_cannot_be_replayed_is_no_success(run: Run, tmp_path: Path) -> None:
    for agent, cost in (("plan", "0.09"), ("build", "2.28")):
        run("observe", "w", "--agent", agent, "--cost-usd", cost)
    path = tmp_path / "data/ledgers/w.jsonl"
    opening, plan, build = path.read_bytes().splitlines()
    body = plan[:-66].replace(b'"cost_usd":"0.09"', b'"cost_usd":"free"')  # some other writer's line, rightly chained
    odd = body + chain_hash(opening[-66:] + b"\n", body).encode() + b'"}'
    path.write_bytes(b"\n".join([opening, odd, build, b""]))
    answer = run("salvage", "w")
    assert (answer.code, "1 event recovered, 1 line left out" in answer.out, "costledger: w: " in answer.err) == (
        1,
        True,
        True,
    )


def test_a_salvage_that_would_keep_nothing_is_a_finding(run: Run, tmp_path: Path) -> None:
    run("observe", "w", "--cost-usd", "2.28")
    run("refresh")
    path = tmp_path / "data/ledgers/w.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"2.28"', b'"0.01"'))
    answer = run("salvage", "w")
    assert (answer.code, "restore the file from a backup" in answer.err) == (3, True)
    assert "$2.2800" in run("history").out
