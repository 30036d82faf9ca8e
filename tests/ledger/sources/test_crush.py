"""Crush's databases: where they are found, and how a session's total changes."""

from __future__ import annotations

import json
import os
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from ledger.importing.auto_import import default_sources
from ledger.importing.importer import import_source
from ledger.importing.titles import titles_of
from ledger.storage.directory_store import DirectoryStore
from tests.ledger.sources.agent_samples import readings, sample

SESSION = "7f0c0000-0000-4000-8000-000000000001"
DELETED = "7f0c0000-0000-4000-8000-000000000004"


def costs(store: DirectoryStore) -> dict[str, Decimal]:
    return {id: Decimal(line["cost_usd"]) for (id, _), line in readings(store).items() if "cost_usd" in line}


def test_the_databases_of_listed_projects_are_read_from_the_default_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs, place = sample("crush", tmp_path), tmp_path / "crush-data"
    place.mkdir()
    monkeypatch.setenv("CRUSH_GLOBAL_DATA", str(place))
    projects = [{"path": str(logs / "shop"), "data_dir": str(logs / "shop/.crush")}, {"data_dir": "/nowhere"}, 7]
    (place / "projects.json").write_text(json.dumps({"projects": projects}))
    assert ("crush", str(place)) in [(entry.kind, entry.path) for entry in default_sources()]
    store = DirectoryStore(tmp_path / "data")
    report = import_source(store, "crush", place)
    assert (report.skipped, report.problems) == ([], [])
    assert costs(store) == {SESSION: Decimal("1.25"), DELETED: Decimal("0.1875")}
    started = next(line for line in store.read(SESSION) if line["type"] == "workflow_started")
    assert started["project"] == str(logs / "shop")


@pytest.mark.parametrize("listed", ["", "{", '{"projects": 1}', '{"projects": [{"data_dir": "relative"}]}'])
def test_a_list_without_projects_is_no_problem(listed: str, tmp_path: Path) -> None:
    logs, store = sample("crush", tmp_path), DirectoryStore(tmp_path / "data")
    (logs / "projects.json").write_text(listed)
    assert import_source(store, "crush", logs).problems == []
    assert costs(store)[SESSION] == Decimal("1.25")


def test_a_total_that_grows_replaces_itself_while_the_client_writes(tmp_path: Path) -> None:
    logs, store = sample("crush", tmp_path), DirectoryStore(tmp_path / "data")
    file = logs / "shop/.crush/crush.db"
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    import_source(store, "crush", logs)
    db.execute("UPDATE sessions SET cost = 2.5, updated_at = updated_at + 60 WHERE id = ?", (SESSION,))
    before = {each: each.read_bytes() for each in (file, Path(f"{file}-wal"))}
    assert import_source(store, "crush", logs).appended == 1
    assert {each: each.read_bytes() for each in before} == before
    assert costs(store)[SESSION] == Decimal("2.5")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # succeeds: no reader is left
    assert os.path.getsize(f"{file}-wal") == 0
    assert import_source(store, "crush", logs).appended == 0
    db.close()


def test_a_session_without_a_price_gets_one_once_it_costs_something(tmp_path: Path) -> None:
    logs, store = sample("crush", tmp_path), DirectoryStore(tmp_path / "data")
    import_source(store, "crush", logs)
    free = SESSION[:-1] + "2"
    assert free in store.workflow_ids()
    assert free not in costs(store)
    with sqlite3.connect(logs / "shop/.crush/crush.db") as db:
        db.execute("UPDATE sessions SET cost = 0.1 WHERE id = ?", (free,))
    import_source(store, "crush", logs)
    assert costs(store)[free] == Decimal("0.1")


def test_a_child_adds_nothing_once_its_parent_is_deleted(tmp_path: Path) -> None:
    logs, store = sample("crush", tmp_path), DirectoryStore(tmp_path / "data")
    import_source(store, "crush", logs)
    before = costs(store)
    with sqlite3.connect(logs / "shop/.crush/crush.db") as db:
        db.execute("DELETE FROM sessions WHERE id = ?", (SESSION,))
    assert import_source(store, "crush", logs).appended == 0
    assert costs(store) == before


def test_a_session_has_the_title_that_the_client_gave_it(tmp_path: Path) -> None:
    logs, store = sample("crush", tmp_path), DirectoryStore(tmp_path / "data")
    import_source(store, "crush", logs)
    assert titles_of(store.path, {SESSION: 1}) == {SESSION: "Add a cart"}
