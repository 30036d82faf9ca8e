"""The five cases of the story, by name, on real files: a data directory of ledgers and a SQLite history."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

from ledger import workflow
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from projections.history.sqlite.history import SqliteHistory
from projections.replay.refresh import RefreshReport, refresh, resync


class App:
    """The user's application: a data directory, and a database that people look at and edit."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.ledgers = DirectoryStore(data)

    def refresh(self) -> RefreshReport:
        with SqliteHistory(self.data / "history.db") as history:
            return refresh(self.ledgers, history)

    def resync(self, workflow_id: str, *, force: bool = False) -> RefreshReport:
        with SqliteHistory(self.data / "history.db") as history:
            return resync(self.ledgers, history, workflow_ids=[workflow_id], force=force)

    def cost(self, workflow_id: str) -> float:
        db = sqlite3.connect(self.data / "history.db")
        found = db.execute("SELECT actual_cost_total FROM workflow_history WHERE adw_id = ?", (workflow_id,)).fetchone()
        db.close()
        return float(found[0])

    def set_cost(self, workflow_id: str, usd: float) -> None:
        db = sqlite3.connect(self.data / "history.db")
        db.execute(
            "UPDATE workflow_history SET actual_cost_total = ?, actual_cost_nanousd = ? WHERE adw_id = ?",
            (usd, round(usd * 1e9), workflow_id),
        )
        db.commit()
        db.close()


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path / "data")


def completed_at_2_37(app: App, workflow_id: str = "a5b80595") -> None:
    with workflow(workflow_id, issue_number=17, data=app.data) as wf:
        wf.observe(agent="plan", cost_usd="0.09")
        wf.observe(agent="build", cost_usd="2.28")
    app.refresh()


def test_case_1_running_workflow_progressive_tracking(app: App) -> None:
    app.ledgers.append([workflow_started("w")])
    seen = []
    for agent, cost in (("plan", "0.15"), ("build", "0.30"), ("test", "0.40"), ("test", "0.35")):
        app.ledgers.append([cost_observed("w", agent=agent, cost_usd=cost)])
        app.refresh()
        seen.append(app.cost("w"))
    app.ledgers.append([cost_observed("w", agent="test", cost_usd="0.42"), workflow_ended("w", "completed")])
    app.refresh()
    assert [*seen, app.cost("w")] == [0.15, 0.45, 0.85, 0.85, 0.87]


def test_case_2_completed_workflow_final_cost(app: App) -> None:
    completed_at_2_37(app)
    assert app.cost("a5b80595") == 2.37
    assert app.resync("a5b80595").changes == []
    assert app.cost("a5b80595") == 2.37


def test_case_3_cost_decrease_prevention(app: App) -> None:
    app.ledgers.append([workflow_started("w"), cost_observed("w", cost_usd="2.37")])
    app.refresh()
    app.set_cost("w", 5.00)
    app.refresh()
    assert app.cost("w") == 5.00
    app.ledgers.append([workflow_ended("w", "completed")])
    app.refresh()
    assert app.cost("w") == 2.37


def test_case_4_force_resync(app: App) -> None:
    completed_at_2_37(app)
    app.set_cost("a5b80595", 0.09)
    report = app.resync("a5b80595", force=True)
    assert [(change.old_nanousd, change.new_nanousd) for change in report.changes] == [(90_000_000, 2_370_000_000)]
    assert app.cost("a5b80595") == 2.37


def test_case_5_issue_17_fix_verification(app: App, caplog: pytest.LogCaptureFixture) -> None:
    completed_at_2_37(app)
    app.set_cost("a5b80595", 0.09)
    assert app.cost("a5b80595") == 0.09
    with caplog.at_level(logging.INFO, "costledger"):
        app.resync("a5b80595", force=True)
    assert app.cost("a5b80595") == 2.37
    assert "[a5b80595] $0.0900 → $2.3700 (status: completed)" in caplog.messages
    with SqliteHistory(app.data / "history.db") as history:
        last = history.audit("a5b80595")[-1]
    assert (last.old_cost, last.new_cost, last.reason) == (0.09, 2.37, "resync --force")
