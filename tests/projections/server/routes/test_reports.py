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


def test_statistics_of_all_and_of_some_days(server: Server) -> None:
    whole, none = asked(server, "stats", by="agent,project"), asked(server, "stats", until="2020-01-01")
    assert [line["dimensions"]["project"] for line in whole["lines"]] == ["shop", "site"]
    assert (whole["total"]["workflows"], whole["total"]["median_usd"]) == (2, "4.50")
    assert (none["lines"], none["total"]["mean_usd"]) == ([], "0.00")


def test_a_comparison_of_two_projects(server: Server) -> None:
    found = asked(server, "compare", a="project=shop", b="project=nowhere", limit=1)
    assert (found["difference_usd"], found["from_count_usd"], found["b"]["per_workflow_usd"]) == (
        "-4.50",
        "-4.50",
        None,
    )
    assert [part["group"] for part in found["contributions"]] == ["opus"]


def test_the_windows_of_some_spend(server: Server) -> None:
    assert len(asked(server, "blocks", where="project=shop")["blocks"]) == 3
    (active,) = asked(server, "blocks", active=True)["blocks"]
    assert active["burn"]["projected_usd"] >= active["cost_usd"] == "3.00"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("forecast?timezone=Mars", "no such zone"),
        ("forecast?where=shop", "give NAME=VALUE"),
        ("forecast?where=planet%3Dmars", "no dimension"),
        ("stats?by=planet", "no dimension"),
        ("spend?by=agent,", "by '': no dimension"),
        ("stats?since=moon", "give a day"),
        ("compare?a=2026-10&b=moon", "give a day such as"),
        ("compare?a=2026-11..2026-10&b=2026-10", "after the last"),
        ("compare?a=2026-10&b=model%3Dopus", "two periods, or two values"),
        ("compare?a=2026-10", "required"),
        ("blocks?window=4h", "5h"),
        ("blocks?where=run%3Dx", "give a number"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(server: Server, path: str, message: str) -> None:
    answer = server.client.get(f"/api/{path}")
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
