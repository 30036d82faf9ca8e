"""A replica that refuses and loses, and the ledgers of a host that replicates to it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import strategies as st

from ledger.errors import CostledgerError, ReplicaUnavailable
from ledger.events.event import cost_observed
from ledger.replication.chain import Chain
from ledger.replication.repair import Repair, repair
from ledger.replication.replica import ChainHead, ChainSegment
from ledger.replication.sender import Replication, Sent
from ledger.storage.directory_store import DirectoryStore
from tests.ledger.replication.memory_replica import MemoryReplica

SEEDS = st.integers(0, 2**32)


class FaultyReplica(MemoryReplica):
    """Refuses runs, loses acknowledgements, and loses lines, by a seeded die."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self.rng, self.faulty = rng, True

    def publish(self, runs: Sequence[ChainSegment]) -> list[ChainHead | CostledgerError]:
        answers: list[ChainHead | CostledgerError] = []
        for run in runs:
            fault = self.rng.choice(["none", "refused", "acknowledgement lost"]) if self.faulty else "none"
            answer: ChainHead | CostledgerError = ReplicaUnavailable("memory", fault)
            if fault != "refused":
                (stored,) = super().publish([run])
                answer = stored if fault == "none" else answer
            answers.append(answer)
        return answers

    def lose(self, share: float) -> int:
        """Forget lines anywhere."""
        remaining = [line for line in self.stored if self.rng.random() >= share]
        lost = len(self.stored) - len(remaining)
        self.stored = remaining
        return lost


def append(store: DirectoryStore, workflow_id: str, count: int = 1) -> None:
    store.append([cost_observed(workflow_id, cost_usd=n) for n in range(count)])


def chains(replica: MemoryReplica) -> dict[str, bytes]:
    """What a reader of the stream ends up with, by workflow."""
    taken: dict[str, tuple[Chain, list[bytes]]] = {}
    for line in replica.stored:
        chain, lines = taken.setdefault(line.workflow_id, (Chain(line.workflow_id, line.origin), []))
        if chain.take(line.raw) == "next":
            lines.append(line.raw)
    return {workflow_id: b"".join(lines) for workflow_id, (_, lines) in taken.items()}


def ledgers(store: DirectoryStore) -> dict[str, bytes]:
    return {name: store.ledger_path(name).read_bytes() for name in store.workflow_ids()}


def caught_up(store: DirectoryStore, replica: MemoryReplica, *, repaired: bool = False) -> tuple[Sent, Repair]:
    replication = Replication(store, replica)
    found = repair(store, replica, replication) if repaired else Repair()
    sent = replication.catch_up()
    replication.close()
    return sent, found
