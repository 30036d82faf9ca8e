"""Clocks, time zones, locales and umasks that differ between the processes of one ledger; refreshers that race."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from ledger.events.event import cost_observed
from ledger.storage.directory_store import DirectoryStore
from projections.history.sqlite.history import SqliteHistory
from projections.replay.refresh import refresh
from projections.replay.verify import Proof, verify
from tests.conftest import PROJECT

REFRESHER = """
import sys
from pathlib import Path
from ledger.storage.directory_store import DirectoryStore
from projections.replay.rebuild import rebuild
from projections.replay.refresh import refresh
from projections.history.sqlite.history import SqliteHistory

data, kind = Path(sys.argv[1]), sys.argv[2]
with SqliteHistory(data / "history.db") as history:
    for _ in range(40):
        (rebuild if kind == "rebuild" else refresh)(DirectoryStore(data), history)
"""


def start(data: Path, name: str, environment: dict[str, str], umask: int = 0o022) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.ledger.appender", str(data), name, "150", "0"]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, env=os.environ | environment, umask=umask)


def test_processes_of_other_zones_locales_and_umasks_write_one_ledger(tmp_path: Path) -> None:
    places = [
        ({"TZ": "Pacific/Kiritimati", "LC_ALL": "C"}, 0o022),
        ({"TZ": "America/New_York", "LC_ALL": "C.UTF-8"}, 0o077),
        ({"TZ": "Asia/Kathmandu", "PYTHONUTF8": "0", "LANG": "POSIX"}, 0o002),
    ]
    agents = [start(tmp_path, f"p{n}", environment, umask) for n, (environment, umask) in enumerate(places)]
    assert [agent.wait() for agent in agents] == [0, 0, 0]
    lines = list(DirectoryStore(tmp_path).read("w"))
    times = [line["recorded_at"] for line in lines]
    assert len(lines) == 451
    assert times == sorted(times)
    assert all(time.endswith("Z") for time in times)


def test_two_refreshers_and_a_rebuild_at_once_end_at_the_same_rows(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, durability="none")
    store.append([cost_observed("w0", cost_usd=0)])
    SqliteHistory(tmp_path / "history.db").close()
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    racers = [
        subprocess.Popen([sys.executable, "-c", REFRESHER, str(tmp_path), kind], env=environment, cwd=PROJECT)
        for kind in ("refresh", "refresh", "rebuild")
    ]
    number = 0
    while any(racer.poll() is None for racer in racers):
        number += 1
        if number > 2_000:
            time.sleep(0.005)  # on a busy machine ledgers would else outgrow the racers, who replay them whole
        store.append([cost_observed(f"w{number % 5}", agent=f"a{number % 7}", cost_usd=number)])
    assert [racer.wait() for racer in racers] == [0, 0, 0]
    with SqliteHistory(tmp_path / "history.db") as history:
        refresh(store, history)
        assert list(verify(store, history, Proof(), unread_too=True)) == []
        incremental = history.rows()
    with SqliteHistory(tmp_path / "fresh.db") as fresh:
        refresh(store, fresh)
        assert fresh.rows() == incremental


def test_a_refresher_killed_at_any_moment_leaves_rows_and_checkpoint_agreeing(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, durability="none")
    for number in range(60):
        store.append([cost_observed(f"w{number:02d}", cost_usd=1)])
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    for round_ in range(12):
        racer = subprocess.Popen(
            [sys.executable, "-c", REFRESHER, str(tmp_path), "rebuild" if round_ % 2 else "refresh"],
            env=environment,
            cwd=PROJECT,
        )
        for number in range(60):
            store.append([cost_observed(f"w{number:02d}", cost_usd=round_ + 2)])
        try:
            racer.wait(timeout=0.1 + round_ * 0.04)
        except subprocess.TimeoutExpired:
            racer.kill()
        racer.wait()
        with SqliteHistory(tmp_path / "history.db") as history:
            assert list(verify(store, history, Proof())) == []
    with SqliteHistory(tmp_path / "history.db") as history:
        refresh(store, history)
        assert {row.actual_cost_total for row in history.rows()} == {13.0}
