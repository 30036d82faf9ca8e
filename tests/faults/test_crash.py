"""`kill -9` of appending processes at random moments: nothing acknowledged is lost, doubled, or out of order."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger.events.event import cost_observed
from ledger.storage.directory_store import DirectoryStore
from tests.conftest import PROJECT

WRITERS = 8


def start(data: Path, name: str, output: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.ledger.appender", str(data), name, "100000", "0"]
    with output.open("ab") as out:
        return subprocess.Popen(command, cwd=PROJECT, stdout=out)


def campaign(folder: Path, kills: int, seed: int) -> tuple[int, int]:
    """Kill and restart writers of one ledger so many times; returns kills and receipts."""
    data, dice = folder / "data", random.Random(seed)
    outputs = {f"p{number}": folder / f"p{number}.txt" for number in range(WRITERS)}
    running = {name: start(data, name, output) for name, output in outputs.items()}
    while sum(output.read_bytes().count(b"\n") for output in outputs.values()) < 200:
        time.sleep(0.01)  # however busy the machine is, they are in the middle of their work
    killed = 0
    while killed < kills:
        for name in dice.sample(sorted(running), min(WRITERS, kills - killed)):
            time.sleep(dice.random() * 0.05)
            running[name].send_signal(signal.SIGKILL)
            running[name].wait()
            killed += 1
            running[name] = start(data, f"{name}-{killed}", outputs[name])
        time.sleep(0.15)
    for process in running.values():
        process.kill()
        process.wait()
    store = DirectoryStore(data)
    by_id = {line["id"]: line for line in store.read("w")}
    receipts = 0
    for output in outputs.values():
        for line in output.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                id, seq, digits = line.split()
                assert (by_id[id]["seq"], by_id[id]["hash"]) == (int(seq), digits)
                receipts += 1
    count = len(list(store.read("w")))
    assert count == len(by_id)
    assert store.append([cost_observed("w", cost_usd=1)])[0].seq == count + 1
    return killed, receipts


def test_killed_writers_lose_and_double_nothing(tmp_path: Path) -> None:
    killed, receipts = campaign(tmp_path, 24, seed=17)
    assert (killed, receipts > 100) == (24, True)


@pytest.mark.campaign
def test_a_thousand_kills(tmp_path: Path) -> None:
    killed, receipts = campaign(tmp_path, 1000, seed=int(time.time()))
    print(f"{killed:,} kills, {receipts:,} receipts, 0 lost, 0 doubled")
