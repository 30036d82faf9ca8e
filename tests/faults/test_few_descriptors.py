"""Few file descriptors: each command works or says what to do, a server refuses and recovers, nothing is marked."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import pytest

from ledger.errors import LedgerUnavailable, is_shortage
from ledger.events.event import cost_observed
from ledger.storage import descriptors
from ledger.storage.directory_store import DirectoryStore
from projections.history.sqlite.history import SqliteHistory
from tests.conftest import PROJECT
from tests.projections.server.conftest import Process
from tests.waiting import until

FEW: Final = 32
LEDGERS: Final = 100
EVENTS: Final = "".join(
    json.dumps({"workflow_id": f"w{number:03}", "type": kind, **fields}) + "\n"
    for number in range(LEDGERS)
    for kind, fields in (("workflow_started", {}), ("cost_observed", {"cost_usd": "1.5"}))
)
TO_DO: Final = "raise that with `ulimit -n 1024`"


def costledger(data: Path, limit: int, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command that may have so many descriptors."""
    return subprocess.run(
        [sys.executable, "-m", "projections", "--data", str(data), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    ledgers = DirectoryStore(tmp_path / "data", durability="none")
    for number in range(LEDGERS):
        ledgers.append([cost_observed(f"w{number:03}", cost_usd=1)])
    return ledgers.path


def marks(data: Path) -> list[str]:
    """What lies among the ledgers and is none: fences and copies."""
    return [path.name for path in (data / "ledgers").iterdir() if path.suffix != ".jsonl"]


def close_cached() -> None:
    """Close what stores of this process have cached, as at a shortage."""

    def refused() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with suppress(OSError):
        descriptors.retried(refused)


@contextmanager
def none_left(spare: int) -> Iterator[None]:
    """No more than so many further descriptors in this process."""
    with ExitStack() as opened:
        used = len(os.listdir("/proc/self/fd")) - 1  # its own is closed by now
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + spare, hard))
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(highest + 1 - used):
            opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        yield


def test_many_workflows_are_appended_by_a_process_that_may_have_few_descriptors(tmp_path: Path) -> None:
    done = costledger(tmp_path, FEW, "append", stdin=EVENTS)

    assert (done.returncode, done.stderr) == (0, "")
    ledgers = DirectoryStore(tmp_path)
    assert [len(list(ledgers.read(name))) for name in ledgers.workflow_ids()] == [3] * LEDGERS


@pytest.mark.parametrize(
    "command",
    [
        ["observe", "w001", "--cost-usd", "2"],
        ["import", "claude", str(PROJECT / "tests/ledger/samples/claude")],
        ["refresh"],
        ["rebuild"],
        ["verify"],
        ["history"],
        ["show", "w001"],
        [],
    ],
    ids=lambda command: command[0] if command else "today",
)
def test_a_command_works_with_few_descriptors_or_says_what_to_do(data: Path, command: list[str]) -> None:
    assert costledger(data, FEW, *command).returncode == 0

    for limit in (7, 6, 5):
        done = costledger(data, limit, *command)
        assert done.returncode == 0 or TO_DO in done.stderr, (limit, done.stderr)
        assert "Traceback" not in done.stderr
        assert "this should not happen" not in done.stderr
    assert marks(data) == []


def test_cached_ledgers_are_closed_for_a_file_that_has_to_be_opened(data: Path) -> None:
    ledgers = DirectoryStore(data)
    for number in range(10):
        ledgers.append([cost_observed(f"w{number:03}", cost_usd=2)])

    with none_left(2):
        ledgers.append([cost_observed("w050", cost_usd=2)])
        assert len(list(ledgers.read("w051"))) == 2


def test_a_ledger_that_no_descriptor_is_left_for_is_neither_fenced_nor_damaged(data: Path) -> None:
    ledgers = DirectoryStore(data)
    close_cached()

    with none_left(0), pytest.raises(LedgerUnavailable, match="ulimit -n") as refused:
        ledgers.append([cost_observed("w001", cost_usd=2)])

    assert is_shortage(refused.value.error)
    assert marks(data) == []
    assert ledgers.append([cost_observed("w001", cost_usd=2)])[0].seq == 3


def test_a_history_that_no_descriptor_is_left_for_is_not_taken_for_a_damaged_one(data: Path) -> None:
    with SqliteHistory(data / "history.db") as history, none_left(0):
        with pytest.raises(Exception, match="ulimit -n"):
            SqliteHistory(data / "history.db")
        with pytest.raises(Exception, match="ulimit -n"):
            history.is_whole()


@pytest.mark.parametrize("durability", ["always", "none"])
def test_appending_to_hundreds_of_ledgers_leaks_no_descriptor(tmp_path: Path, durability: str) -> None:
    ledgers = DirectoryStore(tmp_path, durability=durability)  # type: ignore[arg-type]
    close_cached()
    before = len(os.listdir("/proc/self/fd"))

    for number in range(300):
        ledgers.append([cost_observed(f"w{number}", cost_usd=1)])

    assert len(os.listdir("/proc/self/fd")) <= before + 64
    ledgers.close_idle()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_soft_limit_is_raised_as_far_as_the_hard_one_allows() -> None:
    program = (
        "import resource; from ledger.storage import descriptors;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (32, 600)); print(descriptors.limit(), descriptors.raise_limit())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "32 600\n"


def test_what_is_no_shortage_is_not_named_one(tmp_path: Path) -> None:
    assert descriptors.shortage(OSError(errno.EACCES, "no")) is None
    with pytest.raises(Exception, match="there is no such database") as refused:
        SqliteHistory(tmp_path / "missing" / "history.db", writes=False)
    assert "ulimit" not in str(refused.value)


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_server_with_few_descriptors_refuses_connections_at_once_and_recovers(tmp_path: Path) -> None:
    ledgers = DirectoryStore(tmp_path)
    for number in range(20):
        ledgers.append([cost_observed(f"w{number}", cost_usd=1)])
    limited = [sys.executable, "-c", _LIMITED, str(FEW)]
    server = Process(tmp_path, by=limited)
    try:
        answers = []
        with ExitStack() as clients:
            for number in range(30):
                client = clients.enter_context(httpx.Client(base_url=server.url, timeout=20))
                event = {"workflow_id": f"w{number % 20}", "type": "cost_observed", "cost_usd": "2", "id": str(number)}
                try:
                    answers.append(client.post("/api/events", json=event).status_code)
                except (httpx.RemoteProtocolError, httpx.WriteError, httpx.ReadError):
                    answers.append(503)  # the answer came before all of the question was sent
            assert set(answers) == {201, 503}
            started = processor_seconds(server.process.pid)
            time.sleep(1)
            assert processor_seconds(server.process.pid) - started < 0.5, "nothing is asked of it"
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
        for one in idle:
            one.close()

        def recovered() -> bool:
            with httpx.Client(base_url=server.url, timeout=20) as client:
                return client.get("/readyz").status_code == 200

        until(recovered, bool)
        for number in range(20):
            event = {"workflow_id": f"w{number}", "type": "cost_observed", "cost_usd": "3", "id": f"after {number}"}
            with httpx.Client(base_url=server.url, timeout=20) as client:
                assert client.post("/api/events", json=event).status_code == 201
        with httpx.Client(base_url=server.url, timeout=20) as client:
            health = client.get("/api/health").json()
        assert (health["problems"], health["leftovers"]["fenced"]["count"]) == ({}, 0)
    finally:
        logged = server.stop()
    assert "Traceback" not in logged
    assert logged.count("connections are refused") == 1, "once a minute"
    assert marks(tmp_path) == []
    appended = {line["id"] for name in ledgers.workflow_ids() for line in ledgers.read(name)}
    assert {str(number) for number, status in enumerate(answers) if status == 201} <= appended
    assert costledger(tmp_path, 1024, "verify").returncode == 0


_LIMITED: Final = """
import os, resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
os.execv(sys.argv[2], sys.argv[2:])
"""
