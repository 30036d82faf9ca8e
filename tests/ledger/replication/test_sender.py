"""Replication: everything arrives, once and in order, whatever the engine does; what it loses is sent again."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings

from ledger.errors import CostledgerError, DamagedLedger, Diverged, MisplacedOrigin, ReplicaUnavailable
from ledger.maintenance.origin_renewal import renew
from ledger.replication.comparison import Agreement, disagreements
from ledger.replication.cursor import cursor_path
from ledger.replication.lag import backlog
from ledger.replication.replica import ChainHead, ChainSegment
from ledger.replication.sender import Replication, Sent
from ledger.storage.directory_store import DirectoryStore
from tests.ledger.replication.faulty_replica import SEEDS, FaultyReplica, append, caught_up, chains, ledgers
from tests.ledger.replication.memory_replica import MemoryReplica


@given(SEEDS)
@settings(max_examples=8)
def test_every_line_arrives_once_whatever_is_refused_or_not_acknowledged(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = Random(seed)
    store = DirectoryStore(tmp_path_factory.mktemp("d"), durability="none")
    replica = FaultyReplica(rng)
    replication = Replication(store, replica)
    for _ in range(rng.randrange(1, 12)):
        append(store, rng.choice("uvw"), rng.randrange(1, 4))
        replication.catch_up()
        if rng.random() < 0.2:
            replication.close()
            replication = Replication(store, replica)
        if rng.random() < 0.2:
            replication.close()
            cursor_path(store.path).unlink(missing_ok=True)
    replication.close()
    replica.faulty = False
    caught_up(store, replica)
    assert chains(replica) == ledgers(store)
    assert set(Counter(line.raw for line in replica.stored).values()) == {1}


def test_an_engine_that_is_away_costs_an_append_nothing_and_the_backlog_is_reported(tmp_path: Path) -> None:
    store, replica = DirectoryStore(tmp_path), MemoryReplica()
    append(store, "w")
    assert backlog(store).replica is None
    caught_up(store, replica)

    class Away(MemoryReplica):
        def publish(self, runs: Sequence[ChainSegment]) -> list[ChainHead | CostledgerError]:
            return [ReplicaUnavailable("memory", "the cable is out")] * len(runs)

    append(store, "w", 3)
    append(store, "v")
    away = Replication(store, Away())
    assert str(away.catch_up().away) == "replica memory: the cable is out"
    away.close()
    found = backlog(store)
    assert found.replica is not None
    assert found.replica.problem == "the cable is out"
    assert (found.ledgers, found.ledgers_behind, found.events_behind) == (2, 2, 5)
    assert found.bytes_behind == sum(map(len, ledgers(store).values())) - sum(map(len, chains(replica).values()))
    assert found.oldest is not None
    caught_up(store, replica)
    found = backlog(store)
    assert (found.events_behind, found.bytes_behind, found.lag_seconds, found.replica and found.replica.problem) == (
        0,
        0,
        0.0,
        None,
    )


def test_a_damaged_ledger_and_one_that_parted_wait_and_the_others_go_on(tmp_path: Path) -> None:
    store, replica = DirectoryStore(tmp_path), MemoryReplica()
    for name in ("damaged", "parted", "whole"):
        append(store, name, 3)
    caught_up(store, replica)
    append(store, "damaged", 3)
    path = store.ledger_path("damaged")
    path.write_bytes(path.read_bytes()[:-40] + b"x" + path.read_bytes()[-39:])
    store.ledger_path("parted").unlink()
    append(store, "parted", 9)
    append(store, "whole")
    sent, _ = caught_up(store, replica)
    assert sent.ledgers == {"whole"}
    kinds = {problem.workflow_id: type(problem.error) for problem in sent.problems}
    assert kinds == {"damaged": DamagedLedger, "parted": Diverged}
    assert {problem.workflow_id for problem in caught_up(store, replica, repaired=True)[0].problems} == set(kinds)


def test_a_cut_ledger_is_reported_and_not_sent(tmp_path: Path) -> None:
    store, replica = DirectoryStore(tmp_path), MemoryReplica()
    append(store, "w", 5)
    caught_up(store, replica)
    path = store.ledger_path("w")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    (problem,) = caught_up(store, replica)[0].problems
    assert "this ledger ends before it" in str(problem.error)
    (problem,) = disagreements(store, replica, Agreement())
    assert isinstance(problem.error, Diverged)


def test_a_ledger_that_another_origin_opened_is_not_sent(tmp_path: Path) -> None:
    here, there, replica = DirectoryStore(tmp_path / "a"), DirectoryStore(tmp_path / "b"), MemoryReplica()
    append(here, "w")
    append(there, "v")
    (tmp_path / "a" / "ledgers" / "v.jsonl").write_bytes(there.ledger_path("v").read_bytes())
    sent, _ = caught_up(here, replica)
    assert sent.ledgers == {"w"}
    assert "opened by another origin" in str(sent.problems[0].error)


def test_a_copied_data_directory_is_refused_until_it_has_an_origin_of_its_own(tmp_path: Path) -> None:
    store, replica = DirectoryStore(tmp_path / "a"), MemoryReplica()
    append(store, "w", 3)
    caught_up(store, replica)
    (tmp_path / "b").mkdir()
    for name in ("origin", "ledgers"):
        (tmp_path / "a" / name).rename(tmp_path / "b" / name)
    (tmp_path / "b" / "origin").write_bytes((tmp_path / "b" / "origin").read_bytes())
    copied = tmp_path / "b" / "origin"
    copied.rename(tmp_path / "b" / "origin.old")
    copied.write_bytes((tmp_path / "b" / "origin.old").read_bytes())
    moved = DirectoryStore(tmp_path / "b")
    with pytest.raises(MisplacedOrigin):
        Replication(moved, replica).catch_up()
    renew(moved)
    append(moved, "w")
    caught_up(moved, replica)
    assert {line.origin for line in replica.stored} == {moved.origin, replica.stored[0].origin}
    assert len({line.origin for line in replica.stored}) == 2


def test_an_origin_renewed_under_a_running_replication_makes_new_chains(tmp_path: Path) -> None:
    store, replica = DirectoryStore(tmp_path), MemoryReplica()
    append(store, "w", 2)
    replication = Replication(store, replica)
    replication.catch_up()
    renew(store)
    assert replication.catch_up().problems == []
    replication.close()
    assert {line.origin: line.workflow_id for line in replica.stored}[store.origin] == "w"
    assert len({line.origin for line in replica.stored}) == 2


def test_a_recreated_stream_gets_everything_again(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    append(store, "w", 4)
    caught_up(store, MemoryReplica("first"))
    second = MemoryReplica("second")
    assert caught_up(store, second)[0].lines == 5
    assert chains(second) == ledgers(store)


def test_following_sends_what_is_appended_until_it_is_stopped(tmp_path: Path) -> None:
    store, replica, stop = DirectoryStore(tmp_path), MemoryReplica(), threading.Event()
    passes: list[Sent] = []
    replication = Replication(store, replica)
    following = threading.Thread(target=replication.follow, args=(stop,), kwargs={"report": passes.append})
    following.start()
    for n in range(5):
        append(store, f"w{n}")
        deadline = time.monotonic() + 10
        while len(replica.stored) < 2 * (n + 1) and time.monotonic() < deadline:
            time.sleep(0.005)
    stop.set()
    following.join(10)
    assert not following.is_alive()
    assert sum(sent.lines for sent in passes) == 10
    assert chains(replica) == ledgers(store)
