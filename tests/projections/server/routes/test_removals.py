"""Removing a workflow over HTTP, and putting it back."""

from __future__ import annotations

from pathlib import Path

from ledger.events.event import cost_observed
from projections.replay.move import move
from tests.projections.server.conftest import Host
from tests.waiting import until


def test_a_removed_workflow_is_in_no_sum_until_it_is_put_back(hosted: Host, tmp_path: Path) -> None:
    server = hosted(tmp_path)
    for name in ("a", "b"):
        server.ledgers.append([cost_observed(name, cost_usd="1")])
    move(server.ledgers, "a", to="b")

    def costs() -> dict[str, str]:
        rows = server.client.get("/api/workflow-history").json()["workflows"]
        return {row["adw_id"]: row["actual_cost_total"] for row in rows}

    until(costs, lambda found: found == {"a": "0.00", "b": "2.00"})
    assert server.client.delete("/api/workflow-history/a").json()["event_count"] == 3
    assert costs() == {"b": "1.00"}
    gone = server.client.delete("/api/workflow-history/a")
    assert (gone.status_code, gone.json()["type"]) == (404, "urn:costledger:problem:unknown-workflow")
    for path in ("", "/explain", "/receipt"):
        said = server.client.get(f"/api/workflow-history/a{path}").json()["detail"]
        assert said.startswith("workflow 'a' was removed at 2")
        assert said.endswith("to put it back: POST /api/workflow-history/a/put-back")
    assert server.client.get("/api/health").json()["problems"] == {}
    assert server.client.post("/api/workflow-history/a/put-back").json() == {"adw_id": "a", "actual_cost_total": "0.00"}
    assert costs() == {"a": "0.00", "b": "2.00"}
    again = server.client.post("/api/workflow-history/a/put-back")
    assert again.status_code == 409
    assert again.json()["detail"] == "a cannot be put back: it was not removed from this data directory"
    server.ledgers.append([cost_observed("a", cost_usd="3")])  # its ledger is the one before
    until(costs, lambda found: found == {"a": "0.00", "b": "4.00"})
