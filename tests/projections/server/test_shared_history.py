"""A server on rows that projectors write: it follows them, and makes none from its own ledgers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ledger.events.event import cost_observed, workflow_started
from ledger.storage.directory_store import DirectoryStore
from projections.history.postgres.history import open_postgres
from projections.projector.run import project_on
from projections.server.background.change_feed import RowChange
from projections.server.background.row_refresher import RowRefresher
from projections.server.service.service import Service
from projections.server.service.settings import Settings
from tests.postgres_server import running_postgres
from tests.projections.projector.test_projector import Hosts
from tests.projections.server.conftest import Serve
from tests.waiting import until


def projected(url: str, *costs: str) -> Hosts:
    """A workflow `w` to which one host after the other reported a cost, as rows at a URL."""
    hosts = Hosts(len(costs))
    for store, cost in zip(hosts.stores, costs, strict=True):
        store.append([cost_observed("w", agent=store.origin, cost_usd=cost)])
    hosts.send_all()
    project_on(hosts.replica, url, once=True, wait_seconds=0)
    return hosts


def test_changes_of_shared_rows_are_told_and_local_ledgers_are_left_alone(tmp_path: Path, postgres_url: str) -> None:
    hosts, published = Hosts(1), list[RowChange]()
    hosts.stores[0].append([cost_observed("w", cost_usd="0.09")])
    hosts.send_all()
    project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    DirectoryStore(tmp_path).append([cost_observed("local", cost_usd="5.00")])

    def publish(changes: Sequence[RowChange]) -> None:
        published.extend(changes)

    service = Service(Settings(tmp_path), lambda: open_postgres(postgres_url))
    refresher = RowRefresher(service, publish)
    refresher.start()
    try:
        hosts.stores[0].append([cost_observed("w", cost_usd="2.37")])
        hosts.send_all()
        project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
        deadline = time.monotonic() + 20
        while not published and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        refresher.stop()
        service.close()
    assert [change.adw_id for change in published] == ["w"]
    with open_postgres(postgres_url) as history:
        assert [row.adw_id for row in history.rows()] == ["w"]


def test_rows_of_many_hosts_are_not_proven_by_the_ledgers_of_one(
    tmp_path: Path, postgres_url: str, serve: Serve
) -> None:
    projected(postgres_url, "0.09", "0.41")
    DirectoryStore(tmp_path).append([cost_observed("w", cost_usd="0.09")])
    server = serve(tmp_path, "--history", postgres_url)
    refused = server.client.post("/api/verify")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:costledger:problem:shared-history")
    assert "costledger verify --shared" in refused.json()["detail"]
    assert server.client.post("/api/workflow-history/resync").status_code == 409
    health = server.client.get("/api/health").json()
    assert (health["verification"], health["problems"], health["ready"]) == (None, {}, True)


def test_a_server_whose_history_is_away_is_not_ready_until_it_is_back(tmp_path: Path, serve: Serve) -> None:
    with running_postgres() as postgres:
        projected(postgres.url(), "0.09")
        server = serve(tmp_path, "--history", postgres.url())
        assert server.client.get("/readyz").text == "ready\n"
        postgres.stop("immediate")
        away = until(lambda: server.client.get("/readyz"), lambda answer: answer.status_code == 503, 30)
        assert away.json()["type"] == "urn:costledger:problem:not-ready"
        away = until(lambda: server.client.get("/readyz"), lambda answer: "history" in answer.json()["detail"], 30)
        assert str(postgres.folder) not in away.text
        postgres.start()
        until(lambda: server.client.get("/readyz"), lambda answer: answer.status_code == 200, 30)


def test_a_receipt_tells_what_all_hosts_have_spent_of_the_budget_that_one_of_them_set(
    tmp_path: Path, postgres_url: str, serve: Serve
) -> None:
    hosts = Hosts(2)
    hosts.stores[0].append([workflow_started("w", budget_usd="5.00")])
    for store in hosts.stores:
        store.append([cost_observed("w", agent=store.origin, cost_usd="2.00")])
    hosts.send_all()
    project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    server = serve(tmp_path, "--history", postgres_url)

    def status(workflow_id: str) -> dict[str, Any]:
        event = {"type": "cost_observed", "workflow_id": workflow_id, "agent": "third", "cost_usd": "0.50"}
        answer = server.client.post("/api/events", json=event)
        assert answer.status_code == 201
        found: dict[str, Any] = answer.json()["workflows"][workflow_id]
        return found

    found = status("w")
    assert (found["cost_usd"], found["hosts"], found["status"]) == ("4.00", "all", "running")
    assert found["budget"]["left_usd"] == "1.00"
    assert (found["at_least"], found["unpriced_events"]) == (False, 0)
    found = status("new")
    assert (found["cost_usd"], found["status"], found["budget"], found["hosts"]) == ("0.50", "running", None, "this")
    tokens = {"type": "cost_observed", "workflow_id": "w", "agent": "new", "model": "mystery", "message_id": "m"}
    answer = server.client.post("/api/events", json=tokens | {"usage": {"output_tokens": 5}})
    found = answer.json()["workflows"]["w"]
    assert (found["hosts"], found["at_least"], found["unpriced_events"]) == ("all", True, 1)
    assert found["budget"]["at_least"] is True


def test_a_receipt_does_not_wait_for_a_history_that_is_away(tmp_path: Path, serve: Serve) -> None:
    with running_postgres() as postgres:
        projected(postgres.url(), "0.09")
        server = serve(tmp_path, "--history", postgres.url())
        event = {"type": "cost_observed", "workflow_id": "w", "cost_usd": "0.50"}
        assert server.client.post("/api/events", json=event).json()["workflows"]["w"]["hosts"] == "all"
        postgres.stop("immediate")
        answer = server.client.post("/api/events", json=event, timeout=8)  # a lost connection is sought for ten seconds
        assert (answer.status_code, answer.json()["workflows"]["w"]["hosts"]) == (201, "this")
        postgres.start()
