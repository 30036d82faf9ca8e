"""Ledgers and rows that grow while they are verified are no findings."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from projections.history.postgres.history import open_postgres
from projections.history.sqlite.history import SqliteHistory
from projections.replay.rebuild import rebuild
from projections.replay.refresh import refresh
from projections.replay.verify import Proof, verify
from tests.conftest import PROJECT
from tests.projections.server.conftest import Process
from tests.waiting import until

WRITER = """
import sys, time
from pathlib import Path
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from projections.replay.refresh import refresh
from projections.history.open import open_history

data, history, refreshes = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "refreshes"
store = DirectoryStore(data, durability="none")
print(flush=True)
with open_history(history if history.startswith("postgresql") else Path(history)) as rows:
    number = 0
    while True:
        number += 1
        name = f"w{number % 5}" if number % 20 else f"new{number}"
        store.append([cost_observed(name, agent="plan", cost_usd=f"{number}.01")])
        if number % 10 == 0:
            store.append([workflow_ended(name, "completed"), workflow_started(name)])
        if refreshes:
            refresh(store, rows)
        time.sleep(0.005)
"""


@contextlib.contextmanager
def writing(data: Path, history: str, *, refreshes: bool) -> Iterator[None]:
    """A process that appends some 150 times a second, and refreshes the rows after each event."""
    command = [sys.executable, "-c", WRITER, str(data), history, "refreshes" if refreshes else "only appends"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
            assert process.poll() is None
        finally:
            process.kill()


def seeded(data: Path) -> DirectoryStore:
    store = DirectoryStore(data, durability="none")
    for number in range(5):
        store.append([workflow_started(f"w{number}"), cost_observed(f"w{number}", cost_usd=1)])
    return store


@pytest.mark.parametrize("check", [False, True], ids=["verify", "rebuild --check"])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_run_beside_a_writer_that_refreshes_has_a_finding(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, *, check: bool
) -> None:
    store = seeded(tmp_path)
    postgres = request.getfixturevalue("postgres_url") if kind == "postgres" else None
    with open_postgres(postgres) if postgres else SqliteHistory(tmp_path / "history.db") as history:
        refresh(store, history)
        with writing(tmp_path, postgres or str(tmp_path / "history.db"), refreshes=True):
            sizes = set[int]()
            while len(sizes) < 15:  # the ledgers grew between the runs, however long a run takes
                proof = Proof()
                assert list(verify(store, history, proof, unread_too=check)) == []
                sizes.add(proof.events)


def test_no_run_beside_a_writer_and_rebuilds_has_a_finding(tmp_path: Path) -> None:
    store, stop = seeded(tmp_path), threading.Event()

    def rebuilds() -> None:
        with SqliteHistory(tmp_path / "history.db") as own:
            while not stop.is_set():
                rebuild(DirectoryStore(tmp_path), own)

    with SqliteHistory(tmp_path / "history.db") as history:
        refresh(store, history)
        thread = threading.Thread(target=rebuilds)
        with writing(tmp_path, str(tmp_path / "history.db"), refreshes=False):
            thread.start()
            try:
                for _ in range(15):
                    assert list(verify(store, history, Proof())) == []
            finally:
                stop.set()
                thread.join()


def test_the_command_beside_a_writer_and_a_server_has_no_finding(tmp_path: Path, serve: Callable[..., Process]) -> None:
    data = tmp_path / "data"
    seeded(data)
    server = serve(data)
    with writing(data, str(data / "history.db"), refreshes=False):
        for arguments in (["verify"], ["rebuild", "--check"]) * 3:
            command = [sys.executable, "-m", "projections", "--data", str(data), *arguments]
            done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 0, done.stdout + done.stderr
        for _ in range(10):
            assert server.client.post("/api/verify").status_code == 202
            last = until(
                lambda: server.client.get("/api/health").json()["verification"],
                lambda found: found["finished_at"] is not None,
                60.0,
            )
            assert (last["findings"], last["error"]) == ([], None)


def test_a_row_that_is_wrong_is_found_beside_a_writer(tmp_path: Path) -> None:
    store = seeded(tmp_path)
    store.append([cost_observed("quiet", cost_usd=2), workflow_ended("quiet", "completed")])
    with SqliteHistory(tmp_path / "history.db") as history:
        refresh(store, history)
        with writing(tmp_path, str(tmp_path / "history.db"), refreshes=True):
            with contextlib.closing(sqlite3.connect(tmp_path / "history.db", isolation_level=None, timeout=30)) as db:
                db.execute("UPDATE costledger_spend SET cost_nanousd = 7 WHERE adw_id = 'quiet'")
            found = {finding.workflow_id: finding.problem for finding in verify(store, history, Proof())}
    assert found == {"quiet": "what was spent sums to $0.000000007, and replay says $2.00"}
