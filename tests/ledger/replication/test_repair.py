"""Repair: what an engine lost is found and sent again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings

from ledger.errors import CostledgerError
from ledger.replication.comparison import Agreement, disagreements
from ledger.replication.repair import repair, unsent
from ledger.replication.replica import ChainHead, ChainSegment
from ledger.replication.sender import Replication
from ledger.storage.directory_store import DirectoryStore
from tests.ledger.replication.faulty_replica import SEEDS, FaultyReplica, append, caught_up, chains, ledgers
from tests.ledger.replication.memory_replica import MemoryReplica


@given(SEEDS)
@settings(max_examples=8)
def test_lines_that_the_engine_lost_anywhere_are_found_and_sent_again(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = Random(seed)
    store = DirectoryStore(tmp_path_factory.mktemp("d"), durability="none")
    replica = FaultyReplica(rng)
    replica.faulty = False
    for _ in range(3):
        for name in "uvw":
            append(store, name, rng.randrange(1, 6))
        caught_up(store, replica)
        lost = replica.lose(rng.choice([0.05, 0.3, 0.9]))
        append(store, rng.choice("uvw"))
        if rng.random() < 0.3:
            caught_up(store, replica)  # a replication that goes on without noticing
        _, found = caught_up(store, replica, repaired=True)
        assert found.problems == []
        assert not found.losses or lost
        assert chains(replica) == ledgers(store)
        agreement = Agreement()
        assert list(disagreements(store, replica, agreement)) == []
        assert (agreement.ledgers, agreement.waiting) == (3, 0)


def test_a_repair_says_what_was_lost_and_the_second_finds_nothing(tmp_path: Path) -> None:
    store, replica = DirectoryStore(tmp_path), MemoryReplica()
    append(store, "w", 9)
    append(store, "v", 2)
    caught_up(store, replica)
    replica.stored = [line for line in replica.stored if line.workflow_id != "w" or line.head.seq not in (4, 5, 10)]
    (problem,) = disagreements(store, replica, Agreement())
    assert "from seq 4 on, of 10" in str(problem.error)
    sent, found = caught_up(store, replica, repaired=True)
    (loss,) = found.losses
    assert (loss.workflow_id, loss.seq, loss.lines, found.ledgers) == ("w", 4, 3, 2)
    assert chains(replica) == ledgers(store)
    assert (sent.lines, found.lines) == (0, 7), "one run held all that was missing"
    assert caught_up(store, replica, repaired=True)[1].losses == []


def test_a_repair_sends_a_chain_again_that_ends_with_a_foreign_message(tmp_path: Path) -> None:
    store, replica = DirectoryStore(tmp_path), MemoryReplica()
    append(store, "w", 9)
    caught_up(store, replica)
    replica.repeat(ChainSegment(replica.head("w", store.origin), [b"no ledger line" * 9]))
    sent, found = caught_up(store, replica, repaired=True)
    assert (found.losses, found.foreign, sent.lines) == ([], ["w"], 10)
    sent, found = caught_up(store, replica, repaired=True)
    assert (found.losses, found.foreign, sent.lines) == ([], [], 0)


def test_a_repair_whose_lines_are_refused_says_which_ledgers_still_lack_some(tmp_path: Path) -> None:
    class Refusing(MemoryReplica):
        full = False

        def publish(self, runs: Sequence[ChainSegment]) -> list[ChainHead | CostledgerError]:
            heads = [self.head(run.after.workflow_id, run.after.origin) for run in runs]
            return list(heads) if self.full else super().publish(runs)

    store, replica = DirectoryStore(tmp_path), Refusing()
    append(store, "w", 9)
    replication = Replication(store, replica)
    replication.catch_up()
    del replica.stored[6:]
    found = repair(store, replica, replication)
    replica.full = True
    replication.catch_up()
    assert unsent(found, replication) == ["w"]
    replica.full = False
    replication.catch_up()
    assert unsent(found, replication) == []
    replication.close()


def test_a_long_ledger_is_sent_and_repaired_in_several_runs(tmp_path: Path) -> None:
    store, replica = DirectoryStore(tmp_path, durability="none"), MemoryReplica()
    append(store, "w", 5500)
    sent, _ = caught_up(store, replica)
    assert sent.lines == 5501
    replica.stored = [line for line in replica.stored if line.head.seq != 2]
    sent, found = caught_up(store, replica, repaired=True)
    assert (found.losses[0].lines, sent.lines) == (1, 4500)
    assert chains(replica) == ledgers(store)
