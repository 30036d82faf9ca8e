"""A real ext4 shut down under load, without flushing its journal, and mounted again.

As close as a test gets to pulling the plug; the call and its flags are in the kernel's include/uapi/linux/ext4.h. What
counts is what was acknowledged before the call: an `fdatasync` that is under way at that instant can come back as a
success although the journal was dropped under it. A bare loop of lock, write, unlock, `fdatasync` shows the same (8 of
80 writers lost their last line on Linux 6.18), so that no user of `fdatasync` could be tested beyond it.
"""

from __future__ import annotations

import fcntl
import gc
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.events.event import cost_observed
from ledger.storage.directory_store import DirectoryStore
from projections.history.sqlite.history import SqliteHistory
from projections.replay.refresh import refresh
from projections.replay.verify import Proof, verify
from tests.conftest import PROJECT

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2

REFRESHER = """
import sys
from pathlib import Path
from ledger.storage.directory_store import DirectoryStore
from projections.replay.refresh import refresh
from projections.history.sqlite.history import SqliteHistory

data = Path(sys.argv[1])
with SqliteHistory(data / "history.db") as history:
    while True:
        refresh(DirectoryStore(data), history)
"""


class Disk:
    """A small ext4 in a file."""

    def __init__(self, folder: Path) -> None:
        self.image, self.mount_point = folder / "ext4.img", folder / "mnt"
        self.mount_point.mkdir()
        with self.image.open("wb") as file:
            file.truncate(64 * 1024 * 1024)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", self.image, self.mount_point], check=True, capture_output=True)

    def shut_down(self) -> None:
        """Every write from now on fails, and nothing that waits in memory reaches the disk."""
        folder = os.open(self.mount_point, os.O_RDONLY)
        fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        os.close(folder)

    def unmount(self) -> None:
        subprocess.run(["umount", self.mount_point], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    try:
        made = Disk(tmp_path)
        made.mount()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs root, mkfs.ext4 and loop mounts")
    yield made
    subprocess.run(["umount", "--lazy", made.mount_point], check=False, capture_output=True)


def plug_pulled(disk: Disk, folder: Path, seed: int) -> int:
    """Append and refresh under load, shut down, mount again; returns how many receipts there were."""
    dice, data = random.Random(seed), disk.mount_point / f"data{seed}"
    outputs = [folder / f"{seed}-{number}.txt" for number in range(4)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    processes = []
    for number, output in enumerate(outputs):
        command = [sys.executable, "-m", "tests.ledger.appender", str(data), f"p{number}", "100000", "50"]
        with output.open("wb") as out:
            processes.append(
                subprocess.Popen(command, cwd=PROJECT, stdout=out, stderr=subprocess.DEVNULL, env=environment)
            )
    refresher = [sys.executable, "-c", REFRESHER, str(data)]
    time.sleep(0.2)
    processes.append(subprocess.Popen(refresher, cwd=folder, stderr=subprocess.DEVNULL, env=environment))
    while sum(output.read_bytes().count(b"\n") for output in outputs) < 40:
        time.sleep(0.01)
    time.sleep(0.3 + dice.random())
    printed = [output.read_text() for output in outputs]
    disk.shut_down()
    time.sleep(0.05)
    for process in processes:
        process.kill()
        process.wait()
    gc.collect()
    disk.unmount()
    disk.mount()
    by_id = {line["id"]: line for line in DirectoryStore(data).read("w")}
    receipts = 0
    for text in printed:
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):
                id, seq, digits = line.split()
                assert (by_id[id]["seq"], by_id[id]["hash"]) == (int(seq), digits), "an acknowledged event is gone"
                receipts += 1
    store = DirectoryStore(data)
    with SqliteHistory(data / "history.db") as history:
        problems = [finding.problem for finding in verify(store, history, Proof())]
        cut = [problem for problem in problems if "never acknowledged" not in problem]
        assert cut == [], "a checkpoint knows more than its ledger"
        assert store.append([cost_observed("w", cost_usd=1)])[0].seq == len(by_id) + 1
        refresh(store, history)
        assert list(verify(store, history, Proof())) == []
    return receipts


def test_what_was_acknowledged_survives_a_shut_down_file_system(disk: Disk, tmp_path: Path) -> None:
    assert plug_pulled(disk, tmp_path, 1) > 20


@pytest.mark.campaign
def test_fifty_shut_downs(disk: Disk, tmp_path: Path) -> None:
    receipts = 0
    for seed in range(50):
        receipts += plug_pulled(disk, tmp_path, seed)
        shutil.rmtree(disk.mount_point / f"data{seed}")
        gc.collect()  # no file may be open when the disk is unmounted
    print(f"50 shut-downs, {receipts:,} receipts, 0 lost")
