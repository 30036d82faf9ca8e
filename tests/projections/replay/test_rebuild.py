"""Rebuild and check: every kind of wrong row is found and put right, during reads and writes."""

from __future__ import annotations

import sqlite3
import threading
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import DamagedLedger, HistoryUnavailable
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.memory_store import MemoryStore
from projections.history.memory import MemoryHistory
from projections.history.sqlite.history import SqliteHistory
from projections.history.store import HistoryStore
from projections.replay.rebuild import rebuild
from projections.replay.refresh import refresh, resync
from projections.replay.verify import Proof, verify
from tests.conftest import SteppingClock


def many(store: DirectoryStore | MemoryStore, count: int) -> None:
    for number in range(count):
        name = f"w{number:03d}"
        events = [
            workflow_started(name, issue_number=number),
            cost_observed(name, agent="plan", cost_usd=f"0.{number}9"),
        ]
        if number % 2:
            events.append(workflow_ended(name, "completed"))
        store.append(events)


def check(store: DirectoryStore | MemoryStore, history: HistoryStore) -> dict[str, str]:
    found = verify(store, history, Proof(), unread_too=True)
    return {finding.workflow_id: finding.problem for finding in found}


def test_full_is_incremental_is_parallel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DirectoryStore(tmp_path, durability="none")
    with SqliteHistory(tmp_path / "incremental.db") as incremental:
        for _ in range(3):
            many(store, 70)
            refresh(store, incremental)
        expected = incremental.rows()
        for name, processes in (("serial", 1), ("parallel", 2)):
            with SqliteHistory(tmp_path / f"{name}.db") as fresh:
                report = rebuild(store, fresh, processes=processes)
                assert len(report.folded) == 70
                assert fresh.rows() == expected
                assert fresh.checkpoints() == incremental.checkpoints()
                assert refresh(store, fresh).folded == []
                assert list(verify(store, fresh, Proof(), processes=processes)) == []
        monkeypatch.setattr("projections.replay.refresh.PARALLEL_BYTES", 0)
        store.ledger_path("w000").write_bytes(b"{}\n")
        with SqliteHistory(tmp_path / "refreshed.db") as fresh:
            (problem,) = refresh(store, fresh, processes=2).problems
            assert (problem.workflow_id, type(problem.error)) == ("w000", DamagedLedger)
            assert fresh.rows() == [row for row in expected if row.adw_id != "w000"]


SEEDED = {
    "too low": ("UPDATE workflow_history SET actual_cost_total = 0.01 WHERE adw_id = 'w001'", "w001"),
    "too low in both columns": (
        "UPDATE workflow_history SET actual_cost_total = 0.01, actual_cost_nanousd = 10000000 WHERE adw_id = 'w001'",
        "w001",
    ),
    "too high": ("UPDATE workflow_history SET actual_cost_nanousd = 9000000000 WHERE adw_id = 'w003'", "w003"),
    "missing": ("DELETE FROM workflow_history WHERE adw_id = 'w001'", "w001"),
    "missing with its checkpoint": (
        "DELETE FROM workflow_history WHERE adw_id = 'w001'; "
        "DELETE FROM costledger_checkpoint WHERE workflow_id = 'w001'",
        "w001",
    ),
    "foreign": (
        "CREATE TEMP TABLE x AS SELECT * FROM workflow_history WHERE adw_id = 'w001'; "
        "UPDATE x SET adw_id = 'ghost'; INSERT INTO workflow_history SELECT * FROM x",
        "ghost",
    ),
    "hand-raised while running": ("UPDATE workflow_history SET actual_cost_total = 5 WHERE adw_id = 'w002'", "w002"),
    "spent on another day": ("UPDATE costledger_spend SET quarter = quarter - 96 WHERE adw_id = 'w001'", "w001"),
    "spend missing": ("DELETE FROM costledger_spend WHERE adw_id = 'w002'", "w002"),
    "another column": ("UPDATE workflow_history SET output_tokens = 7, model_used = 'x' WHERE adw_id = 'w002'", "w002"),
}


@pytest.mark.parametrize("mend", ["resync --force", "rebuild"])
@pytest.mark.parametrize("kind", SEEDED)
def test_a_wrong_row_of_any_kind_is_found_and_put_right(tmp_path: Path, kind: str, mend: str) -> None:
    store = MemoryStore(clock=SteppingClock())
    many(store, 4)
    path = tmp_path / "history.db"
    with SqliteHistory(path) as history:
        refresh(store, history)
        right = history.rows()
        spent = {row.adw_id: history.spend(row.adw_id) for row in right}
        script, wrong = SEEDED[kind]
        db = sqlite3.connect(path)
        db.executescript(script)
        db.close()
        assert list(check(store, history)) == [wrong]
        if mend == "rebuild":
            rebuild(store, history)
        else:
            resync(store, history, force=True)
        assert check(store, history) == {}
        assert history.rows() == right
        assert {name: history.spend(name) for name in spent} == spent


def test_a_held_figure_stays_through_a_refresh_and_is_drift(tmp_path: Path) -> None:
    store = MemoryStore()
    many(store, 1)
    path = tmp_path / "history.db"
    with SqliteHistory(path) as history:
        refresh(store, history)
        db = sqlite3.connect(path)
        db.execute("UPDATE workflow_history SET actual_cost_total = 5")
        db.commit()
        db.close()
        refresh(store, history)
        assert history.rows()[0].actual_cost_total == 5
        assert list(check(store, history)) == ["w000"]


def test_a_rebuild_keeps_the_audit_log_and_adds_what_changed(history: HistoryStore) -> None:
    store = MemoryStore()
    many(store, 2)
    refresh(store, history)
    before = [(entry.adw_id, entry.reason) for entry in history.audit()]
    store.append([cost_observed("w000", agent="build", cost_usd=1)])
    rebuild(store, history)
    assert [(entry.adw_id, entry.reason) for entry in history.audit()] == [*before, ("w000", "rebuild")]


def test_a_ledger_that_cannot_be_read_keeps_its_row(tmp_path: Path, history: HistoryStore) -> None:
    store = DirectoryStore(tmp_path / "data")
    many(store, 3)
    refresh(store, history)
    right = history.rows()
    broken, gone = store.ledger_path("w000"), store.ledger_path("w002")
    broken.write_bytes(broken.read_bytes().replace(b'"0.09"', b'"9.09"'))
    gone.unlink()
    report = rebuild(DirectoryStore(tmp_path / "data"), history)
    assert [problem.workflow_id for problem in report.problems] == ["w000", "w002"]
    assert history.rows() == right


def test_what_was_refreshed_or_came_while_a_rebuild_was_on_is_not_lost(history: HistoryStore) -> None:
    store = MemoryStore()
    many(store, 3)
    refresh(store, history)

    def meanwhile(done: int, size: int) -> None:
        assert done == size
        store.append([cost_observed("w000", agent="build", cost_usd=1)])
        store.append([cost_observed("new", cost_usd=2)])
        refresh(store, history)

    if isinstance(history, SqliteHistory):
        with SqliteHistory(history.path) as other:
            rebuild(store, other, progress=meanwhile)
    else:
        rebuild(store, history, progress=meanwhile)
    assert {row.adw_id: row.actual_cost_total for row in history.rows()}["w000"] == 1.09
    assert check(store, history) == {}
    assert len(history.rows()) == 4


def test_an_interrupted_rebuild_leaves_no_trace(tmp_path: Path) -> None:
    store = MemoryStore()
    many(store, 3)
    with SqliteHistory(tmp_path / "history.db") as history:
        refresh(store, history)
        before, audit = history.rows(), history.audit()
        store.append([cost_observed("w000", agent="build", cost_usd=1)])

        def interrupt(done: int, size: int) -> None:  # noqa: ARG001
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            rebuild(store, history, progress=interrupt)
        assert (history.rows(), history.audit()) == (before, audit)
        rebuild(store, history)
        assert check(store, history) == {}


class Poller(threading.Thread):
    """A reader that looks all the time, and remembers what cannot be."""

    def __init__(self, path: Path, stop: threading.Event) -> None:
        super().__init__()
        self.path, self.stop = path, stop
        self.looks, self.problems = 0, list[str]()

    def run(self) -> None:
        seen: dict[str, float] = {}
        with SqliteHistory(self.path) as reader:
            while not self.stop.is_set():
                rows = {row.adw_id: row for row in reader.rows()}
                self.problems += [f"{name} vanished" for name in seen.keys() - rows.keys()]
                for name, row in rows.items():
                    if row.actual_cost_total < seen.get(name, 0.0) or row.event_count != row.ledger_seq:
                        self.problems.append(f"{name} at {row.actual_cost_total}")
                    seen[name] = row.actual_cost_total
                self.looks += 1


def append_all_the_time(data: str, name: str) -> None:
    store = DirectoryStore(data, durability="none")
    for cents in range(1, 1500):
        store.append([cost_observed(name, agent="a", cost_usd=f"{cents / 100:.2f}")])


def test_a_reader_sees_only_valid_states_through_refreshes_and_rebuilds(tmp_path: Path) -> None:
    store, path, stop = DirectoryStore(tmp_path), tmp_path / "history.db", threading.Event()
    SqliteHistory(path).close()
    poller = Poller(path, stop)
    poller.start()
    names = ["w0", "w1", "w2"]
    agents = [get_context("spawn").Process(target=append_all_the_time, args=(str(tmp_path), name)) for name in names]
    for agent in agents:
        agent.start()
    with SqliteHistory(path) as history:
        rounds = 0
        while any(agent.is_alive() for agent in agents):
            refresh(store, history)
            if rounds % 5 == 0:
                rebuild(store, history)
            rounds += 1
        refresh(store, history)
        stop.set()
        poller.join()
        assert [agent.exitcode for agent in agents] == [0, 0, 0]
        assert (poller.problems, rounds > 10, poller.looks > 10) == ([], True, True)
        assert [row.actual_cost_total for row in history.rows()] == [14.99] * 3
        assert check(store, history) == {}


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 9), st.booleans()), max_size=12))
@settings(max_examples=30)
def test_refreshing_at_any_moments_ends_at_the_rows_of_one_replay(steps: list[tuple[str, int, bool]]) -> None:
    store, incremental, once = MemoryStore(clock=SteppingClock()), MemoryHistory(), MemoryHistory()
    for name, cost, now in steps:
        store.append([cost_observed(name, cost_usd=cost)])
        if now:
            refresh(store, incremental)
    refresh(store, incremental)
    rebuild(store, once)
    assert incremental.rows() == once.rows()


def test_a_killed_writer_leaves_rows_and_checkpoint_agreeing(tmp_path: Path) -> None:
    store = MemoryStore()
    many(store, 3)
    path = tmp_path / "history.db"
    with SqliteHistory(path) as history:
        db = sqlite3.connect(path)
        db.execute(
            "CREATE TRIGGER fail BEFORE INSERT ON costledger_checkpoint WHEN NEW.workflow_id = 'w001' "
            "BEGIN SELECT RAISE(ABORT, 'killed here'); END"
        )
        db.commit()
        with pytest.raises(HistoryUnavailable, match="killed here"):
            refresh(store, history)
        assert (history.rows(), history.checkpoints(), history.audit()) == ([], {}, [])
        db.execute("DROP TRIGGER fail")
        db.commit()
        db.close()
        refresh(store, history)
        assert check(store, history) == {}
