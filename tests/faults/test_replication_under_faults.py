"""A real JetStream cluster of three, projectors and PostgreSQL under faults: every line arrives, once, in every row.

The long version: `pytest -n0 -s -m campaign tests/faults/test_replication_under_faults.py`; `COSTLEDGER_SEED` chooses
another course of events.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from ledger.replication.comparison import Agreement, disagreements
from ledger.replication.nats.replica import NatsReplica
from ledger.replication.repair import repair
from ledger.replication.restore import restore
from ledger.replication.sender import Replication
from ledger.storage.directory_store import DirectoryStore
from projections.folding.row import Row
from projections.projector.run import project_on
from tests.faults.campaign import Campaign
from tests.nats_server import Cluster, running
from tests.postgres_server import PostgresServer, running_postgres
from tests.projections.projector.pure_replay import merged
from tests.projections.projector.test_projector import rows_at

SEED = int(os.environ.get("COSTLEDGER_SEED", "7"))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path / "cluster", size=3) as made:
        yield made


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    with running_postgres() as made:
        yield made


def campaign(
    folder: Path, cluster: Cluster, database: PostgresServer, *, hosts: int, events: int, projectors: int
) -> Campaign:
    def restart() -> None:
        database.stop("immediate")
        database.start()

    return Campaign(
        folder,
        cluster,
        seed=SEED,
        hosts=hosts,
        events=events,
        history=database.url(),
        projectors=projectors,
        more={"database restarted": restart},
    )


def proven(stores: list[DirectoryStore], cluster: Cluster, database: PostgresServer, folder: Path) -> dict[str, int]:
    """Ledgers, chains and rows agree, after a repair; what that found, and how many lines there are."""
    figures: Counter[str] = Counter()
    with closing(NatsReplica(cluster.name, copies=3, timeout_seconds=20)) as replica:
        for store in stores:
            with closing(Replication(store, replica)) as replication:
                mended = repair(store, replica, replication)
                sent = replication.catch_up()
            assert (mended.problems, sent.problems, sent.away) == ([], [], None)
            agreement = Agreement()
            assert list(disagreements(store, replica, agreement)) == []
            figures.update(lines=agreement.lines, waiting=agreement.waiting, ledgers=agreement.ledgers)
            figures.update(lost=sum(loss.lines for loss in mended.losses))
        project_on(replica, database.url(), once=True)
        assert rows_at(database.url()) == replayed(stores)
        done = restore(replica, folder / "restored", origin=stores[0].origin)
    assert done.problems == []
    for name in stores[0].workflow_ids():
        restored = DirectoryStore(folder / "restored").ledger_path(name)
        assert restored.read_bytes() == stores[0].ledger_path(name).read_bytes()
    assert figures["waiting"] == 0
    return dict(figures)


def replayed(stores: list[DirectoryStore]) -> list[Row]:
    """The rows of all hosts' ledgers, by a local replay."""
    names = sorted({name for store in stores for name in store.workflow_ids()})
    return [
        merged(
            name, {store.origin: store.read(name).raw_lines() for store in stores if store.size(name) is not None}
        ).row
        for name in names
    ]


def events_in(stores: list[DirectoryStore]) -> int:
    return sum(1 for store in stores for name in store.workflow_ids() for _ in store.read(name))


def test_a_cluster_under_faults_loses_and_doubles_nothing(
    tmp_path: Path, cluster: Cluster, database: PostgresServer
) -> None:
    made = campaign(tmp_path, cluster, database, hosts=2, events=1500, projectors=1)
    made.run(["leader killed", "process killed", "database restarted", "node paused"], seconds=6)
    figures = proven(made.stores, cluster, database, tmp_path)
    assert (figures["lost"], figures["lines"]) == (0, events_in(made.stores))
    assert sum(made.happened.values()) == 4


@pytest.mark.campaign
def test_eight_hosts_replicate_twenty_thousand_events_while_everything_is_killed_paused_and_wiped(
    tmp_path: Path, cluster: Cluster, database: PostgresServer
) -> None:
    faults = ["leader killed", "node paused", "process killed"] * 10 + ["disk wiped"] * 2 + ["database restarted"] * 6
    Random(SEED).shuffle(faults)
    made = campaign(tmp_path, cluster, database, hosts=8, events=20_000, projectors=3)
    began = time.monotonic()
    made.run(faults, seconds=90)
    took = time.monotonic() - began
    figures = proven(made.stores, cluster, database, tmp_path)
    assert events_in(made.stores) >= 20_000
    print(f"\nseed {SEED}: 8 hosts, 3 projectors, {took:.0f} s, {dict(made.happened)}, {figures}")
