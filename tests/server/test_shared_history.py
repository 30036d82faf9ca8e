"""A server on rows that projectors write: it follows them, and makes none from its own ledgers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ledger.events import cost_observed
from ledger.store import DirectoryStore
from projections.server.feed import Change
from projections.server.keeper import Keeper
from projections.server.service import Service
from projections.server.settings import Settings
from projections.shared import project_on
from projections.stores.postgres_adopted import open_postgres
from tests.projections.test_projector import Hosts


def test_changes_of_shared_rows_are_told_and_local_ledgers_are_left_alone(tmp_path: Path, postgres_url: str) -> None:
    hosts, told = Hosts(1), list[Change]()
    hosts.stores[0].append([cost_observed("w", cost_usd="0.09")])
    hosts.send_all()
    project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    DirectoryStore(tmp_path).append([cost_observed("local", cost_usd="5.00")])

    def publish(changes: Sequence[Change]) -> None:
        told.extend(changes)

    service = Service(Settings(tmp_path), lambda: open_postgres(postgres_url))
    keeper = Keeper(service, publish)
    keeper.start()
    try:
        hosts.stores[0].append([cost_observed("w", cost_usd="2.37")])
        hosts.send_all()
        project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
        deadline = time.monotonic() + 20
        while not told and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        keeper.stop()
        service.close()
    assert [change.adw_id for change in told] == ["w"]
    with open_postgres(postgres_url) as history:
        assert [row.adw_id for row in history.rows()] == ["w"]
