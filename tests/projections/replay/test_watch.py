"""Following sources and ledgers: changes are taken in, a problem is reported once, and nothing stops it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import DirectoryStore, MemoryStore, cost_observed
from ledger.errors import CostledgerError
from ledger.events import money
from ledger.importing.importer import SourceEntry, SourceRegister, import_source
from ledger.installation import extra_hint
from ledger.pricing.genai_book import GenaiPrices
from ledger.storage.journal import Durability
from projections.history.memory import MemoryHistory
from projections.history.store import HistoryStore
from projections.replay.file_watcher import FileWatcher
from projections.replay.refresh import refresh
from projections.replay.watch import Watch, WatchReport
from tests.conftest import PROJECT
from tests.ledger import logs
from tests.ledger.sources.agent_home import OPENCODE_GOES_ON
from tests.ledger.sources.agent_samples import sample


class Seconds:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Followed:
    """A data directory with an agents' tree next to it, and a watch on both."""

    def __init__(self, folder: Path, *, durability: Durability = "always") -> None:
        self.agents, self.data = folder / "agents", folder / "data"
        self.agents.mkdir()
        self.ledgers = DirectoryStore(self.data, durability=durability)
        self.history, self.seconds = MemoryHistory(), Seconds()
        self.entries = [SourceEntry("adw", str(self.agents))]
        self.watch = Watch(self.ledgers, self.history, lambda: self.entries, prices=GenaiPrices(), clock=self.seconds)

    def log(self, *records: Any, workflow: str = "w") -> Path:
        return logs.write(self.agents / workflow / "plan" / "raw_output.jsonl", *records)

    def step(self) -> WatchReport:
        self.seconds.now += 31
        return self.watch.step()


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    return Followed(tmp_path)


def cost(history: HistoryStore, workflow_id: str = "w") -> str:
    row = history.row(workflow_id)
    assert row is not None
    return money.to_wire(row.actual_cost_nanousd)


def test_a_log_that_grows_raises_its_row_step_by_step(followed: Followed) -> None:
    followed.log(logs.init(), logs.result(0.09))
    first = followed.step()
    assert [(change.adw_id, change.new_nanousd) for change in first.changes] == [("w", money.parse("0.09"))]
    followed.log(logs.init(), logs.result(0.09), logs.result(2.37))
    assert [change.new_nanousd for change in followed.step().changes] == [money.parse("2.37")]
    quiet = followed.step()
    assert not quiet.changed
    assert not quiet.imported, "nothing changed, and nothing was read"


@pytest.mark.parametrize("whole_folder", [True, False])
def test_a_database_is_followed_through_its_wal(tmp_path: Path, followed: Followed, whole_folder: bool) -> None:
    """The agent has it open: until a checkpoint, what is new is in the `-wal` alone."""
    logs_there = sample("opencode", tmp_path / "opencode")
    path = logs_there / "opencode.db"
    followed.entries[:] = [SourceEntry("opencode", str(logs_there if whole_folder else path))]
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as agent:
        agent.execute("PRAGMA wal_autocheckpoint = 0")
        followed.step()
        assert (before := followed.history.row("ses_fork")) is not None
        size = path.stat().st_size
        agent.execute(OPENCODE_GOES_ON)
        assert path.stat().st_size == size
        step = followed.step()
        assert [(change.adw_id, change.new_nanousd) for change in step.changes] == [
            ("ses_fork", 2 * before.actual_cost_nanousd)
        ]
        assert not followed.step().imported, "nothing changed, and nothing was read"
        assert whole_folder or path.with_name("opencode.db-wal") in followed.watch.paths


def test_only_the_workflows_that_changed_are_read_again(followed: Followed) -> None:
    for name in ("v", "w"):
        followed.log(logs.init(name, name), logs.result(0.5, name), workflow=name)
    followed.step()
    followed.log(logs.init("w", "w"), logs.result(0.5, "w"), logs.result(0.7, "w"), workflow="w")
    step = followed.step()
    assert list(step.imported[0][1].workflows) == ["w"]
    assert step.folded == ["w"]


def test_what_another_process_appends_is_seen_without_any_source(followed: Followed) -> None:
    followed.entries.clear()
    followed.step()
    DirectoryStore(followed.data).append([cost_observed("w", cost_usd="0.5")])
    assert [change.adw_id for change in followed.step().changes] == ["w"]
    assert cost(followed.history) == "0.50"


def test_a_source_that_breaks_is_told_once_and_the_others_go_on(followed: Followed) -> None:
    gone = SourceEntry("claude-stream", str(followed.data / "gone.jsonl"), "w")
    followed.entries.insert(0, gone)
    followed.log(logs.init(), logs.result(0.5))
    step = followed.step()
    assert [trouble.where for trouble in step.troubles] == [f"claude-stream:{gone.path}"]
    assert cost(followed.history) == "0.50"
    assert not followed.step().troubles
    logs.write(Path(gone.path), logs.init("s2", "p2"), logs.result(0.25, "s2"))
    assert not followed.step().troubles
    assert cost(followed.history) == "0.75"
    Path(gone.path).unlink()
    assert len(followed.step().troubles) == 1, "it broke again, and is reported again"


def test_a_line_that_cannot_be_read_is_told_once_by_file_and_line(followed: Followed) -> None:
    path = followed.log(logs.init(), "nonsense\n", logs.result(0.5))
    assert [(skipped.path, skipped.line) for skipped in followed.step().skipped] == [(path, 2)]
    followed.log(logs.init(), "nonsense\n", logs.result(0.5), logs.result(0.6))
    assert not followed.step().skipped
    assert cost(followed.history) == "0.60"


def test_a_damaged_ledger_is_told_once_and_the_others_are_kept_current(followed: Followed) -> None:
    for name in ("v", "w"):
        followed.log(logs.init(name, name), logs.result(0.5, name), workflow=name)
    followed.step()
    ledger = followed.ledgers.ledger_path("v")
    ledger.write_bytes(ledger.read_bytes().replace(b"0.50", b"0.10", 1))
    for name in ("v", "w"):
        followed.log(logs.init(name, name), logs.result(0.9, name), workflow=name)
    troubles = followed.step().troubles
    assert any("v" in trouble.where for trouble in troubles)
    assert cost(followed.history, "w") == "0.90"
    assert cost(followed.history, "v") == "0.50", "its row stays as it was"
    assert not followed.step().troubles


def test_sources_that_cannot_be_listed_leave_the_last_ones_in_force(tmp_path: Path) -> None:
    followed = Followed(tmp_path)
    followed.log(logs.init(), logs.result(0.5))
    broken = False

    def sources() -> Iterator[SourceEntry]:
        if broken:
            raise CostledgerError("line 3: is not a key here")
        yield from followed.entries

    watch = Watch(followed.ledgers, followed.history, sources, prices=GenaiPrices(), clock=followed.seconds)
    watch.step()
    broken = True
    followed.log(logs.init(), logs.result(0.6))
    followed.seconds.now += 31
    assert [trouble.where for trouble in watch.step().troubles] == ["sources"]
    assert cost(followed.history) == "0.60"


def test_a_source_that_takes_long_rests_before_it_is_read_again(followed: Followed) -> None:
    followed.log(logs.init(), logs.result(0.5))
    followed.step()
    followed.log(logs.init(), logs.result(0.6))
    followed.seconds.now += 31
    followed.watch.step()
    seen_at = followed.seconds.now
    followed.watch._following._states[followed.entries[0]].pauses_until = seen_at + 4  # noqa: SLF001 - as a slow read leaves it
    followed.log(logs.init(), logs.result(0.7))
    step = followed.watch.step()
    assert (step.imported, step.due_seconds) == ([], 4)
    followed.seconds.now += 5
    assert followed.watch.step().imported


@settings(max_examples=20)
@given(st.data())
def test_however_files_grow_between_looks_the_rows_are_those_of_one_import(data: st.DataObject) -> None:
    import tempfile

    written: dict[str, list[Any]] = {name: [] for name in ("v", "w")}
    with tempfile.TemporaryDirectory() as folder:
        followed = Followed(Path(folder), durability="none")
        for number in range(data.draw(st.integers(1, 6))):
            name = data.draw(st.sampled_from(sorted(written)))
            written[name] += [logs.init(f"{name}{number}", f"p{number}"), logs.result(number + 0.5, f"{name}{number}")]
            path = followed.log(*written[name], workflow=name)
            if data.draw(st.booleans()):  # cut in the middle of the last line, as a writer that is still at it
                whole = path.read_bytes()
                path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
                followed.step()
                path.write_bytes(whole)
            if data.draw(st.booleans()):
                followed.step()
        followed.step()
        clean, rows = MemoryStore(), MemoryHistory()
        import_source(clean, "adw", followed.agents)
        refresh(clean, rows)
        for name, records in written.items():
            if records:
                assert cost(followed.history, name) == cost(rows, name)


def test_a_change_wakes_at_once_where_the_operating_system_tells(tmp_path: Path) -> None:
    pytest.importorskip("watchfiles")
    stop = threading.Event()
    wake = FileWatcher(stop)
    wake.wait([tmp_path], 0.0)
    threading.Timer(0.3, lambda: (tmp_path / "a").write_text("x", encoding="utf-8")).start()
    began = time.monotonic()
    wake.wait([tmp_path], 0.0)
    assert 0.2 < time.monotonic() - began < 20, "long before the thirty seconds it would wait"
    threading.Timer(0.3, stop.set).start()
    wake.wait([tmp_path], 0.0)
    assert stop.is_set()


def test_without_watchfiles_it_says_so_and_looks_every_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    wake = FileWatcher(threading.Event())
    assert wake.reason is not None
    assert wake.reason == f"watchfiles is not installed: {extra_hint('watch')}"
    began = time.monotonic()
    wake.wait([tmp_path], 0.0)
    assert time.monotonic() - began >= 1.0


def test_the_command_follows_until_it_is_told_to_stop(tmp_path: Path) -> None:
    data = tmp_path / "data"
    log = logs.write(tmp_path / "agents" / "w" / "plan" / "raw_output.jsonl", logs.init(), logs.result(0.09))
    SourceRegister(data).add(SourceEntry("adw", str(tmp_path / "agents")))
    command = [sys.executable, "-m", "projections", "--data", str(data), "watch", "--json"]
    watching = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["new_cost"] == "0.09"
        logs.write(log, logs.init(), logs.result(2.37))
        assert json.loads(watching.stdout.readline())["new_cost"] == "2.37"
        DirectoryStore(data).append([cost_observed("v", cost_usd="0.50")])
        printed = json.loads(watching.stdout.readline())
        assert printed == {
            "adw_id": "v",
            "old_cost": None,
            "new_cost": "0.50",
            "status": "running",
            "reason": "watch",
        }
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(timeout=30) == 0
    finally:
        watching.kill()
        watching.communicate()


def test_looking_once_reads_everything_and_leaves(tmp_path: Path) -> None:
    logs.write(tmp_path / "agents" / "w" / "plan" / "raw_output.jsonl", logs.init(), logs.result(0.09))
    (tmp_path / "costledger.toml").write_text(
        f'[[sources]]\nkind = "adw"\npath = "{tmp_path}/agents"\n[[sources]]\nkind = "otlp"\npath = "gone"\n',
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "projections", "--data", str(tmp_path / "data"), "watch", "--once"],
        cwd=PROJECT,
        env=os.environ | {"COSTLEDGER_CONFIG": str(tmp_path / "costledger.toml")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "w  nothing → $0.0900  running" in done.stdout
    assert f"costledger: otlp:{tmp_path}/gone: there is no such file" in done.stderr
    assert "no source" not in done.stderr
    assert done.returncode == 1


def test_without_a_source_it_says_at_once_what_is_followed_and_how_to_name_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "projections", "--data", "data", "watch"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    watching = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert watching.stderr is not None
        printed = watching.stderr.readline()
        assert printed.startswith("costledger: no source to follow yet, only what is appended to the ledgers in data; ")
        assert "`costledger import` reads what is found" in printed
        assert "[[sources]]" in printed
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(timeout=30) == 0
    finally:
        watching.kill()
        watching.communicate()
