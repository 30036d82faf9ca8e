"""Spend over time, what may be wrong, and proving on request, over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from projections.reports.timezones import zone_called
from tests.projections.server.conftest import Here, Host, Server
from tests.waiting import until

CONFIG = """
[budgets]
default_usd = "10"
[budgets.by_template]
sdlc = "4"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data: Path = tmp_path_factory.mktemp("spend") / "data"
    ledgers = DirectoryStore(data)
    ledgers.append([workflow_started("w1", workflow_template="sdlc", issue_number=17, project="p")])
    ledgers.append(
        [_read("w1", "2026-11-22T23:30:00Z", "1.5", "opus"), _read("w1", "2026-11-23T10:00:00Z", "2", "opus")]
    )
    ledgers.append([_read("w2", "2026-11-23T10:00:00Z", "0.25", "haiku", source={"kind": "codex"})])
    ledgers.append([_read("w2", "2026-11-30T10:00:00Z", None, "mystery", usage={"input_tokens": 7})])
    over = cost_observed("w3", cost_usd="1.000000001", observed_at="2026-10-01T10:00:00Z")
    ledgers.append([workflow_started("w3", budget_usd="1"), over])
    killed = _read("w4", "2026-12-02T10:00:00Z", "0.5", "opus", agent="killed", partial=True)
    ledgers.append([_read("w4", "2026-12-01T10:00:00Z", "0.5", "opus", agent="whole"), killed])
    (data / "costledger.toml").write_text(CONFIG)
    for name in ("w2.jsonl.torn-1", "gone.jsonl.damaged-1", "gone.jsonl.fenced", "notes.txt"):
        (data / "ledgers" / name).write_text("")
    started = Here(data)
    yield started
    started.stop()


def _read(name: str, at: str, usd: str | None, model: str, **more: Any) -> Any:
    return cost_observed(name, cost_usd=usd, model=model, message_id=at, session_id=f"s-{name}", observed_at=at, **more)


def spend(server: Server, **parameters: Any) -> Any:
    answer = server.client.get("/api/spend", params={"until": "2026-12-31"} | parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_grouping_of_the_same_days_sums_to_the_same(server: Server) -> None:
    days = {"since": "2026-11-22", "until": "2026-11-23"}
    for by in ("agent", "model", "template", "issue", "project", "session", "tool"):
        body = spend(server, by=by, **days)
        assert body["total"]["cost_usd"] == "3.75"
        assert len(body["lines"]) == (2 if by == "agent" else 3)
    models = spend(server, by="model", **days)
    assert [(one["group"], one["cost_usd"]) for one in models["groups"]] == [("opus", "3.50"), ("haiku", "0.25")]
    assert [one["group"] for one in spend(server, by="issue", **days)["groups"]] == [17, None]
    tools = spend(server, by="tool", **days)
    assert [(one["group"], one["cost_usd"]) for one in tools["groups"]] == [("API", "3.50"), ("Codex", "0.25")]


def test_days_are_those_of_the_zone_that_is_asked_for(server: Server) -> None:
    utc = spend(server, since="2026-11-20", until="2026-11-23")
    costs = [(line["period"], line["cost_usd"]) for line in utc["lines"]]
    assert costs == [("2026-11-22", "1.50"), ("2026-11-23", "2.25")]
    berlin = spend(server, since="2026-11-20", until="2026-11-23", timezone="Europe/Berlin")
    assert [(line["period"], line["cost_usd"]) for line in berlin["lines"]] == [("2026-11-23", "3.75")]
    local = spend(server, timezone="local")["timezone"]
    assert (utc["timezone"], berlin["timezone"], local) == ("UTC", "Europe/Berlin", zone_called(None))
    weeks = spend(server, since="2026-11-20", until="2026-11-23", period="week")
    assert [line["period"] for line in weeks["lines"]] == ["2026-W47", "2026-W48"]


def test_usage_without_a_price_is_named_beside_the_total(server: Server) -> None:
    assert spend(server, since="2026-11-29", until="2026-11-30")["unpriced"] == {"mystery": {"events": 1, "tokens": 7}}
    assert server.client.get("/api/health").json()["unpriced"] == {"mystery": {"events": 1, "tokens": 7}}


def test_what_a_killed_session_spent_is_a_lower_bound_in_every_sum_that_holds_it(server: Server) -> None:
    def lower_bounds(**days: str) -> tuple[bool, dict[str | None, bool], set[bool]]:
        found = spend(server, by="agent", **days)
        groups = {one["group"]: one["at_least"] for one in found["groups"]}
        return found["total"]["at_least"], groups, {line["at_least"] for line in found["lines"]}

    assert lower_bounds(since="2026-12-01", until="2026-12-01") == (False, {"whole": False}, {False})
    both = lower_bounds(since="2026-12-01", until="2026-12-02")
    assert both == (True, {"whole": False, "killed": True}, {True, False})
    assert lower_bounds(since="2026-11-29", until="2026-11-30") == (True, {None: True}, {True}), "usage without a price"


@pytest.mark.parametrize(
    "parameters",
    [{"timezone": "Mars/Base"}, {"timezone": "../etc/passwd"}, {"since": "now"}, {"by": "moon"}, {"period": "hour"}],
)
def test_what_cannot_be_asked_is_refused_with_its_name(server: Server, parameters: dict[str, str]) -> None:
    answer = server.client.get("/api/spend", params=parameters)
    assert (answer.status_code, next(iter(parameters)) in answer.json()["detail"]) == (422, True)


def test_health_names_what_lies_beside_the_ledgers(server: Server) -> None:
    body = server.client.get("/api/health").json()
    assert body["ready"]
    assert {kind: found["names"] for kind, found in body["leftovers"].items()} == {
        "fenced": ["gone.jsonl.fenced"],
        "torn": ["w2.jsonl.torn-1"],
        "damaged": ["gone.jsonl.damaged-1"],
    }
    assert (body["misplaced"], body["webhooks"], body["sources"]) == (None, [], [])


def test_a_row_tells_how_it_stands_against_its_budget(server: Server) -> None:
    rows = {row["adw_id"]: row for row in server.client.get("/api/workflow-history").json()["workflows"]}
    assert rows["w1"]["budget"] == {
        "budget_usd": "4.00",
        "spent_usd": "3.50",
        "left_usd": "0.50",
        "percent": 87,
        "state": "warned",
        "at_least": False,
    }
    assert (rows["w2"]["budget"]["state"], rows["w2"]["budget"]["at_least"]) == ("ok", True)
    assert (rows["w3"]["budget"]["state"], rows["w3"]["budget"]["left_usd"]) == ("over", "-0.000000001")
    assert not any("budget_nanousd" in row for row in rows.values())


def test_an_agent_learns_what_is_left_of_its_budget_as_it_spends(server: Server) -> None:
    found = []
    for number, usd in enumerate(("5", "4", "2")):
        event = {"type": "cost_observed", "workflow_id": "spender", "agent": str(number), "cost_usd": usd}
        answer = server.client.post("/api/events", json=event).json()["workflows"]["spender"]
        found.append((answer["cost_usd"], answer["budget"]["left_usd"], answer["budget"]["state"]))
    assert found == [("5.00", "5.00", "ok"), ("9.00", "1.00", "warned"), ("11.00", "-1.00", "over")]


def test_proving_runs_in_the_background_and_health_tells_what_it_found(server: Server) -> None:
    path = server.ledgers.ledger_path("broken")
    server.ledgers.append([cost_observed("broken", cost_usd="1"), workflow_ended("broken", "completed")])
    path.write_bytes(path.read_bytes().replace(b'"1.00"', b'"9.00"'))
    answer = server.client.post("/api/verify")
    assert (answer.status_code, answer.json()["started"]) == (202, True)
    for _ in range(500):
        body = server.client.get("/api/health").json()["verification"]
        if body["finished_at"] is not None:
            break
        threading.Event().wait(0.02)
    assert body["error"] is None
    assert [finding["workflow_id"] for finding in body["findings"]] == ["broken"]
    assert body["findings_count"] == 1
    until(lambda: server.client.get("/api/health").json()["problems"], lambda problems: "broken" in problems)


def test_spend_is_split_and_filtered_by_anything_and_a_limit_leaves_the_rest_in_one_figure(server: Server) -> None:
    asked: dict[str, Any] = {"period": "all", "by": ["template,model", "status"], "until": "2026-11-30"}
    whole = server.client.get("/api/spend", params=asked).json()
    assert whole["by"] == "template,model,status"
    assert {"template": "sdlc", "model": "opus", "status": "running"} in [line["dimensions"] for line in whole["lines"]]
    some = server.client.get("/api/spend", params=asked | {"limit": 1}).json()
    assert (len(some["lines"]), some["others"]["lines"]) == (1, len(whole["lines"]) - 1)
    assert some["total"] == whole["total"]
    of_one = server.client.get("/api/spend", params={"where": ["template=sdlc", "model=opus", "model=haiku"]}).json()
    assert of_one["total"]["cost_usd"] == "3.50"


def test_a_large_answer_is_compressed_for_a_client_that_accepts_it(server: Server) -> None:
    for accepted, encoding in (("gzip", "gzip"), ("identity", None)):
        answer = server.client.get("/api/spend", headers={"accept-encoding": accepted})
        assert (answer.status_code, answer.headers.get("content-encoding")) == (200, encoding)
        assert answer.json()["lines"]


def test_workflows_that_ended_over_their_budget_are_those_of_the_days_asked_for(hosted: Host, tmp_path: Path) -> None:
    ledgers = DirectoryStore(tmp_path / "data")
    for name, cost, day, status in (
        ("over", "3.00", 22, "completed"),
        ("nearly", "1.90", 23, "failed"),
        ("within", "0.50", 23, "completed"),
        ("later", "9.00", 25, "completed"),
    ):
        at = f"2026-11-{day}T23:30:00Z"
        start = workflow_started(name, budget_usd="2.00", observed_at=at)
        ledgers.append(
            [start, cost_observed(name, cost_usd=cost, observed_at=at), workflow_ended(name, status, observed_at=at)]
        )
    ledgers.append([workflow_started("runs", budget_usd="2.00"), cost_observed("runs", cost_usd="0.10")])
    server = hosted(tmp_path / "data")

    def asked(**days: str) -> list[tuple[str, str]]:
        found = server.client.get("/api/budgets", params=days).json()["workflows"]
        return [(one["adw_id"], one["budget"]["state"]) for one in found]

    assert asked() == [("runs", "ok")]
    assert asked(since="2026-11-22", until="2026-11-23") == [("runs", "ok"), ("over", "over"), ("nearly", "warned")]
    assert asked(until="2026-11-23", timezone="Europe/Berlin") == [("runs", "ok"), ("over", "over")]
    assert asked(since="2026-11-25") == [("runs", "ok"), ("later", "over")]
