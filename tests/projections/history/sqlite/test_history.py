"""What only a file can suffer."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from ledger.errors import HistoryUnavailable
from ledger.events.event import cost_observed
from ledger.storage.memory_store import MemoryStore
from projections.folding.row import COLUMNS
from projections.history.sqlite.history import SqliteHistory
from projections.history.sqlite.tables import SCHEMA_VERSION
from projections.replay.refresh import refresh
from tests.conftest import SteppingClock


def ledgers() -> MemoryStore:
    store = MemoryStore(clock=SteppingClock())
    store.append([cost_observed("w", cost_usd="0.45", agent="plan", usage={"output_tokens": 7})])
    return store


def test_a_deleted_database_comes_back_byte_for_byte(tmp_path: Path) -> None:
    path, store = tmp_path / "history.db", ledgers()
    with SqliteHistory(path) as history:
        refresh(store, history)
        before = history.rows()
    path.unlink()
    with SqliteHistory(path) as history:
        refresh(store, history)
        assert history.rows() == before


def opened(path: Path, ready: Barrier) -> int:
    ready.wait()
    with SqliteHistory(path) as history:
        return len(history.rows())


def test_several_that_create_one_database_at_once_all_open_it(tmp_path: Path) -> None:
    at_once = 4
    with ThreadPoolExecutor(at_once) as pool:
        for number in range(40):
            path, ready = tmp_path / f"{number}.db", Barrier(at_once)
            assert list(pool.map(opened, [path] * at_once, [ready] * at_once)) == [0] * at_once


def test_a_database_of_another_application_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE workflow_history (adw_id TEXT UNIQUE, status TEXT)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(HistoryUnavailable, match="another application"):
        SqliteHistory(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be looked at" * 40, b"\0" * 5000])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(content)
    with pytest.raises(HistoryUnavailable, match="not a SQLite database"):
        SqliteHistory(path)
    assert path.read_bytes() == content


def test_a_directory_where_the_database_should_be(tmp_path: Path) -> None:
    (tmp_path / "history.db").mkdir()
    with pytest.raises(HistoryUnavailable, match=r"history\.db"):
        SqliteHistory(tmp_path / "history.db")


def meta(path: Path, key: str, value: int) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE costledger_meta SET value = ? WHERE key = ?", (value, key))
    db.close()


@pytest.mark.parametrize("key", ["schema_version", "fold_version"])
def test_a_database_of_a_newer_version_is_refused_with_the_reason(tmp_path: Path, key: str) -> None:
    path = tmp_path / "history.db"
    SqliteHistory(path).close()
    meta(path, key, 99)
    with pytest.raises(HistoryUnavailable, match="newer version"):
        SqliteHistory(path)


@pytest.mark.parametrize("key", ["schema_version", "fold_version"])
def test_a_database_of_an_older_version_is_replayed_and_keeps_its_audit_log(tmp_path: Path, key: str) -> None:
    path, store = tmp_path / "history.db", ledgers()
    with SqliteHistory(path) as history:
        refresh(store, history)
        before, spent = history.rows(), list(history.spent(["model"], starts=()))
    meta(path, key, 0)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE costledger_stale_hour (hour INTEGER PRIMARY KEY)")
    db.close()
    with SqliteHistory(path) as history:
        assert history.checkpoints() == {}
        refresh(store, history)
        assert history.rows() == before
        assert list(history.spent(["model"], starts=())) == spent
        assert history.audit("w")[0].new_cost == 0.45
    with closing(sqlite3.connect(path)) as db, db:
        assert dict(db.execute("SELECT key, value FROM costledger_meta"))["schema_version"] == SCHEMA_VERSION
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        assert ("costledger_stale_hour" in tables) is (key == "fold_version"), "sums of version 9"
    db.close()


RETRY = [
    cost_observed("w", agent="plan", cost_usd="0.50", counter="one"),
    cost_observed("w", agent="plan", cost_usd="0.40", counter="two"),
]


def of_older_meaning(path: Path, key: str) -> None:
    """As a version left the row that took the larger of two attempts."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE workflow_history SET actual_cost_total = 0.5, actual_cost_nanousd = 500000000")
        db.execute("DELETE FROM cost_audit_log")
    db.close()
    meta(path, key, 1)


@pytest.mark.parametrize("key", ["schema_version", "fold_version"])
def test_what_an_upgrade_changes_is_audited_as_that_once(tmp_path: Path, key: str) -> None:
    path, store = tmp_path / "history.db", MemoryStore()
    store.append(RETRY)
    store.append([cost_observed("other", cost_usd="1.00")])
    with SqliteHistory(path) as history:
        refresh(store, history)
    of_older_meaning(path, key)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "UPDATE workflow_history SET actual_cost_total = 1, actual_cost_nanousd = 1e9 WHERE adw_id = 'other'"
        )
    db.close()
    with SqliteHistory(path) as history:
        (change,) = refresh(store, history).changes
        assert (change.adw_id, change.old_nanousd, change.new_nanousd) == ("w", 500_000_000, 900_000_000)
        assert change.reason == "upgrade: retry counts"
        assert [(entry.old_cost, entry.new_cost, entry.reason) for entry in history.audit()] == [
            (0.5, 0.9, "upgrade: retry counts")
        ]
    with SqliteHistory(path) as history:
        store.append([cost_observed("w", agent="plan", cost_usd="0.60", counter="two")])
        assert [change.reason for change in refresh(store, history).changes] == ["refresh"]


def test_a_ledger_that_grew_since_it_was_folded_is_no_change_of_an_upgrade(tmp_path: Path) -> None:
    path, store = tmp_path / "history.db", MemoryStore()
    store.append(RETRY)
    with SqliteHistory(path) as history:
        refresh(store, history)
    of_older_meaning(path, "fold_version")
    store.append([cost_observed("w", agent="build", cost_usd="1.00", counter="two")])
    with SqliteHistory(path) as history:
        assert [change.reason for change in refresh(store, history).changes] == ["refresh"]


def test_the_schema_has_exactly_the_columns_of_a_row(tmp_path: Path) -> None:
    SqliteHistory(tmp_path / "history.db").close()
    db = sqlite3.connect(tmp_path / "history.db")
    assert tuple(name for _, name, *_ in db.execute("PRAGMA table_info(workflow_history)")) == COLUMNS
    db.close()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(HistoryUnavailable, match="rows cannot be stored: this user may not write there"):
        SqliteHistory(Path("/proc/self/history.db"))
    (tmp_path / "file").touch()
    with pytest.raises(HistoryUnavailable):
        SqliteHistory(tmp_path / "file" / "history.db")


def test_a_value_that_no_cost_can_be_is_put_right(tmp_path: Path) -> None:
    path, store = tmp_path / "history.db", ledgers()
    with SqliteHistory(path) as history:
        refresh(store, history)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE workflow_history SET actual_cost_total = -1")
        db.close()
        refresh(store, history)
        row = history.row("w")
        assert row is not None
        assert row.actual_cost_total == 0.45
