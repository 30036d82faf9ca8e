"""Processes that share work."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ledger.storage.directory_store import DirectoryStore
from ledger.storage.parallel import ask_each
from tests.conftest import PROJECT

ASKING = """
import os, sys, threading, time
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.parallel import ask_each
from tests.ledger.storage.test_parallel import tell

if __name__ == "__main__":
    if sys.argv[2] == "spawn":
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()  # as a progress bar's
    with ask_each(tell, DirectoryStore(sys.argv[1]), list(range(640)), processes=2) as answers:
        list(answers)
"""


def tell(_: object, job: int) -> int:
    os.write(1, b"%d\n" % os.getpid())  # in one call: the others write there, too
    time.sleep(0.3)
    return job


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_end_with_a_process_that_is_killed(tmp_path: Path, start: str) -> None:
    script = tmp_path / "asking.py"
    script.write_text(ASKING)
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, str(script), str(tmp_path), start]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        workers = set[int]()
        while len(workers) < 2:
            workers.add(int(asking.stdout.readline()))
        asking.kill()
    until = time.monotonic() + 20
    while any(lives(pid) for pid in workers) and time.monotonic() < until:
        time.sleep(0.05)
    assert [pid for pid in workers if lives(pid)] == []


MEETING = threading.Barrier(8)
"""Of the jobs that one process does at once; each process has its own."""


def meet(_: object, job: int) -> tuple[int, int]:
    return job, MEETING.wait(timeout=60)


def test_a_process_does_jobs_that_append_several_at_once_and_answers_in_their_order(tmp_path: Path) -> None:
    with ask_each(meet, DirectoryStore(tmp_path), list(range(32)), processes=2, appends=True) as answers:
        found = list(answers)
    assert [job for job, _ in found] == list(range(32))
    for at in range(0, 32, 8):
        assert {arrived for _, arrived in found[at : at + 8]} == set(range(8))
