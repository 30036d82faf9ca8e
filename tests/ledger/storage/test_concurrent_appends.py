"""Invariants 5, 6 and 7 with real processes and `kill -9`."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from ledger.events.event import cost_observed
from ledger.storage.directory_store import DirectoryStore
from tests.conftest import PROJECT


def start(data: Path, name: str, count: int, shared: int, output: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.ledger.appender", str(data), name, str(count), str(shared)]
    with output.open("ab") as out:
        return subprocess.Popen(command, cwd=PROJECT, stdout=out)


def test_sixteen_processes_append_to_one_ledger_while_some_are_killed(tmp_path: Path) -> None:
    data, dice = tmp_path / "data", random.Random(17)
    outputs = {f"p{n}": tmp_path / f"p{n}.txt" for n in range(16)}
    running = {name: start(data, name, 200, 20, output) for name, output in outputs.items()}
    victims = dice.sample(sorted(running), 8)
    for name in victims:
        time.sleep(dice.random() * 0.4)
        running[name].kill()
    codes = {name: process.wait() for name, process in running.items()}
    killed = {name for name, code in codes.items() if code == -9}
    assert all(code in (0, -9) for code in codes.values())
    assert killed, "no process was killed in the middle: the test shows nothing"
    for name in sorted(killed):  # an agent that comes back says everything again
        assert start(data, name, 200, 20, outputs[name]).wait() == 0

    store = DirectoryStore(data)
    lines = list(store.read("w"))  # verifies the chain and the gapless seq
    by_id = {line["id"]: line for line in lines}
    assert len(by_id) == len(lines)
    assert len(lines) == 1 + 20 + 16 * 180
    for output in outputs.values():
        receipts = [line.split() for line in output.read_text().splitlines(keepends=True) if line.endswith("\n")]
        for id, seq, digits in receipts:
            assert (by_id[id]["seq"], by_id[id]["hash"]) == (int(seq), digits)
    assert store.append([cost_observed("w", cost_usd=1)])[0].seq == len(lines) + 1
