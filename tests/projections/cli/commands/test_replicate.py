"""`replicate`, `restore` and `verify --shared` against a real NATS server, as their users meet them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import nats
import psycopg
import pytest

from ledger.replication.nats.replica import NatsReplica
from ledger.replication.nats.stream import STREAM
from ledger.replication.repair import repair
from ledger.replication.sender import Replication
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.files import Files
from ledger.storage.origin import begin_renewal, origin_of
from tests.conftest import PROJECT
from tests.nats_server import Cluster, running
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path / "nats") as cluster:
        yield cluster


def appended(run: Run, *workflow_ids: str) -> None:
    for workflow_id in workflow_ids:
        assert run("observe", "--agent", "plan", "--cost-usd", "0.09", "--", workflow_id).code == 0


def lose(cluster: Cluster, workflow_id: str, *seqs: int) -> None:
    """Take lines out of the stream, which its configuration must allow."""
    with closing(NatsReplica(cluster.name, config={**STREAM, "deny_delete": False})) as replica:
        origin = next(head.origin for head, _ in replica.heads() if head.workflow_id == workflow_id)
        positions = [line.position for line in replica.chain(workflow_id, origin) if line.head.seq in seqs]

    async def delete() -> None:
        async with await nats.connect(cluster.name) as client:
            for position in positions:
                assert await client.jetstream().delete_msg("costledger", position)

    assert len(positions) == len(seqs)
    asyncio.run(delete())


def test_from_a_first_replication_to_a_restored_host(run: Run, server: Cluster, tmp_path: Path) -> None:
    to = ("--to", server.name, "--copies", "1")
    assert run("replicate", "--status", "--json").json["ledgers"] == 0
    first = run("--data", "elsewhere", "replicate", *to)
    assert first.out == "0 events of 0 ledgers acknowledged (0.0 MB)\n"
    assert "there is no data directory" in first.err
    with closing(NatsReplica(server.name)) as replica:
        assert replica.identity, "the stream is made before anything is appended"
    appended(run, "w", "--skip-e2e", "v.1", "w")
    assert run("replicate", "--status", "--json").json["events_behind"] == 7
    assert "7 events of 3 ledgers acknowledged" in run("replicate", *to).out
    assert run("replicate", *to, "--json").json["events"] == 0
    status = run("replicate", "--status")
    assert server.name in status.out
    assert "0.0 s" in status.out
    proof = run("verify", "--shared", "--from", server.name)
    assert (proof.code, "7 lines of 3 ledgers proven in the shared engine, 0 wait to be sent" in proof.out) == (0, True)
    assert run("--data", "new", "restore", "--from", server.name, "--json").json["events"] == 7
    for name in ("w", "--skip-e2e", "v.1"):
        there = (tmp_path / "new" / "ledgers" / f"{name}.jsonl").read_bytes()
        assert there == (tmp_path / "data" / "ledgers" / f"{name}.jsonl").read_bytes()
    assert run("--data", "new", "verify").code == 0
    assert run("--data", "new", "replicate", *to, "--json").json["events"] == 0


def test_lines_deleted_in_the_stream_on_purpose_are_found_and_sent_again(run: Run, server: Cluster) -> None:
    with closing(NatsReplica(server.name, copies=1, config={**STREAM, "deny_delete": False})) as permissive:
        assert permissive.identity
    appended(run, *["w"] * 9, "v")
    refused = run("replicate", "--to", server.name, "--copies", "1")
    assert (refused.code, "has deny_delete false, and needs true" in refused.err) == (1, True)
    store = DirectoryStore("data")
    with (
        closing(NatsReplica(server.name, copies=1, config={**STREAM, "deny_delete": False})) as replica,
        closing(Replication(store, replica)) as replication,
    ):
        assert replication.catch_up().lines == 12
        lose(server, "w", 2, 3, 7, 10)
        found = run("verify", "--shared", "--from", server.name, "--json")
        assert found.code == 3
        assert [finding["workflow_id"] for finding in found.json["findings"]] == ["w"]
        assert "from seq 2 on, of 10" in found.json["findings"][0]["problem"]
        (loss,) = repair(store, replica, replication).losses
        assert (loss.seq, loss.lines) == (2, 4)
        assert replication.catch_up().problems == []
        lose(server, "v", 2)
        (loss,) = repair(store, replica, replication).losses
        assert (loss.workflow_id, loss.lines) == ("v", 1)
        assert replication.catch_up().lines == 1, "lost at its end, a chain is simply continued"
    assert run("verify", "--shared", "--from", server.name).code == 0


def test_a_second_host_and_a_copy_of_the_first(run: Run, server: Cluster, tmp_path: Path) -> None:
    to = ("--to", server.name, "--copies", "1")
    appended(run, "w")
    run("replicate", *to)
    assert run("--data", "second", "observe", "w", "--cost-usd", "1").code == 0
    assert run("--data", "second", "replicate", *to, "--json").json["ledgers"] == 1
    ambiguous = run("--data", "third", "restore", "--from", server.name)
    assert (ambiguous.code, "of several origins" in ambiguous.err) == (2, True)
    subprocess.run(["cp", "-r", "data", "copy"], cwd=tmp_path, check=True)
    refused = run("--data", "copy", "replicate", *to)
    assert (refused.code, "origin --renew" in refused.err) == (3, True)
    assert run("--data", "copy", "origin", "--renew").code == 0
    assert run("--data", "copy", "replicate", *to, "--json").json["events"] == 2
    with closing(NatsReplica(server.name)) as replica:
        answer = {head.origin for head, _ in replica.heads()}
    expected = {origin_of(tmp_path / name) for name in ("data", "second", "copy")}
    assert answer == {origin.id for origin in expected if origin is not None}


def test_an_engine_that_is_away_and_comes_back_is_followed(run: Run, server: Cluster, tmp_path: Path) -> None:
    server.stop()
    appended(run, "w")
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "COSTLEDGER_REPLICA": server.name}
    command = [sys.executable, "-m", "projections", "replicate", "--follow", "--copies", "1"]
    with (tmp_path / "log").open("wb") as log:
        following = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=log)
    try:
        until(lambda: "appends go on" in (tmp_path / "log").read_text())
        server.start()
        until(lambda: run("replicate", "--status", "--json").json["events_behind"] == 0)
        appended(run, "w", "v")
        until(lambda: run("replicate", "--status", "--json").json["events_behind"] == 0)
        server.stop()
        server.servers[0].wipe()
        server.start()
        until(lambda: run("verify", "--shared", "--from", server.name).code == 0)
        following.send_signal(signal.SIGTERM)
        assert following.wait(10) == 0
    finally:
        following.kill()
        following.wait()
    assert "answers again" in (tmp_path / "log").read_text()


@contextmanager
def following(cluster: Cluster, folder: Path) -> Iterator[Callable[[], str]]:
    """`replicate --follow` as a process of its own; what it has said so far."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "COSTLEDGER_REPLICA": cluster.name}
    command = [sys.executable, "-m", "projections", "replicate", "--follow", "--copies", "1"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=folder, env=environment, stderr=log) as one:
        try:
            yield (folder / "log").read_text
            one.send_signal(signal.SIGTERM)
            assert one.wait(10) == 0
        finally:
            one.kill()


def test_a_backup_put_back_and_appended_to_is_named_until_it_is_mended(
    run: Run, server: Cluster, tmp_path: Path
) -> None:
    ledger, to = tmp_path / "data" / "ledgers" / "w.jsonl", ("--to", server.name, "--copies", "1")
    appended(run, "w", "v")
    backup = ledger.read_bytes()
    appended(run, "w")
    whole = ledger.read_bytes()
    with following(server, tmp_path) as said:
        until(lambda: run("replicate", "--status", "--json").json["replica"] is not None)
        until(lambda: run("replicate", "--status", "--json").json["events_behind"] == 0)
        ledger.write_bytes(backup)
        appended(run, "w")
        assert len(ledger.read_bytes()) == len(whole), "as long as it was, so a look at sizes says nothing"
        status = run("replicate", "--status", "--json")
        held = [(one["workflow_id"], one["why"]) for one in status.json["held"]]
        assert (status.code, held) == (3, [("w", "parted")])
        appended(run, "w", "v")
        until(lambda: "w: ledger 'w' of origin" in said())
        status = run("replicate", "--status")
        assert (status.code, "ledgers parted" in status.out, "origin --renew" in status.out) == (3, True, True)
        until(lambda: run("replicate", "--status", "--json").json["ledgers_behind"] == 1)
        proof = run("verify", "--shared", "--from", server.name, "--json")
        assert (proof.code, proof.json["shared"]) == (3, {"ledgers": 1, "lines": 3, "waiting": 0, "differing": 1})
        assert "origin --renew" in proof.json["findings"][-1]["next_step"]
        assert "--repair" not in proof.json["findings"][-1]["next_step"]
        ledger.write_bytes(whole)
        until(lambda: run("replicate", "--status").code == 0)
    ledger.write_bytes(backup)
    appended(run, "w")
    assert run("replicate", *to).code == 3, "a first look finds it, too"
    assert run("replicate", "--status").code == 3


def test_a_line_that_the_engine_refuses_is_named_by_the_status(run: Run, server: Cluster) -> None:
    with closing(NatsReplica(server.name, copies=1, config={**STREAM, "max_msg_size": 900})) as replica:
        assert replica.identity
    appended(run, "v")
    assert run("observe", "w", "--cost-usd", "1", "--agent", "a" * 512).code == 0
    assert run("replicate", "--to", server.name, "--copies", "1").code == 1
    status = run("replicate", "--status", "--json")
    assert (status.code, [(one["workflow_id"], one["why"]) for one in status.json["held"]]) == (3, [("w", "refused")])
    assert status.json["events_behind"] > 0


def test_a_stream_of_fewer_copies_than_asked_for_is_refused_with_the_way_out(run: Run, server: Cluster) -> None:
    assert run("replicate", "--to", server.name, "--copies", "1").code == 0
    refused = run("replicate", "--to", server.name)
    assert (refused.code, "needs 3 (if so few are meant: --copies 1)" in refused.err) == (1, True)


def test_an_origin_that_is_renewed_is_followed(run: Run, server: Cluster, tmp_path: Path) -> None:
    names = [f"w{number}" for number in range(40)]
    appended(run, *names)
    with following(server, tmp_path) as said:
        until(lambda: run("replicate", "--status", "--json").json["events_behind"] == 0)
        for _ in range(2):
            assert run("origin", "--renew").code == 0
            appended(run, *names[:3])
        until(lambda: run("verify", "--shared", "--from", server.name).code == 0)
        until(lambda: run("replicate", "--status", "--json").json["events_behind"] == 0)
        begin_renewal(tmp_path / "data", Files())  # and interrupted
        until(lambda: "wait for" in said())
        assert run("origin", "--renew").code == 0
        until(lambda: "replicating under it" in said())
        until(lambda: run("verify", "--shared", "--from", server.name).code == 0)
        assert "have diverged" not in said()
    assert run("replicate", "--status").code == 0


def until(done: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_the_caller_got_wrong(run: Run) -> None:
    assert run("replicate", "--status", "--repair").code == 2
    assert run("replicate", "--copies", "0").code == 2
    assert run("replicate").code == 2
    assert run("replicate", "--to", "http://x").code == 2
    assert run("restore").code == 2
    assert run("verify", "--shared").code == 2
    appended(run, "w")
    away = run("replicate", "--to", "nats://joe:secret@127.0.0.1:1")
    assert (away.code, "secret" in away.err) == (1, False)
    assert "what was not acknowledged waits" in away.err


def test_shared_rows_are_proven_against_the_chains_of_all_hosts(run: Run, server: Cluster, postgres_url: str) -> None:
    for data in ("one", "two"):
        for workflow_id in ("w", f"only-{data}"):
            assert run("--data", data, "observe", workflow_id, "--agent", data, "--cost-usd", "0.09").code == 0
        assert run("--data", data, "replicate", "--to", server.name, "--copies", "1").code == 0
    history = ("--history", postgres_url)
    assert run(*history, "project", "--from", server.name, "--once").code == 0
    assert "$0.1800" in run(*history, "history").out
    proving = ("--data", "one", *history, "verify", "--shared", "--from", server.name, "--json")
    proof = run(*proving)
    assert (proof.code, proof.json["rows"], proof.json["shared"]["lines"], proof.json["findings"]) == (0, 3, 4, [])
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute("UPDATE workflow_history SET output_tokens = 7 WHERE adw_id = 'w'")
        db.execute("DELETE FROM workflow_history WHERE adw_id = 'only-two'")
    found = run(*proving)
    assert found.code == 3
    answer = {(finding["workflow_id"], finding["problem"]) for finding in found.json["findings"]}
    assert answer == {("w", "output_tokens is 7, and replay says 0"), ("only-two", "its row is missing")}
    assert run(*history, "project", "--from", server.name, "--rebuild").code == 0
    assert run(*proving).code == 0
