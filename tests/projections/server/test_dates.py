"""Idle workflows, and what is dated by evidence, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger.events.event import cost_observed, workflow_started
from ledger.storage.directory_store import DirectoryStore
from tests.projections.server.conftest import Serve, Server

JANUARY = "2026-01-10T21:56:52.000000Z"


def found(server: Server, path: str, **parameters: Any) -> Any:
    answer = server.client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_log_of_january_is_idle_and_spent_in_january(serve: Serve, tmp_path: Path) -> None:
    data = tmp_path / "data"
    source = {"kind": "claude_stream", "spent_at_from": "file"}
    old = cost_observed("old", cost_usd="1.25", spent_at=JANUARY, source=source)
    DirectoryStore(data).append([old])
    DirectoryStore(data).append([workflow_started("new"), cost_observed("new", cost_usd="0.09")])
    server = serve(data)
    rows = found(server, "/api/workflow-history")["workflows"]
    assert [(row["adw_id"], row["status"], row["idle"]) for row in rows] == [
        ("new", "running", False),
        ("old", "running", True),
    ]
    assert rows[1]["last_activity"] == JANUARY
    assert [
        row["adw_id"] for row in found(server, "/api/workflow-history", until="2026-02-01T00:00:00Z")["workflows"]
    ] == ["old"]
    month = found(server, "/api/spend", until="2026-01-31")
    assert [(line["period"], line["cost_usd"]) for line in month["lines"]] == [("2026-01-10", "1.25")]
    assert month["spent_at_from_usd"] == {"file": "1.25"}
    assert found(server, "/api/spend", since="2026-02-01")["spent_at_from_usd"] == {}


def test_idle_after_is_the_configurations(serve: Serve, tmp_path: Path) -> None:
    data = tmp_path / "data"
    DirectoryStore(data).append([cost_observed("old", cost_usd="1.25", observed_at=JANUARY)])
    (data / "costledger.toml").write_text('idle_after = "9999d"\n')
    assert found(serve(data), "/api/workflow-history/old")["idle"] is False
