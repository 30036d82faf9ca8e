"""Each system call fails once, for real: strace makes the kernel refuse the n-th one of a process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.events.event import cost_observed
from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from projections.history.sqlite.history import SqliteHistory
from projections.replay.rebuild import rebuild
from projections.replay.refresh import refresh
from projections.replay.verify import Proof, verify
from tests.command import costledger
from tests.conftest import PROJECT
from tests.ledger.logs import init, message, result, write


def _strace_works() -> bool:
    if shutil.which("strace") is None:
        return False
    done = subprocess.run(["strace", "-e", "inject=getppid:error=EIO", "true"], capture_output=True, check=False)
    return done.returncode == 0


needs_strace = pytest.mark.skipif(not _strace_works(), reason="strace cannot inject faults on this machine")

CALLS = ["flock", "write", "fdatasync", "fsync", "ftruncate", "openat", "rename", "pwrite64", "pread64"]


def run(folder: Path, injected: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    strace = ["strace", "-f", "-o", "/dev/null", "-P", str(folder / "data"), *_paths(folder), "-e", injected]
    command = [*strace, sys.executable, "-m", "projections", *arguments]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1", "COSTLEDGER_DATA": "data"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False, timeout=120)


def _paths(folder: Path) -> list[str]:
    """Only calls on our own files fail, not the interpreter's."""
    data = folder / "data"
    names = [
        ".",
        "ledgers",
        "ledgers/w1.jsonl",
        "history.db",
        "history.db-wal",
        "history.db-journal",
        "sources.jsonl.new",
    ]
    return [part for name in [*names, "origin", "sources.jsonl"] for part in ("-P", str(data / name))]


def seeded(folder: Path) -> None:
    write(folder / "agents/w1/plan/raw_output.jsonl", init(), message("m1", 9), result(0.25, sonnet=0.25))
    store = DirectoryStore(folder / "data")
    store.append([cost_observed("w1", agent="first", cost_usd=1, id="first")])
    with SqliteHistory(folder / "data/history.db") as history:
        refresh(store, history)


COMMANDS = {
    "append": ["observe", "w1", "--agent", "second", "--cost-usd", "2", "--id", "second"],
    "import": ["import", "adw", "agents"],
    "refresh": ["refresh"],
    "rebuild": ["rebuild"],
}


@needs_strace
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_refused_call_is_an_error_and_the_next_attempt_works(tmp_path: Path, command: str, call: str) -> None:
    _one(tmp_path, command, call, "EIO", 1)


def _one(folder: Path, command: str, call: str, code: str, number: int) -> None:
    seeded(folder)
    if command in ("refresh", "rebuild"):
        DirectoryStore(folder / "data").append([cost_observed("w1", agent="second", cost_usd=2, id="second")])
    done = run(folder, f"inject={call}:error={code}:when={number}", *COMMANDS[command])
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    acknowledged = command == "append" and done.returncode == 0
    store = DirectoryStore(folder / "data")
    recorded = {line["id"] for line in store.read("w1")}
    assert "first" in recorded
    assert not acknowledged or "second" in recorded
    again = costledger(folder, *COMMANDS[command], environment={"COSTLEDGER_DATA": "data"})
    assert again.code == 0, again.err
    if command == "import":
        assert import_source(store, "adw", folder / "agents").appended == 0
    with SqliteHistory(folder / "data/history.db") as history:
        refresh(store, history)
        assert list(verify(store, history, Proof())) == []
        before = history.rows()
        rebuild(store, history)
        assert history.rows() == before
    lines = list(store.read("w1"))
    assert len({line["id"] for line in lines}) == len(lines)


WRITES = {"pwrite64": 120, "fdatasync": 20, "ftruncate": 3, "unlink": 3}
"""Calls that change what is on the disk, and more of each than a refresh or a rebuild of two events makes."""


@needs_strace
@pytest.mark.parametrize(("call", "number"), [("pwrite64", 1), ("pwrite64", 9), ("pwrite64", 17), ("fdatasync", 2)])
@pytest.mark.parametrize("command", ["refresh", "rebuild"])
def test_a_projection_killed_before_a_write_leaves_what_was(
    tmp_path: Path, command: str, call: str, number: int
) -> None:
    assert _killed(tmp_path, command, call, number)


@needs_strace
@pytest.mark.campaign
@pytest.mark.parametrize("command", ["refresh", "rebuild"])
@pytest.mark.parametrize("call", WRITES)
def test_a_projection_killed_before_any_of_its_writes(tmp_path: Path, command: str, call: str) -> None:
    killed = [_killed(tmp_path / str(number), command, call, number) for number in range(1, WRITES[call] + 1)]
    print(f"{command} killed before {sum(killed)} {call}")
    assert any(killed)
    assert not killed[-1], "there are more such calls than were tried"


def _killed(folder: Path, command: str, call: str, number: int) -> bool:
    """Kill a projection before its n-th such call, and look; false when it makes fewer."""
    seeded(folder)
    store = DirectoryStore(folder / "data")
    store.append([cost_observed("w1", agent="second", cost_usd=2, id="second")])
    store.append([cost_observed("w2", cost_usd=5)])
    done = run(folder, f"inject={call}:signal=SIGKILL:when={number}", *COMMANDS[command])
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    with SqliteHistory(folder / "data/history.db") as history:
        assert list(verify(store, history, Proof())) == []
        refresh(store, history)
        assert list(verify(store, history, Proof(), unread_too=True)) == []
        with SqliteHistory(folder / "fresh.db") as fresh:
            refresh(store, fresh)
            assert history.rows() == fresh.rows()
        assert sorted((entry.adw_id, entry.new_cost) for entry in history.audit()) == [("w1", 1), ("w1", 3), ("w2", 5)]
    return done.returncode != 0


EVERY = [(call, code) for call in CALLS for code in ("EIO", "ENOSPC")]
EVERY += [(call, "EINTR") for call in ("flock", "write", "fdatasync", "fsync")]


@needs_strace
@pytest.mark.campaign
@pytest.mark.parametrize(("call", "code"), EVERY)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_call_of_every_command(tmp_path: Path, command: str, call: str, code: str) -> None:
    for number in range(1, 9):
        _one(tmp_path / str(number), command, call, code, number)
