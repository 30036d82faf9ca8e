"""The lines of a shared row: its chains in a real NATS server, explained next to a row in a real PostgreSQL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from ledger.events.event import cost_observed
from ledger.replication.nats.replica import NatsReplica
from ledger.replication.nats.stream import STREAM
from ledger.replication.sender import Replication
from ledger.storage.directory_store import DirectoryStore
from projections.projector.run import project_on
from tests.conftest import PROJECT
from tests.nats_server import Cluster, running
from tests.projections.cli.commands.test_replicate import lose
from tests.projections.cli.test_app import Run, run
from tests.projections.server.conftest import Process

__all__ = ["run"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path / "nats") as cluster:
        yield cluster


@pytest.fixture
def shared(run: Run, server: Cluster, postgres_url: str) -> tuple[str, ...]:
    """Rows of two hosts; `w` comes from both, `only-two` by the second, and `mine` by the first."""
    events = [("one", "w", "0.09"), ("two", "w", "0.41"), ("two", "only-two", "5.00"), ("one", "mine", "1.00")]
    for number, (data, workflow_id, cost) in enumerate(events):
        given = ("--agent", data, "--cost-usd", cost, "--id", f"e{number}")
        assert run("--data", data, "observe", workflow_id, *given).code == 0
    for data in ("one", "two"):
        assert run("--data", data, "replicate", "--to", server.name, "--copies", "1").code == 0
    assert run("--history", postgres_url, "project", "--from", server.name, "--once").code == 0
    return ("--data", "one", "--history", postgres_url)


def test_a_shared_row_is_explained_from_the_chains_of_all_hosts(
    run: Run, server: Cluster, shared: tuple[str, ...]
) -> None:
    explained = run(*shared, "explain", "w", "--from", server.name)
    assert (explained.code, "The row shows" in explained.out) == (0, False)
    assert "w: 2 of 4 events moved its cost" in explained.out
    whole = run(*shared, "explain", "w", "--from", server.name, "--json").json
    assert [(step["seq"], step["to_cost_usd"]) for step in whole["steps"]] == [(2, "0.09"), (4, "0.50")]
    first, last = (
        run(*shared, "explain", "w", "--from", server.name, "--json", "--after", after, "--limit", "1").json
        for after in ("0", "2")
    )
    assert (first["next"], last["next"]) == (2, None)
    assert (first["steps"] + last["steps"], last["event_count"]) == (whole["steps"], 4)
    there = run(*shared, "explain", "only-two", "--from", server.name, "--json").json
    assert [step["to_cost_usd"] for step in there["steps"]] == ["5.00"]
    assert run(*shared, "show", "w", "--as-of", "3", "--from", server.name, "--json").json["event_count"] == 3


def test_a_part_of_a_shared_row_is_not_explained_as_the_whole(run: Run, shared: tuple[str, ...]) -> None:
    for command in (("explain", "w"), ("show", "w", "--as-of", "2")):
        refused = run(*shared, *command)
        assert (refused.code, refused.out) == (1, "")
        assert "is folded from 4 events of 2 origins, and this data directory's ledger has 2" in refused.err
        assert "--from nats://" in refused.err
    elsewhere = run(*shared, "explain", "only-two")
    assert (elsewhere.code, "this data directory has no ledger of it" in elsewhere.err) == (1, True)


def test_a_row_of_this_host_alone_needs_no_replica(run: Run, shared: tuple[str, ...]) -> None:
    assert [step["to_cost_usd"] for step in run(*shared, "explain", "mine", "--json").json["steps"]] == ["1.00"]
    given = ("--agent", "more", "--cost-usd", "2.00")
    assert run("--data", "one", "observe", "mine", *given).code == 0
    explained = run(*shared, "explain", "mine")  # a projector has yet to read that line
    assert ("mine: 1 of 2 events" in explained.out, "The row shows" in explained.out) == (True, False)
    assert run(*shared, "explain", "no-such-workflow").code == 1


def test_the_rights_that_the_page_grants_are_enough_to_read(run: Run, shared: tuple[str, ...]) -> None:
    page = (PROJECT / "docs" / "postgres.md").read_text(encoding="utf-8")
    granted = re.findall(r"^GRANT SELECT[^;]*TO dashboard;", page, re.M)
    assert len(granted) == 2
    with psycopg.connect(shared[-1], autocommit=True) as db:
        schema = db.execute("SELECT current_schema()").fetchone()
        assert schema is not None
        db.execute("CREATE ROLE dashboard LOGIN")
        try:
            for grant in (f"GRANT USAGE ON SCHEMA {schema[0]} TO dashboard", *granted):
                db.execute(grant)
            reader = ("--data", "one", "--history", shared[-1].replace("//postgres@", "//dashboard@"))
            for command in ("history", "daily", "check", "stale", ("show", "w"), ("explain", "mine")):
                done = run(*reader, *([command] if isinstance(command, str) else command))
                assert (done.code, done.err) == (0, ""), command
        finally:
            db.execute("DROP OWNED BY dashboard")
            db.execute("DROP ROLE dashboard")


def test_an_empty_shared_history_says_which_it_is(run: Run, server: Cluster, postgres_url: str) -> None:
    empty = ("--history", postgres_url)
    assert run(*empty, "history").out.startswith("no workflows in postgresql://postgres@/postgres on /")
    assert run("replicate", "--to", server.name, "--copies", "1").code == 0
    assert run(*empty, "project", "--from", server.name, "--once").code == 0
    assert "costledger project --status" in run(*empty, "history").out
    assert "no workflow 'none' in postgresql://" in run(*empty, "show", "none").err


def test_a_figure_stored_by_hand_is_still_reported(run: Run, server: Cluster, shared: tuple[str, ...]) -> None:
    with psycopg.connect(shared[-1], autocommit=True) as db:
        db.execute("UPDATE workflow_history SET actual_cost_nanousd = 7000000000 WHERE adw_id = 'w'")
    assert (
        "The row shows $7.0000: another program stored that" in run(*shared, "explain", "w", "--from", server.name).out
    )


def test_lines_that_the_engine_lost_are_reported_as_missing(
    run: Run, server: Cluster, tmp_path: Path, postgres_url: str
) -> None:
    ledgers = DirectoryStore(tmp_path / "other")
    ledgers.append([cost_observed("w", cost_usd=cost) for cost in ("0.09", "0.41", "2.37")])
    with (
        closing(NatsReplica(server.name, copies=1, config={**STREAM, "deny_delete": False})) as replica,
        closing(Replication(ledgers, replica)) as replication,
    ):
        assert replication.catch_up().lines == 4
        project_on(replica, postgres_url, once=True, wait_seconds=0.2)
    lose(server, "w", 3)
    refused = run("--history", postgres_url, "explain", "w", "--from", server.name)
    assert (refused.code, refused.out) == (1, "")
    assert "does not lead to its row" in refused.err
    assert "replicate --repair" in refused.err


def test_the_server_answers_the_same(tmp_path: Path, server: Cluster, shared: tuple[str, ...]) -> None:
    without = Process(tmp_path / "one", "--history", shared[-1])
    whole = Process(tmp_path / "two", "--history", shared[-1], "--from", server.name)
    try:
        refused = [without.client.get(f"/api/workflow-history/w/{part}") for part in ("explain", "events")]
        assert [one.status_code for one in refused] == [409, 409]
        assert "--from nats://" in json.loads(refused[0].text)["detail"]
        assert without.client.get("/api/workflow-history/only-two/explain").status_code == 409
        assert without.client.get("/api/workflow-history/mine/explain").json()["event_count"] == 2
        explained = whole.client.get("/api/workflow-history/w/explain").json()
        assert (explained["event_count"], explained["steps"][-1]["to_cost_usd"]) == (4, "0.50")
        events = whole.client.get("/api/workflow-history/w/events").json()["events"]
        assert [one["event"]["seq"] for one in events] == [1, 2, 3, 4]
        assert events[-1]["cost_after_usd"] == "0.50"
        assert whole.client.get("/api/workflow-history/nothing/explain").status_code == 404
    finally:
        without.stop()
        whole.stop()
