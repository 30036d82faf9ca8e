"""Rows over HTTP, and the story of issue 17 by its endpoint, against a real server."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.events import timestamps
from ledger.events.annotations import workflow_tagged
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from projections.cli.commands.demo import examples
from tests.projections.server.conftest import Host, Server
from tests.waiting import until

STORY = ("1-planned", "2-killed", "3-retried", "4-tested", "5-reviewed")


def found(server: Server, path: str, **parameters: Any) -> Any:
    answer = server.client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_story_row_at_nine_cents_is_put_right_by_the_endpoint(hosted: Host, tmp_path: Path) -> None:
    from ledger.importing.importer import import_source
    from ledger.importing.source_registry import SourceEntry, SourceRegister

    data = tmp_path / "data"
    ledgers = DirectoryStore(data)
    for moment in STORY:
        import_source(ledgers, "adw", examples() / moment)
    ledgers.append([workflow_ended("a5b80595", "completed")])
    import_source(ledgers, "adw", examples() / STORY[-1])  # so that the server, which follows it, finds nothing new
    SourceRegister(data).add(SourceEntry("adw", str(examples() / STORY[-1])))
    server = hosted(data)
    assert found(server, "/api/workflow-history/a5b80595")["actual_cost_total"] == "2.37"
    with closing(sqlite3.connect(data / "history.db")) as db, db:
        db.execute("UPDATE workflow_history SET actual_cost_total = 0.09, actual_cost_nanousd = 90000000")
    db.close()
    assert found(server, "/api/workflow-history/a5b80595")["actual_cost_total"] == "0.09"
    answer = server.client.post("/api/workflow-history/resync?adw_id=a5b80595&force=true")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["resynced_count"], body["workflows"], body["errors"]) == (1, ["a5b80595"], [])
    assert [(c["old_cost"], c["new_cost"]) for c in body["changes"]] == [("0.09", "2.37")]
    assert found(server, "/api/workflow-history/a5b80595")["actual_cost_total"] == "2.37"
    audit = "/api/workflow-history/a5b80595/audit"
    entries = found(server, audit)["entries"]
    assert (entries[-1]["old_cost"], entries[-1]["new_cost"]) == ("0.09", "2.37")
    paged, after = list[Any](), 0
    while after is not None:
        body = found(server, f"{audit}?limit=1&after={after}")
        paged, after = paged + body["entries"], body["next"]
    assert paged == entries


def test_a_resync_of_everything_does_the_ended_ones_and_names_the_ones_that_fail(server: Server) -> None:
    for name in ("good", "bad"):
        server.ledgers.append([cost_observed(name, cost_usd="1"), workflow_ended(name, "completed")])
    server.ledgers.append([cost_observed("running", cost_usd="1")])
    assert server.client.post("/api/workflow-history/resync").json()["workflows"] == ["bad", "good"]
    path = server.ledgers.ledger_path("bad")
    path.write_bytes(path.read_bytes().replace(b'"1.00"', b'"9.00"'))
    body = server.client.post("/api/workflow-history/resync").json()
    assert body["workflows"] == ["good"]
    assert [error.partition(":")[0] for error in body["errors"]] == ["bad"]
    only = server.client.post("/api/workflow-history/resync?adw_id=bad")
    assert (only.status_code, only.json()["type"]) == (409, "urn:costledger:problem:damaged-ledger")
    assert "salvage" in only.json()["detail"]
    assert only.json()["detail"].startswith("ledgers/bad.jsonl, line 2 "), "no folder of the server's"
    assert str(server.data) not in str(body) + server.client.get("/api/health").text


def test_the_list_takes_the_conditions_of_spend_that_are_of_workflows(hosted: Host, tmp_path: Path) -> None:
    ledgers = DirectoryStore(tmp_path)
    for name, project, branch in (
        ("a", "/srv/shop", "main"),
        ("b", "/srv/site", None),
        ("c", "/srv/shop", "release/1"),
    ):
        started = workflow_started(name, project=project, branch=branch)
        ledgers.append([started, cost_observed(name, cost_usd="1", model="opus")])
    ledgers.append([workflow_tagged("b", tags={"team": "search"})])
    (tmp_path / "costledger.toml").write_text('[[tags]]\nproject = "*/shop"\nset = { team = "payments" }\n')
    server = hosted(tmp_path)
    for where, names in (
        (["project=shop"], ["a", "c"]),
        (["team=payments"], ["a", "c"]),
        (["team=search", "team=payments", "branch=release/*"], ["c"]),
        (["team=payments", "branch="], []),
        (["workflow=b", "status=running"], ["b"]),
    ):
        body = found(server, "/api/workflow-history", where=where, sort="adw_id", order="asc", limit=1)
        assert [row["adw_id"] for row in body["workflows"]] == names[:1]
        assert (body["total_count"], body["analytics"]["total_cost_usd"]) == (len(names), f"{len(names)}.00")
    for wrong, problem in (
        ("model=opus", "ask for spend by workflow"),
        ("status=idle", "an idle workflow is running"),
        ("teem=x", "did you mean 'team'?"),
    ):
        answer = server.client.get("/api/workflow-history", params={"where": wrong})
        assert answer.status_code == 422
        assert problem in answer.json()["detail"]


def test_an_unknown_workflow_is_not_found_everywhere(server: Server) -> None:
    for path in ("", "/audit", "/events", "/explain"):
        answer = server.client.get(f"/api/workflow-history/unknown{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert "GET /api/workflow-history lists" in answer.json()["detail"]
        no_id = server.client.get(f"/api/workflow-history/not an id{path}")
        assert (no_id.status_code, no_id.json()["type"]) == (422, "urn:costledger:problem:invalid-workflow-id")
    unknown = server.client.post("/api/workflow-history/resync?adw_id=unknown")
    assert (unknown.status_code, str(server.data) in unknown.text) == (404, False)
    assert server.client.post("/api/workflow-history/resync?adw_id=../etc").status_code == 422
    assert server.client.get("/api/workflow-history/..%2F..%2Fetc%2Fpasswd/events").status_code == 404


def test_resyncs_from_many_places_at_once_all_tell_the_truth(server: Server) -> None:
    server.ledgers.append([cost_observed("w", cost_usd="2.37"), workflow_ended("w", "completed")])
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(httpx.post(f"{server.url}/api/workflow-history/resync?adw_id=w"))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.json()["workflows"] for answer in answers] == [["w"]] * 8
    assert found(server, "/api/workflow-history/w")["actual_cost_total"] == "2.37"


def test_rows_are_filtered_sorted_and_paged_with_totals_over_all_that_match(hosted: Host, tmp_path: Path) -> None:

    ledgers = DirectoryStore(tmp_path / "data")
    for number in range(1, 8):
        name = f"w{number}"
        ledgers.append([workflow_started(name, issue_number=number % 2, workflow_template="sdlc")])
        source = {"kind": "claude"} if number % 2 else None
        ledgers.append([cost_observed(name, cost_usd=number, source=source)])
        if number % 3 == 0:
            ledgers.append([workflow_ended(name, "failed", error_message="Disk full")])
    server = hosted(tmp_path / "data")
    first = found(server, "/api/workflow-history", sort="cost", order="desc", limit=2)
    assert [row["adw_id"] for row in first["workflows"]] == ["w7", "w6"]
    assert (first["total_count"], first["analytics"]["total_cost_usd"]) == (7, "28.00")
    assert first["analytics"]["by_status"]["failed"] == {"count": 2, "cost_usd": "9.00", "at_least": False}
    second = found(server, "/api/workflow-history", sort="cost", limit=2, offset=2)
    assert [row["adw_id"] for row in second["workflows"]] == ["w5", "w4"]
    failed = found(server, "/api/workflow-history", status="failed", text="disk FULL", sort="adw_id", order="asc")
    assert [row["adw_id"] for row in failed["workflows"]] == ["w3", "w6"]
    both = found(server, "/api/workflow-history", status=["failed", "running"], issue_number=1)
    assert both["total_count"] == 4
    for tool in ("claude", "Claude Code"):
        assert found(server, "/api/workflow-history", tool=tool)["analytics"]["total_cost_usd"] == "16.00"
    assert found(server, "/api/workflow-history", tool="code")["total_count"] == 0
    assert found(server, "/api/workflow-history", since="2999-01-01T00:00:00Z")["total_count"] == 0
    refused = server.client.get("/api/workflow-history", params={"since": "yesterday"})
    assert (refused.status_code, "since" in refused.json()["detail"]) == (422, True)


def test_events_show_what_each_did_to_the_cost_page_by_page(server: Server) -> None:
    server.ledgers.append([cost_observed("w", cost_usd=usd, agent="plan") for usd in ("1", "3", "2")])
    first = found(server, "/api/workflow-history/w/events", limit=3)
    costs = [(e["event"]["seq"], e["cost_after_usd"]) for e in first["events"]]
    assert costs == [(1, None), (2, "1.00"), (3, "3.00")]
    assert first["next"] == 3
    last = found(server, "/api/workflow-history/w/events", after=3)
    assert [(e["cost_before_usd"], e["cost_after_usd"]) for e in last["events"]] == [("3.00", "3.00")]
    assert last["next"] is None
    moved = found(server, "/api/workflow-history/w/explain")
    assert [(s["from_cost_usd"], s["to_cost_usd"]) for s in moved["steps"]] == [(None, "1.00"), ("1.00", "3.00")]


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/api/workflow-history?_=123", "'_'"),
        ("/api/workflow-history?statuss=failed", "status, issue_number"),
        ("/api/workflow-history?limit=1&limit=2", "limit is given 2 times"),
        ("/api/workflow-history/w?full=1", "it has none"),
        ("/healthz?x", "'x'"),
    ],
)
def test_a_parameter_that_would_be_passed_over_is_refused(server: Server, path: str, detail: str) -> None:
    answer = server.client.get(path)
    assert (answer.status_code, detail in answer.json()["detail"]) == (422, True), answer.text
    assert server.client.get("/api/workflow-history?status=failed&status=running").status_code == 200
    assert server.client.get("/?from=a-bookmark").status_code == 200


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing"])
def test_an_unknown_path_is_a_problem_not_a_page_of_somebody_else(server: Server, path: str) -> None:
    answer = server.client.get(path)
    assert (answer.status_code, answer.json()["status"]) == (404, 404)


def test_damage_that_a_resync_met_is_remembered_until_it_is_mended(server: Server, hosted: Host) -> None:
    server.ledgers.append([cost_observed("w", cost_usd="0.10"), workflow_ended("w", "completed")])
    path = server.ledgers.ledger_path("w")
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"0.10"', b'"0.90"'))
    assert server.client.post("/api/workflow-history/resync?adw_id=w&force=true").status_code == 409
    assert "does not fit" in found(server, "/api/health")["problems"]["w"]
    assert server.client.get("/readyz").text == "ready; 1 ledger cannot be replayed, see /api/health\n"
    server.stop()
    server = hosted(server.data)
    assert "does not fit" in found(server, "/api/health")["problems"]["w"], "it is still there"
    path.write_bytes(whole)
    assert server.client.post("/api/workflow-history/resync?adw_id=w&force=true").status_code == 200
    assert (found(server, "/api/health")["problems"], server.client.get("/readyz").text) == ({}, "ready\n")


def test_findings_come_by_the_page_the_newest_first(server: Server) -> None:
    for number in range(3):
        name = f"w{number}"
        twice = [cost_observed(name, cost_usd=1, session_id="s"), cost_observed(name, cost_usd=1, model="m")]
        server.ledgers.append([*twice, workflow_ended(name, "failed")])
    server.client.post("/api/workflow-history/resync")
    body = found(server, "/api/stale", limit=2)
    assert [finding["adw_id"] for finding in body["findings"]] == ["w2", "w1"]
    assert (body["more"], found(server, "/api/stale")["more"]) == (True, False)


def test_a_finding_is_accepted_with_its_reason_and_then_quiet(server: Server) -> None:
    twice = [cost_observed("w", cost_usd=1, session_id="s"), cost_observed("w", cost_usd=1, model="m")]
    server.ledgers.append(twice)
    server.client.post("/api/workflow-history/resync")
    (finding,) = found(server, "/api/stale")["findings"]
    assert (finding["kind"], finding["cost_basis"], finding["unpriced_events"]) == (
        "possible_double_counting",
        "reported",
        0,
    )
    path = "/api/stale/w/accept"
    assert server.client.post(path, json={}).status_code == 422
    assert server.client.post(path, json={"reason": " "}).status_code == 422
    assert server.client.post("/api/stale/unknown/accept", json={"reason": "x"}).status_code == 404
    other = server.client.post(path, json={"reason": "x", "kinds": ["low_cost"]})
    assert (other.status_code, "no low_cost needs attention" in other.json()["detail"]) == (409, True)
    done = server.client.post(path, json={"reason": "two keys, one job"})
    assert (done.status_code, done.json()["accepted"]) == (201, ["possible_double_counting"])
    until(lambda: found(server, "/api/stale"), lambda body: body["findings"] == [])
    assert server.client.post(path, json={"reason": "again"}).status_code == 409
    (step,) = [step for step in found(server, "/api/workflow-history/w/explain")["steps"] if "accepted" in step["why"]]
    assert (step["from_cost_usd"], step["to_cost_usd"]) == ("2.00", "2.00")
    assert "two keys, one job" in step["why"]


def test_a_ledger_recorded_ahead_of_the_clock_is_named_everywhere_and_repaired(server: Server) -> None:
    ahead = DirectoryStore(server.data, clock=lambda: datetime(2099, 1, 1, tzinfo=UTC))
    ahead.append([cost_observed("runs", cost_usd="0.50")])
    ahead.append([cost_observed("ended", cost_usd="0.50"), workflow_ended("ended", "completed")])
    server.client.post("/api/workflow-history/resync")
    findings = {finding["adw_id"]: finding for finding in found(server, "/api/stale")["findings"]}
    assert "(give later events their observed_at, or go on under another id" in findings["runs"]["next_step"]
    assert "(go on under another id" in findings["ended"]["next_step"]
    command = [sys.executable, "-m", "projections", "--data", str(server.data)]
    named = json.loads(subprocess.run([*command, "stale", "--json"], check=True, capture_output=True).stdout)[
        "findings"
    ]
    for one in named:
        assert "recorded at 2099-01-01 00:00 UTC, ahead of the clock" in one["why"]
        assert {name: findings[one["adw_id"]][name] for name in ("why", "next_step")} == {
            name: one[name] for name in ("why", "next_step")
        }
    proof = subprocess.run([*command, "verify", "--json"], check=False, capture_output=True)
    assert {one["workflow_id"] for one in json.loads(proof.stdout)["findings"]} == {"runs", "ended"} == findings.keys()

    today = timestamps.to_wire(timestamps.now())
    server.ledgers.append([cost_observed("runs", cost_usd="0.75", observed_at=today)])
    server.ledgers.append([cost_observed("next", cost_usd="2")])
    corrected = ["correct", "--cost-usd", "0.40", "--reason", "wrong clock", "--", "ended"]
    subprocess.run([*command, *corrected], check=True, capture_output=True)
    server.client.post("/api/workflow-history/resync")
    costs = {row["adw_id"]: row["actual_cost_total"] for row in found(server, "/api/workflow-history")["workflows"]}
    assert costs == {"runs": "0.75", "ended": "0.40", "next": "2.00"}
    days = {line["period"]: line["cost_usd"] for line in found(server, "/api/spend")["lines"]}
    assert days == {"2099-01-01": "0.90", today[:10]: "2.25"}

    accept = ["stale", "--accept", "ended", "--reason", "wrong clock"]
    subprocess.run([*command, *accept], check=True, capture_output=True)
    server.client.post("/api/workflow-history/resync")
    assert [finding["adw_id"] for finding in found(server, "/api/stale")["findings"]] == ["runs"]
    proof = subprocess.run([*command, "verify", "--json"], check=False, capture_output=True)
    assert [one["workflow_id"] for one in json.loads(proof.stdout)["findings"]] == ["runs"]
