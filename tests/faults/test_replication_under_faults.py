"""A real JetStream cluster of three under faults: every line arrives, once, and each chain is the ledger's bytes.

The long version: `pytest -n0 -s -m campaign tests/faults/test_replication_under_faults.py`; `COSTLEDGER_SEED` chooses
another course of events.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from ledger.agreement import Agreement, disagreements
from ledger.repair import repair
from ledger.replicas.nats import NatsReplica
from ledger.replication import Replication
from ledger.restore import restore
from ledger.store import DirectoryStore
from tests.faults.campaign import Campaign
from tests.nats_server import running

SEED = int(os.environ.get("COSTLEDGER_SEED", "7"))


def proven(campaign: Campaign, folder: Path) -> dict[str, int]:
    """Every host's ledgers and chains agree, after a repair; what that found, and how many lines there are."""
    figures: Counter[str] = Counter()
    with closing(NatsReplica(campaign.cluster.name, copies=3, timeout_seconds=20)) as replica:
        for store in campaign.stores:
            with closing(Replication(store, replica)) as replication:
                mended = repair(store, replica, replication)
                sent = replication.catch_up()
            assert (mended.problems, sent.problems, sent.away) == ([], [], None)
            agreement = Agreement()
            assert list(disagreements(store, replica, agreement)) == []
            figures.update(lines=agreement.lines, waiting=agreement.waiting, ledgers=agreement.ledgers)
            figures.update(lost=sum(loss.lines for loss in mended.losses), sent_by_repair=sent.lines)
        done = restore(replica, folder / "restored", origin=campaign.stores[0].origin)
    assert done.problems == []
    for name in campaign.stores[0].workflow_ids():
        restored = DirectoryStore(folder / "restored").ledger_path(name)
        assert restored.read_bytes() == campaign.stores[0].ledger_path(name).read_bytes()
    assert figures["waiting"] == 0
    return dict(figures)


def events_in(stores: list[DirectoryStore]) -> int:
    return sum(1 for store in stores for name in store.workflow_ids() for _ in store.read(name))


def test_a_cluster_under_faults_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "cluster", size=3) as cluster:
        campaign = Campaign(tmp_path, cluster, seed=SEED, hosts=2, events=1500)
        campaign.run(["leader killed", "process killed", "node paused"], seconds=6)
        figures = proven(campaign, tmp_path)
    assert (figures["lost"], figures["lines"]) == (0, events_in(campaign.stores))
    assert sum(campaign.faults.values()) == 3


@pytest.mark.campaign
def test_eight_hosts_replicate_twenty_thousand_events_while_the_cluster_is_killed_paused_and_wiped(
    tmp_path: Path,
) -> None:
    rng = Random(SEED)
    faults = ["leader killed", "node paused", "process killed"] * 12 + ["disk wiped"] * 2
    rng.shuffle(faults)
    with running(tmp_path / "cluster", size=3) as cluster:
        campaign = Campaign(tmp_path, cluster, seed=SEED, hosts=8, events=20_000)
        began = time.monotonic()
        campaign.run(faults, seconds=90)
        took = time.monotonic() - began
        figures = proven(campaign, tmp_path)
    events = events_in(campaign.stores)
    assert events >= 20_000
    print(f"\nseed {SEED}: {events:,} lines of 8 hosts, {took:.0f} s, {dict(campaign.faults)}, {figures}")
