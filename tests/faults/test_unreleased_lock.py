"""A lock that is never released: each command ends, names the process that has it, and does the other ledgers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from ledger.errors import LockedLedger
from ledger.events.event import cost_observed
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.files import Files, OpenFile, locked_file
from tests.conftest import PROJECT
from tests.projections.server.conftest import Process
from tests.waiting import until

FORKS = """
import os, signal, sys
from ledger.events.event import cost_observed
from ledger.storage.files import Files
from ledger.storage.directory_store import DirectoryStore

idle = sys.argv[2] == "idle"

def fork():
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        signal.pause()

class Killed(Files):
    armed = False
    def write(self, file, data):
        if self.armed:
            if not idle:
                fork()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().write(file, data)

store = DirectoryStore(sys.argv[1], files=Killed())
store.append([cost_observed("w", cost_usd=1)])
Killed.armed = True
if idle:
    fork()
store.append([cost_observed("w", cost_usd=1)])
"""

STOPS = """
import os, signal, sys
from ledger.events.event import cost_observed
from ledger.storage.files import Files
from ledger.storage.directory_store import DirectoryStore

class Stopped(Files):
    def write(self, file, data):
        written = super().write(file, data)
        os.kill(os.getpid(), signal.SIGSTOP)
        return written

DirectoryStore(sys.argv[1], files=Stopped()).append([cost_observed("stuck", cost_usd="0.50", id="late")])
"""


def script(text: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", text, *arguments], cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def command(data: Path, *arguments: str, seconds: float = 0.3) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "COSTLEDGER_LOCK_SECONDS": str(seconds)}
    whole = [sys.executable, "-m", "projections", "--data", str(data), *arguments]
    return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def run(data: Path, *arguments: str) -> tuple[int, str]:
    process = command(data, *arguments)
    out, err = process.communicate(timeout=20)
    return process.returncode, out + err


@pytest.mark.parametrize("moment", ["idle", "in the append"])
def test_a_forked_child_does_not_keep_the_lock_of_a_parent_that_was_killed(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSTLEDGER_LOCK_SECONDS", "2")
    parent = script(FORKS, str(tmp_path), moment)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        assert parent.wait(timeout=20) == -signal.SIGKILL
        os.kill(child, 0)  # it lives, and would have the lock
        assert DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=1)])[0].seq == 3
        assert len(list(DirectoryStore(tmp_path).read("w"))) == 3
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()


def test_a_forked_child_goes_on_reading_what_its_parent_opened(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.append([cost_observed("w", cost_usd=1)])
    reader = store.read("w")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if len(list(reader)) == 2 else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two ledgers, one of which a test locks."""
    store = DirectoryStore(tmp_path / "data")
    for workflow_id, cost in (("fine", "2.37"), ("stuck", "0.09")):
        store.append([cost_observed(workflow_id, cost_usd=cost)])
    assert run(tmp_path / "data", "refresh")[0] == 0
    store.append([cost_observed(workflow_id, cost_usd="3") for workflow_id in ["fine"]])
    return tmp_path / "data"


@pytest.fixture
def stopped(data: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that was stopped in the middle of an append."""
    process = script(STOPS, str(data))
    assert os.waitpid(process.pid, os.WUNTRACED)[0] == process.pid
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_commands_that_read_name_a_stopped_writer_and_do_the_other_ledgers(
    data: Path, stopped: subprocess.Popen[str]
) -> None:
    names_it = re.compile(rf"stuck.*process {stopped.pid} \(python[0-9.]*, stopped\)", re.DOTALL)
    code, said = run(data, "history")
    assert code == 1, said
    assert names_it.search(said), said
    assert "$3.00" in said, "the other ledger is read to its end"
    assert "$0.09" in said, "the row of the locked one is shown as it was stored"
    for arguments, expected in ((["verify"], 3), (["rebuild"], 1), (["rebuild", "--check"], 3), (["anchor"], 1)):
        code, said = run(data, *arguments)
        assert (code, bool(names_it.search(said))) == (expected, True), (arguments, said)
    code, said = run(data, "verify", "--json")
    proof = json.loads(said)
    assert (proof["events"], len(proof["findings"])) == (6, 1), said
    code, said = run(data, "explain", "stuck")
    assert "$0.09" in said, said


def test_an_append_names_a_stopped_writer_and_succeeds_once_that_goes_on(
    data: Path, stopped: subprocess.Popen[str]
) -> None:
    code, said = run(data, "observe", "stuck", "--cost-usd", "1")
    assert code == 1, said
    assert re.search(rf"process {stopped.pid} \(python.*nothing was acknowledged", said), said
    os.kill(stopped.pid, signal.SIGCONT)
    assert stopped.wait(timeout=20) == 0
    assert run(data, "observe", "stuck", "--cost-usd", "1")[0] == 0
    assert [line["seq"] for line in DirectoryStore(data).read("stuck")] == [1, 2, 3, 4]
    code, said = run(data, "verify")
    assert (code, "0 findings" in said) == (0, True), said


def test_a_reader_that_never_releases_its_lock_stops_appends_alone(data: Path) -> None:
    path = DirectoryStore(data).ledger_path("stuck")
    with subprocess.Popen(["flock", "-s", path, "-c", "echo locked; exec sleep 60"], stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"locked\n"
        try:
            assert run(data, "history")[0] == 0
            assert run(data, "verify")[0] == 0
            code, said = run(data, "observe", "stuck", "--cost-usd", "1")
            assert code == 1, said
            assert re.search(r"stuck.*is locked: process \d+ \((flock|sleep)\)", said), said
        finally:
            reader.kill()


def test_many_locked_ledgers_cost_hardly_more_than_one(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTLEDGER_LOCK_SECONDS", "1")
    store = DirectoryStore(data)
    for number in range(6):
        store.append([cost_observed(f"w{number}", cost_usd=1)])
    paths = [str(store.ledger_path(f"w{number}")) for number in range(6)]
    locks = f"import fcntl, sys, time; opened = [open(path) for path in {paths}]; "
    locks += "[fcntl.flock(file, fcntl.LOCK_EX) for file in opened]; print(flush=True); time.sleep(60)"
    holder = script(locks)
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        began = time.monotonic()
        for _ in range(2):
            for number in range(6):
                with pytest.raises(LockedLedger, match=rf"process {holder.pid} \(python"):
                    store.read(f"w{number}")
        assert time.monotonic() - began < 1 + 0.5 + 10 * 0.25 + 2.5
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert [len(list(store.read(f"w{number}"))) for number in range(6)] == [2] * 6


def test_a_server_starts_beside_a_stopped_writer_and_says_so(
    data: Path, stopped: subprocess.Popen[str], serve: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSTLEDGER_LOCK_SECONDS", "0.3")
    server = serve(data)
    ready = server.client.get("/readyz")
    assert ready.text == "ready; 1 ledger cannot be replayed, see /api/health\n"
    problem = server.client.get("/api/health").json()["problems"]["stuck"]
    assert f"process {stopped.pid} (python" in problem
    assert server.client.get("/api/workflow-history/fine").json()["actual_cost_total"] == "3.00"
    assert server.client.post("/api/events", json={"workflow_id": "stuck", "cost_usd": "1"}).status_code != 201
    os.kill(stopped.pid, signal.SIGCONT)
    until(lambda: server.client.get("/readyz").text, lambda text: text == "ready\n", 30.0)
    assert server.client.get("/api/workflow-history/stuck").json()["actual_cost_total"] == "0.50"


@pytest.mark.parametrize(
    "arguments",
    [["history"], ["verify"], ["anchor"], ["rebuild"], ["observe", "stuck", "--cost-usd", "1"], ["serve", "--port=0"]],
    ids=lambda arguments: arguments[0],
)
def test_sigterm_ends_a_command_that_waits_for_a_lock(
    data: Path, stopped: subprocess.Popen[str], arguments: list[str]
) -> None:
    assert stopped.poll() is None
    process = command(data, *arguments, seconds=60)
    until(lambda: _has_open(process.pid, DirectoryStore(data).ledger_path("stuck")), bool, 60.0)
    assert process.poll() is None
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM


def _has_open(pid: int, path: Path) -> bool:
    """Whether a process or a child of it has a file open, and so waits for its lock."""
    children = "".join(each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children")).split()
    found = False
    for entry in [entry for each in (pid, *children) for entry in Path(f"/proc/{each}/fd").glob("*")]:
        with contextlib.suppress(OSError):
            found |= entry.readlink() == path
    return found


def test_sigterm_ends_a_running_server_beside_a_stopped_writer(
    data: Path, stopped: subprocess.Popen[str], serve: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSTLEDGER_LOCK_SECONDS", "0.3")
    server = serve(data)
    until(lambda: _status(server), lambda status: status == 200)
    server.process.terminate()
    assert server.process.wait(timeout=10) in (0, -signal.SIGTERM)
    assert stopped.poll() is None


def _status(server: Process) -> int:
    try:
        return server.client.get("/readyz").status_code
    except httpx.TransportError:
        return 0


def test_an_interrupt_while_a_lock_is_lifted_leaves_none_behind(tmp_path: Path) -> None:
    class Interrupted(Files):
        def unlock(self, file: OpenFile) -> None:  # noqa: ARG002 (as its parent has it)
            raise KeyboardInterrupt

    path = tmp_path / "file"
    path.touch()
    with pytest.raises(KeyboardInterrupt) as kept, locked_file(Interrupted(), path):
        pass

    other = Files().open_read(path)
    fcntl.flock(other.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert kept.tb is not None, "its frames refer to the file"
