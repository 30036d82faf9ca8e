"""Another application's table: its rows, its columns, its status stay its own; the costs become right."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import HistoryUnavailable, SourceUnreadable
from ledger.events import cost_observed, workflow_ended
from ledger.importing import import_source
from ledger.store import MemoryStore
from projections.proof import Proof, verify
from projections.rebuild import rebuild
from projections.replay import project, refresh, resync
from projections.stores.adopted import AdoptedHistory
from projections.stores.sqlite import SqliteHistory
from tests.conftest import SteppingClock

OTHERS = ", ".join(f"extra_{number} TEXT DEFAULT 'x{number}'" for number in range(40))
TABLE = f"""CREATE TABLE workflow_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT, adw_id TEXT NOT NULL UNIQUE, issue_number INTEGER, nl_input TEXT,
    workflow_template TEXT, status TEXT NOT NULL CHECK(status IN ('pending','running','completed','failed')),
    start_time TEXT, end_time TEXT, duration_seconds INTEGER, error_message TEXT, model_used TEXT,
    input_tokens INTEGER DEFAULT 0, cached_tokens INTEGER DEFAULT 0, cache_hit_tokens INTEGER DEFAULT 0,
    cache_miss_tokens INTEGER DEFAULT 0, output_tokens INTEGER DEFAULT 0, total_tokens INTEGER DEFAULT 0,
    cache_efficiency_percent REAL DEFAULT 0.0, estimated_cost_total REAL, actual_cost_total REAL DEFAULT 0.0,
    cost_breakdown TEXT, created_at TEXT DEFAULT CURRENT_TIMESTAMP, {OTHERS})"""
ROWS = """INSERT INTO workflow_history (adw_id, issue_number, nl_input, workflow_template, status, start_time, end_time,
    actual_cost_total, cost_breakdown, error_message) VALUES
    ('a5b80595', 17, 'do it', 'adw_sdlc', 'completed', '2025-11-20 09:00:00', '2025-11-20 10:00:00', 0.09, '{}', NULL),
    ('waiting', 18, 'later', NULL, 'pending', NULL, NULL, 0.0, NULL, NULL),
    ('broken', 19, 'boom', NULL, 'failed', NULL, NULL, NULL, NULL, 'it broke'),
    ('going', 20, 'go', NULL, 'running', NULL, NULL, 5.0, NULL, NULL)"""


class App:
    """The application, which keeps its database open all the time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.execute(TABLE)
        self.db.execute(ROWS)

    def row(self, adw_id: str) -> dict[str, Any]:
        return dict(self.db.execute("SELECT * FROM workflow_history WHERE adw_id = ?", (adw_id,)).fetchone())


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path / "workflow_history.db")


@pytest.fixture
def store() -> MemoryStore:
    ledgers = MemoryStore(clock=SteppingClock())
    for agent, cost in (("plan", "0.09"), ("build", "2.28")):
        use = {"input_tokens": 10, "output_tokens": 5}
        ledgers.append([cost_observed("a5b80595", agent=agent, cost_usd=cost, model="m", usage=use)])
    ledgers.append([cost_observed("unknown-to-the-app", cost_usd="1.00")])
    return ledgers


def test_a_row_stuck_at_nine_cents_becomes_right_beside_the_app(app: App, store: MemoryStore) -> None:
    import_source(store, "history-db", app.path)
    before = app.row("a5b80595")
    with AdoptedHistory(app.path) as history:
        report = refresh(store, history)
        assert [(c.adw_id, c.old_nanousd, c.new_nanousd) for c in report.changes if c.adw_id == "a5b80595"] == [
            ("a5b80595", 90_000_000, 2_370_000_000)
        ]
        assert [(entry.old_cost, entry.new_cost) for entry in history.audit("a5b80595")] == [(0.09, 2.37)]
        assert list(verify(store, history, Proof(), unread_too=True)) == []
    after = app.row("a5b80595")
    assert (after["actual_cost_total"], after["total_tokens"], after["cost_basis"]) == (2.37, 30, "reported")
    ours = {"actual_cost_total", "cost_breakdown", "total_tokens", "input_tokens", "output_tokens", "cache_miss_tokens"}
    for name, value in before.items():
        assert name in ours or after[name] == value, name
    assert app.row("going")["actual_cost_total"] == 5.0, "no reading says anything about it"
    assert app.db.execute("SELECT count(*) FROM workflow_history").fetchone()[0] == 4


def test_what_was_spent_is_kept_beside_the_app_and_grouped_by_its_columns(app: App, store: MemoryStore) -> None:
    with AdoptedHistory(app.path) as history:
        refresh(store, history)
        found = list(history.spent(["issue_number", "workflow_template", "agent"]))
        assert [(one.group, one.amounts[0]) for one in sorted(found, key=lambda one: one.amounts[0])] == [
            ((17, "adw_sdlc", "plan"), 90_000_000),
            ((17, "adw_sdlc", "build"), 2_280_000_000),
        ]
        rebuild(store, history)
        assert sum(one.amounts[0] for one in history.spent()) == 2_370_000_000
        history.remove(["a5b80595"], reason="gone")
        assert list(history.spent()) == []


def test_one_that_an_older_version_adopted_is_read_anew(app: App, store: MemoryStore) -> None:
    with AdoptedHistory(app.path) as history:
        refresh(store, history)
    assert app.row("a5b80595")["project"] is None
    app.db.execute("ALTER TABLE workflow_history DROP COLUMN project")
    app.db.execute("DELETE FROM costledger_column WHERE name = 'project'")
    app.db.execute("DROP TABLE costledger_spend")
    app.db.execute("UPDATE costledger_meta SET value = 1")
    with AdoptedHistory(app.path) as history:
        assert "a5b80595" in refresh(store, history).folded
        assert sum(one.amounts[0] for one in history.spent()) == 2_370_000_000
        assert "project" in history.columns


def test_its_status_and_times_become_events_and_its_costs_do_not(app: App, store: MemoryStore) -> None:
    report = import_source(store, "history-db", app.path)
    assert report.problems == []
    assert import_source(store, "history-db", app.path).appended == 0
    row = project(store, "a5b80595").row
    assert (row.status, row.issue_number, row.workflow_template) == ("completed", 17, "adw_sdlc")
    assert (row.start_time, row.duration_seconds) == ("2025-11-20T09:00:00.000000Z", 3600)
    assert row.actual_cost_total == 2.37
    broken = project(store, "broken").row
    assert (broken.status, broken.error_message, broken.cost_basis) == ("failed", "it broke", None)
    assert project(store, "waiting").row.status == "running"


def test_a_running_row_keeps_a_larger_figure_until_it_ends(app: App, store: MemoryStore) -> None:
    store.append([cost_observed("going", cost_usd="2.37")])
    with AdoptedHistory(app.path) as history:
        refresh(store, history)
        assert app.row("going")["actual_cost_total"] == 5.0
        store.append([workflow_ended("going", "completed")])
        refresh(store, history)
    assert app.row("going")["actual_cost_total"] == 2.37
    assert app.row("going")["status"] == "running", "the application says it itself"


@pytest.mark.parametrize("mend", [rebuild, resync])
def test_rebuild_and_resync_update_in_place_and_remove_nothing(app: App, store: MemoryStore, mend: Any) -> None:
    import_source(store, "history-db", app.path)
    with AdoptedHistory(app.path) as history:
        mend(store, history, **({"force": True} if mend is resync else {}))
        assert list(verify(store, history, Proof())) == []
    assert app.row("a5b80595")["actual_cost_total"] == 2.37
    assert {row[0] for row in app.db.execute("SELECT adw_id FROM workflow_history")} == {
        "a5b80595",
        "waiting",
        "broken",
        "going",
    }


def test_missing_rows_are_inserted_only_when_told(app: App, store: MemoryStore) -> None:
    with AdoptedHistory(app.path, insert_missing=True) as history:
        refresh(store, history)
    assert app.row("unknown-to-the-app")["actual_cost_total"] == 1.0
    assert app.row("unknown-to-the-app")["status"] == "running"


def test_adopting_twice_adds_nothing_twice_and_the_journal_mode_stays(app: App, store: MemoryStore) -> None:
    for _ in range(2):
        with AdoptedHistory(app.path) as history:
            refresh(store, history)
    assert app.db.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    names = [name for (name,) in app.db.execute("SELECT name FROM pragma_table_info('workflow_history')")]
    assert len(names) == len(set(names))
    with AdoptedHistory(app.path) as history:
        assert refresh(store, history).changes == []


def test_our_own_history_refuses_it_and_names_the_way(app: App) -> None:
    with pytest.raises(HistoryUnavailable, match="--history sqlite:"):
        SqliteHistory(app.path)


def test_what_is_no_such_table_is_refused(tmp_path: Path) -> None:
    for script in ("CREATE TABLE x (y)", "CREATE TABLE workflow_history (adw_id TEXT, status TEXT)"):
        path = tmp_path / f"{abs(hash(script))}.db"
        db = sqlite3.connect(path)
        db.execute(script)
        db.close()
        with pytest.raises(HistoryUnavailable, match="adw_id is unique"):
            AdoptedHistory(path)
    with pytest.raises(HistoryUnavailable, match="no such database"):
        AdoptedHistory(tmp_path / "gone.db")
    assert not (tmp_path / "gone.db").exists()
    with pytest.raises(SourceUnreadable, match="no such database"):
        import_source(MemoryStore(), "history-db", tmp_path / "gone.db")
    (tmp_path / "text.db").write_text("hello, this is no database")
    with pytest.raises(SourceUnreadable, match="cannot be read as a SQLite database"):
        import_source(MemoryStore(), "history-db", tmp_path / "text.db")
