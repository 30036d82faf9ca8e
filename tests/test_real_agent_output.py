"""Real output of real agents, with what a right reader must find; skipped visibly where it is not at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.events import money
from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from projections.history.sqlite.history import SqliteHistory
from projections.replay.refresh import refresh


def expected(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "EXPECTED.json").read_text())
    return found


@pytest.mark.parametrize(
    ("name", "reported_usd"), [("mhmdez", "21.8282911"), ("omni-cortex", "0.61469375"), ("multi-result", "5.12007175")]
)
def test_importing_a_tree_gives_exactly_what_is_expected(
    shared_data: Path, tmp_path: Path, name: str, reported_usd: str
) -> None:
    folder, ledgers = shared_data / "adw" / name, DirectoryStore(tmp_path)
    report = import_source(ledgers, "adw", folder / "agents")
    assert report.problems == []
    assert import_source(ledgers, "adw", folder / "agents").appended == 0
    with SqliteHistory(tmp_path / "history.db") as history:
        refresh(ledgers, history)
        rows = {row.adw_id: row for row in history.rows()}
    total = 0
    for workflow_id, truth in expected(folder).items():
        row, reported = rows[workflow_id], money.parse(truth["reported_usd"])
        total += reported
        if truth["killed"]:
            assert row.actual_cost_nanousd > reported
            assert row.cost_basis == "partial"
        else:
            assert row.actual_cost_nanousd == reported
            # these versions of Claude Code (2.1.4 to 2.1.42) are known to report less than was used
            assert row.cost_basis == ("partial" if truth["sessions"] else None)
    assert money.to_wire(total) == reported_usd


def test_sixteen_moments_of_running_workflows_never_lower_a_cost(shared_data: Path, tmp_path: Path) -> None:
    ledgers, path = DirectoryStore(tmp_path), tmp_path / "history.db"
    before: dict[str, int] = {}
    for moment in sorted((shared_data / "adw-progress").iterdir()):
        import_source(ledgers, "adw", moment)
        with SqliteHistory(path) as history:
            refresh(ledgers, history)
            now = {row.adw_id: row for row in history.rows()}
        assert before.keys() <= now.keys(), "a workflow whose files vanished keeps its row"
        for workflow_id, cost in before.items():
            assert now[workflow_id].actual_cost_nanousd >= cost
        for workflow_id, truth in expected(moment).items():
            reported, row = money.parse(truth["reported_usd"]), now[workflow_id]
            assert row.actual_cost_nanousd >= reported
            if not truth["killed"] and row.cost_basis == "reported":
                assert row.actual_cost_nanousd == reported
        before = {workflow_id: row.actual_cost_nanousd for workflow_id, row in now.items()}
    assert money.to_wire(before["6ffc5aae"]) == "2.40232175"
    assert money.to_wire(before["--skip-e2e"]) == "1.27675475"
    kept = {name: path.with_name(name) for name in ("history.db", "history.db-wal", "history.db-shm")}
    for file in kept.values():
        file.unlink(missing_ok=True)
    with SqliteHistory(path) as history:
        refresh(ledgers, history)
        assert {row.adw_id: row for row in history.rows()} == now
