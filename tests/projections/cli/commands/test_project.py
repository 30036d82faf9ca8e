"""`costledger project`, as processes between a real NATS server and a real PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.events.event import cost_observed, workflow_ended
from ledger.replication.open import open_replica
from ledger.replication.sender import Replication
from ledger.storage.directory_store import DirectoryStore
from projections.folding.row import Row
from projections.history.postgres.history import open_postgres
from tests.conftest import PROJECT
from tests.nats_server import Cluster, running
from tests.projections.projector.pure_replay import merged


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("nats")) as cluster:
        yield cluster


def project(nats: Cluster, url: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "projections", "project", "--from", nats.name, *arguments]
    environment = os.environ | {"COSTLEDGER_HISTORY": url}
    return subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=-1, stderr=-1, text=True)


def command(url: str, *arguments: str) -> tuple[int, Any, str]:
    """Exit code, what was printed as JSON, and stderr."""
    environment = os.environ | {"COSTLEDGER_HISTORY": url}
    line = [sys.executable, "-m", "projections", *arguments, "--json"]
    done = subprocess.run(line, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


class Hosts:
    """Data directories of several hosts, each replicated."""

    def __init__(self, folder: Path, nats: Cluster, count: int) -> None:
        self.stores = [DirectoryStore(folder / f"host-{number}", durability="none") for number in range(count)]
        self._replicas = [open_replica(nats.name, copies=1) for _ in self.stores]
        self._replications = [
            Replication(store, replica) for store, replica in zip(self.stores, self._replicas, strict=True)
        ]

    def work(self, start: int, count: int) -> None:
        for number in range(start, start + count):
            store = self.stores[number % len(self.stores)]
            reading = cost_observed(f"w{number % 20}", agent=f"a{number % 3}", cost_usd=number, id=f"e{number}")
            store.append([reading])
            if number % 7 == 0:
                self.stores[0].append([reading])

    def replicate(self) -> None:
        for replication in self._replications:
            while (sent := replication.catch_up()).away is not None:
                time.sleep(0.1)  # its connection has yet to notice that the server is back
            assert sent.problems == []

    def rows(self) -> list[Row]:
        names = sorted({name for store in self.stores for name in store.workflow_ids()})
        return [merged(name, dict(self._chains(name))).row for name in names]

    def _chains(self, name: str) -> Iterator[tuple[str, list[bytes]]]:
        for store in self.stores:
            if store.size(name) is not None:
                yield store.origin, b"".join(store.read(name).raw_chunks()).splitlines(keepends=True)

    def close(self) -> None:
        for replication, replica in zip(self._replications, self._replicas, strict=True):
            replication.close()
            replica.close()


def wait_for(url: str, rows: list[Row], seconds: float = 60) -> None:
    deadline, found = time.monotonic() + seconds, list[Row]()
    with open_postgres(url) as history:
        while found != rows and time.monotonic() < deadline:
            found = history.rows()
            time.sleep(0.05)
    assert found == rows


def test_processes_share_the_work_and_one_that_is_killed_is_replaced(
    tmp_path: Path, nats: Cluster, postgres_url: str
) -> None:
    hosts = Hosts(tmp_path, nats, 2)
    hosts.work(0, 200)
    hosts.replicate()
    projectors = [project(nats, postgres_url) for _ in range(2)]
    try:
        wait_for(postgres_url, hosts.rows())
        hosts.work(200, 100)
        projectors[0].kill()
        hosts.replicate()
        wait_for(postgres_url, hosts.rows())
        code, answer, _ = command(postgres_url, "project", "--status")
        assert (code, answer["held"], len(answer["partitions"])) == (0, [], 64)
    finally:
        for process in projectors:
            process.kill()
            process.communicate()
        hosts.close()
    for store in hosts.stores:
        store.append([workflow_ended("w1", "completed")])
    code, answer, _ = command(postgres_url, "history")
    assert (code, answer["total_count"]) == (0, 20)
    code, _, answer = command(postgres_url, "refresh")
    assert (code, "projectors write this history" in answer) == (2, True)


def test_a_rebuild_replays_the_stream_and_says_so(tmp_path: Path, nats: Cluster, postgres_url: str) -> None:
    hosts = Hosts(tmp_path, nats, 1)
    hosts.work(0, 40)
    hosts.replicate()
    hosts.close()
    code, answer, _ = command(postgres_url, "project", "--from", nats.name, "--once")
    assert (code, answer["held"]) == (0, 0)
    code, again, _ = command(postgres_url, "project", "--from", nats.name, "--rebuild")
    assert (code, again["lines"], again["costs_changed"]) == (0, answer["lines"], 0)
    code, dropped, _ = command(postgres_url, "rebuild", "--drop-old")
    assert (code, dropped) == (0, {"dropped_versions": [1]})


def test_a_server_put_back_from_a_copy_is_noticed_repaired_and_replayed(tmp_path: Path, postgres_url: str) -> None:
    with running(tmp_path / "nats") as engine:
        server = engine.servers[0]
        hosts = Hosts(tmp_path, engine, 1)
        hosts.work(0, 30)
        hosts.replicate()
        server.kill()
        shutil.copytree(server.folder / "store", tmp_path / "copy")
        engine.start()
        hosts.work(30, 30)
        hosts.replicate()
        assert command(postgres_url, "project", "--from", engine.name, "--once")[0] == 0
        server.kill()
        server.wipe()
        shutil.copytree(tmp_path / "copy", server.folder / "store")
        engine.start()
        code, _, answer = command(postgres_url, "project", "--from", engine.name, "--once")
        assert (code, "went back in time" in answer) == (1, True)
        with open_postgres(postgres_url) as history:
            assert history.rows() == hosts.rows()
        data = ("--data", str(hosts.stores[0].path))
        hosts.close()
        repaired = command(postgres_url, *data, "replicate", "--repair", "--copies", "1", "--to", engine.name)
        assert repaired[0] == 0
        code, told_again, _ = command(postgres_url, "project", "--from", engine.name, "--rebuild")
        assert (code, told_again["costs_changed"]) == (0, 0)
        assert command(postgres_url, "project", "--from", engine.name, "--once")[0] == 0
        with open_postgres(postgres_url) as history:
            assert history.rows() == hosts.rows()


def test_where_it_writes_and_reads_has_to_be_named() -> None:
    code, _, answer = command("sqlite:x.db", "project", "--status")
    assert (code, "--history postgresql://" in answer) == (2, True)
    code, _, answer = command("postgresql://me@127.0.0.1:1/x", "project")
    assert (code, "--from nats://" in answer) == (2, True)
    code, _, answer = command("postgresql://me@127.0.0.1:1/x", "project", "--status")
    assert (code, "cannot be reached" in answer) == (1, True)
