"""Questions of money over HTTP: what they refuse; `test_contract.py` compares the answers with the commands'."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.events.event import cost_observed, workflow_started
from ledger.storage.directory_store import DirectoryStore
from tests.projections.server.conftest import Here, Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data: Path = tmp_path_factory.mktemp("reports") / "data"
    ledgers, now = DirectoryStore(data), datetime.now(UTC)
    for name, project in (("w1", "shop"), ("w2", "site")):
        ledgers.append([workflow_started(name, workflow_template="sdlc", issue_number=17, project=project)])
        for days in (0, 1, 2):
            at = now - timedelta(days=days)
            ledgers.append([cost_observed(name, cost_usd="1.5", message_id=f"m{days}", model="opus", observed_at=at)])
    started = Here(data)
    yield started
    started.stop()


def asked(server: Server, path: str, **parameters: Any) -> Any:
    answer = server.client.get(f"/api/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_forecast_of_all_and_of_a_part(server: Server) -> None:
    whole, part = asked(server, "forecast"), asked(server, "forecast", where="project=shop")
    assert {burn["adw_id"] for burn in whole["running"]} == {"w1", "w2"}
    assert [burn["adw_id"] for burn in part["running"]] == ["w1"]
    assert part["projection"]["days"] == 2


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("forecast?timezone=Mars", "no such zone"),
        ("forecast?where=shop", "give NAME=VALUE"),
        ("forecast?where=planet%3Dmars", "no dimension"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(server: Server, path: str, message: str) -> None:
    answer = server.client.get(f"/api/{path}")
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
