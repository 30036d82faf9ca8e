"""A server that follows sources: they are in the rows by themselves, and read once more when a workflow ends."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from ledger.events.event import workflow_ended
from ledger.importing.importer import import_source
from ledger.importing.source_registry import SourceEntry
from projections.cli.commands.demo import examples
from projections.history.sqlite.history import SqliteHistory
from projections.server.background.row_refresher import RowRefresher
from projections.server.service.service import Service
from projections.server.service.settings import Settings
from tests.ledger.sources.agent_home import OPENCODE_GOES_ON
from tests.ledger.sources.agent_samples import sample
from tests.projections.server.conftest import Serve
from tests.waiting import until


def test_a_history_that_is_deleted_or_put_back_while_it_is_served_is_replayed(serve: Serve, tmp_path: Path) -> None:
    server, data = serve(), tmp_path / "data"

    def spend(name: str, usd: str) -> dict[str, Any]:
        answer = server.client.post("/api/events", json={"type": "cost_observed", "workflow_id": name, "cost_usd": usd})
        standing: dict[str, Any] = answer.json()["workflows"][name]
        return standing

    def rows() -> dict[str, str]:
        answer = server.client.get("/api/workflow-history")
        if answer.status_code != 200:
            assert answer.json()["type"] == "urn:costledger:problem:history-replaced"
            return {}
        return {row["adw_id"]: row["actual_cost_total"] for row in answer.json()["workflows"]}

    spend("a", "1")
    spend("b", "2")
    until(rows, lambda found: found == {"a": "1.00", "b": "2.00"})
    with (
        closing(sqlite3.connect(data / "history.db")) as db,
        closing(sqlite3.connect(tmp_path / "backup.db")) as backup,
        db,
        backup,
    ):
        db.backup(backup)
    for number, lost in enumerate(("deleted", "put back", "deleted again")):
        for path in data.glob("history.db*"):
            path.unlink()
        if lost == "put back":
            shutil.copy(tmp_path / "backup.db", data / "history.db")
        assert rows() in ({}, {"a": f"{number + 1}.00", "b": "2.00"}), "never some of them"
        assert (spend("a", str(number + 2))["cost_usd"], spend("a", "0.5")["cost_usd"]) == (f"{number + 2}.00",) * 2
        until(rows, lambda found: found == {"a": f"{number + 2}.00", "b": "2.00"})  # noqa: B023
        with closing(sqlite3.connect(data / "history.db")) as db, db:
            stored = dict(db.execute("SELECT adw_id, actual_cost_total FROM workflow_history"))
        assert stored == {"a": number + 2.0, "b": 2.0}
    assert server.client.get("/readyz").text == "ready\n"


def test_a_source_that_is_watched_is_in_the_rows_as_it_grows(serve: Serve, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(examples() / "1-planned", tree)
    server = serve(None, "--watch", f"adw:{tree}")

    def row() -> dict[str, Any]:
        found: dict[str, Any] = server.client.get("/api/workflow-history/a5b80595").json()
        return found

    first = until(row, lambda found: "actual_cost_total" in found)
    shutil.copytree(examples() / "5-reviewed", tree, dirs_exist_ok=True)
    last = until(row, lambda found: found["actual_cost_total"] != first["actual_cost_total"])
    assert float(last["actual_cost_total"]) > float(first["actual_cost_total"])
    sources = server.client.get("/api/health").json()["sources"]
    assert sources == [{"kind": "adw", "path": str(tree), "trouble": None}]


def test_a_database_that_is_watched_is_in_the_rows_while_its_agent_writes(serve: Serve, tmp_path: Path) -> None:
    path = sample("opencode", tmp_path) / "opencode.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as agent:
        agent.execute("PRAGMA wal_autocheckpoint = 0")
        server = serve(None, "--watch", f"opencode:{path}")

        def costs() -> dict[str, str]:
            rows = server.client.get("/api/workflow-history", params={"tool": "opencode"}).json()["workflows"]
            return {row["adw_id"]: row["actual_cost_total"] for row in rows}

        until(costs, lambda found: found.get("ses_fork") == "0.0039")
        agent.execute(OPENCODE_GOES_ON)
        until(costs, lambda found: found["ses_fork"] == "0.0078")


def test_a_source_that_cannot_be_followed_is_named_with_its_trouble(serve: Serve, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    server = serve(None, "--watch", f"adw:{gone}")
    sources = until(
        lambda: server.client.get("/api/health").json()["sources"], lambda some: some and some[0]["trouble"]
    )
    assert (sources[0]["path"], sources[0]["trouble"]) == (str(gone), "there is no such folder")


def test_when_a_workflow_ends_its_sources_are_read_once_more(tmp_path: Path) -> None:
    tree, data = tmp_path / "tree", tmp_path / "data"
    shutil.copytree(examples() / "1-planned", tree)
    service = Service(
        Settings(data),
        lambda: SqliteHistory(data / "history.db"),
        watched=[SourceEntry("adw", str(tree))],
    )
    import_source(service.ledgers, "adw", tree)
    published: list[int] = []
    refresher = RowRefresher(
        service, lambda changes: published.append(len(changes))
    )  # and no follower, which would see it first
    refresher.start()
    try:
        before = service.history.row("a5b80595")
        assert before is not None
        shutil.copytree(examples() / "2-killed", tree, dirs_exist_ok=True)
        service.ledgers.append([workflow_ended("a5b80595", "completed")])
        until(
            lambda: service.history.row("a5b80595"),
            lambda row: row is not None and row.actual_cost_nanousd > before.actual_cost_nanousd,
        )
        until(lambda: refresher.unsettled, lambda names: not names)
        assert 0 in published, "the end of the last read is published"
    finally:
        refresher.stop()
        service.close()
