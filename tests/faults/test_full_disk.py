"""A really full disk, in the middle of an append, an import, a refresh and a rebuild."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.errors import CostledgerError, HistoryUnavailable
from ledger.events.event import cost_observed
from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from projections.history.sqlite.history import SqliteHistory
from projections.replay.rebuild import rebuild
from projections.replay.refresh import refresh
from projections.replay.verify import Proof, verify
from tests.command import Done, costledger
from tests.conftest import PROJECT
from tests.ledger.logs import init, message, write
from tests.projections.server.conftest import Process
from tests.waiting import until


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs to mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Take all the space that is left."""
    filler = folder / "filler"
    file = os.open(filler, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(file, b"x" * 4096)
    os.close(file)
    return filler


def test_appends_go_on_when_there_is_space_again(small: Path) -> None:
    store = DirectoryStore(small / "data")
    store.append([cost_observed("w", cost_usd=1, id="before")])
    filler = fill(small)
    refused = 0
    for number in range(200):
        try:
            store.append([cost_observed("w", cost_usd=1, id=f"e{number}", reason="x" * 4000)])
        except CostledgerError as error:
            assert "No space left" in str(error) or "were written" in str(error)
            refused += 1
    filler.unlink(missing_ok=True)
    assert refused > 100
    for number in range(20):
        assert store.append([cost_observed("w", cost_usd=1, id=f"e{number}", reason="x" * 4000)])[0].id == f"e{number}"
    lines = list(DirectoryStore(small / "data").read("w"))
    assert (
        len({line["id"] for line in lines})
        == len(lines)
        == 22 + (200 - refused) - sum(1 for number in range(20) if number < 200 - refused)
    )


def test_an_import_is_whole_per_workflow_and_goes_on_afterwards(small: Path, tmp_path: Path) -> None:
    for number in range(30):
        messages = [message(f"m{number}-{at}", 9, f"s{number}") for at in range(60)]
        write(tmp_path / f"agents/w{number:02d}/raw_output.jsonl", init(f"s{number}", f"p{number}"), *messages)
    store = DirectoryStore(small / "data")
    report = import_source(store, "adw", tmp_path / "agents")
    assert report.problems
    assert all("No space left" in str(e) or "were written" in str(e) for _, e in report.problems)
    whole = set(report.workflows)
    for name in whole:
        assert len(list(store.read(name))) == 61
    subprocess.run(["mount", "-o", "remount,size=8m", small], check=True)
    again = import_source(store, "adw", tmp_path / "agents")
    assert (again.problems, again.appended) == ([], 60 * (30 - len(whole)))


def test_a_refresh_and_a_rebuild_are_whole_or_nothing(small: Path) -> None:
    store = DirectoryStore(small / "data", durability="none")
    for number in range(40):
        store.append([cost_observed(f"w{number:02d}", agent="a" * 400, model="m" * 400, cost_usd=1)])
    with SqliteHistory(small / "data/history.db") as history:
        refresh(store, history, workflow_ids=["w00"])
        before = history.rows()
        filler = fill(small)
        with pytest.raises(HistoryUnavailable, match="full"):
            refresh(store, history)
        with pytest.raises(HistoryUnavailable, match="full"):
            rebuild(store, history)
        assert history.rows() == before
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=8m", small], check=True)
        refresh(store, history)
        assert list(verify(store, history, Proof(), unread_too=True)) == []
        rebuild(store, history)
        assert len(history.rows()) == 40


def test_a_server_says_what_it_cannot_store_and_goes_on_when_there_is_space_again(small: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=2m", small], check=True)
    server = Process(small / "data")
    try:
        server.ledgers.append([cost_observed("w", cost_usd=1)])
        until(lambda: server.client.get("/api/workflow-history/w").status_code, lambda code: code == 200)
        filler = fill(small)
        server.ledgers.append([cost_observed("w", cost_usd=2)])  # the last page of the ledger has room
        until(lambda: server.client.get("/readyz").status_code, lambda code: code == 503)
        assert server.client.get("/readyz").json()["detail"].startswith("rows cannot be stored; ")
        assert "disk is full" in server.client.get("/api/health").json()["error"]
        filler.unlink()
        until(lambda: server.client.get("/readyz").status_code, lambda code: code == 200)
        assert server.client.get("/api/workflow-history/w").json()["actual_cost_total"] == "2.00"
        assert server.client.get("/api/health").json()["error"] is None
    finally:
        server.stop()


def test_a_read_only_disk_is_said_and_its_ledgers_can_be_read(small: Path) -> None:
    script = "from ledger import *; DirectoryStore('data').append([cost_observed('w', cost_usd=1)])"
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "-c", script], cwd=small, env=environment, check=True)
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    with pytest.raises(CostledgerError, match="Read-only file system"):
        DirectoryStore(small / "data").append([cost_observed("w", cost_usd=1)])
    assert len(list(DirectoryStore(small / "data").read("w"))) == 2


READING: tuple[list[str], ...] = (
    [],
    ["history"],
    ["show", "w"],
    ["explain", "w"],
    ["stale"],
    ["daily"],
    ["history", "--json"],
)
PROVING = (["verify"], ["verify", "--against", "anchors.txt"], ["rebuild", "--check"])


def run(folder: Path, *arguments: str) -> Done:
    return costledger(folder, *arguments, environment={"COSTLEDGER_DATA": "data"})


def by_another_process(folder: Path, *arguments: str) -> None:
    """So that no file is open here for writing, which would keep the disk from becoming read-only."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "COSTLEDGER_DATA": "data"}
    subprocess.run([sys.executable, "-m", "projections", *arguments], cwd=folder, env=environment, check=True)


def read_only(folder: Path) -> str:
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    return "its file system is read-only"


def full(folder: Path) -> str:
    fill(folder)
    return "its disk is full"


def appended(folder: Path, cost_usd: str) -> None:
    by_another_process(folder, "observe", "w", "--cost-usd", cost_usd)


def filled(folder: Path) -> None:
    """A ledger, its row and an anchor."""
    appended(folder, "1.25")
    by_another_process(folder, "refresh")
    (folder / "anchors.txt").write_text(run(folder, "anchor").out)


@pytest.mark.parametrize("hinder", [read_only, full])
def test_rows_are_read_and_proven_where_nothing_can_be_written(small: Path, hinder: Callable[[Path], str]) -> None:
    filled(small)
    hinder(small)
    for arguments in (*READING, *PROVING):
        done = run(small, *arguments)
        assert (done.code, done.err) == (0, ""), arguments
    assert "1.25" in run(small, "show", "w").out
    assert "1 ledger with 2 events" in run(small, "verify").out


@pytest.mark.parametrize("hinder", [read_only, full])
def test_rows_that_cannot_be_brought_up_to_date_are_shown_with_the_cause(
    small: Path, hinder: Callable[[Path], str]
) -> None:
    filled(small)
    appended(small, "1.75")
    cause = hinder(small)
    for arguments in READING:
        done = run(small, *arguments)
        assert done.out, arguments
        assert "rows are shown as they were stored last" in done.err, arguments
        assert f"{cause}; make room there, or make it writable" in done.err, arguments
    shown = run(small, "show", "w")
    assert (shown.code, "1.25" in shown.out) == (1, True)
    for arguments in PROVING:
        assert run(small, *arguments).code == 0, arguments
    for arguments in (["refresh"], ["rebuild"], ["resync", "--force", "w"]):
        done = run(small, *arguments)
        assert (done.code, cause in done.err) == (1, True), arguments


@pytest.mark.parametrize("hinder", [read_only, full])
def test_without_a_history_rows_are_replayed_where_nothing_can_be_written(
    small: Path, hinder: Callable[[Path], str]
) -> None:
    filled(small)
    for file in (small / "data").glob("history.db*"):
        file.unlink()
    hinder(small)
    done = run(small, "show", "w")
    assert (done.code, "1.25" in done.out) == (0, True)
    assert "are replayed from the ledgers" in done.err


def test_what_a_killed_process_left_in_the_journal_is_read_where_nothing_can_be_written(small: Path) -> None:
    filled(small)
    appended(small, "1.75")
    subprocess.run(["mount", "-o", "remount,size=2m", small], check=True)  # for a second copy of the history
    with SqliteHistory(small / "data/history.db") as history:
        refresh(DirectoryStore(small / "data"), history)
        for suffix in ("", "-wal"):
            shutil.copyfile(small / f"data/history.db{suffix}", small / f"copy{suffix}")
    for suffix in ("", "-wal"):
        shutil.copyfile(small / f"copy{suffix}", small / f"data/history.db{suffix}")
    read_only(small)
    with SqliteHistory(small / "data/history.db", writes=False) as history:
        assert history.stored()["w"].cost_nanousd == 1_750_000_000
    assert run(small, "verify").code == 0
