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
from hypothesis import strategies as st

from ledger.errors import CostledgerError, DamagedLedger, Diverged, InvalidInput, MisplacedOrigin, ReplicaUnavailable
from ledger.events.event import cost_observed
from ledger.maintenance.origin_renewal import renew
from ledger.replication.chain import Chain
from ledger.replication.comparison import Agreement, disagreements
from ledger.replication.cursor import cursor_path
from ledger.replication.lag import backlog
from ledger.replication.repair import Repair, repair, unsent
from ledger.replication.replica import ChainHead, ChainSegment
from ledger.replication.restore import restore
from ledger.replication.sender import Replication, Sent
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.origin import keep_origin
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


def test_a_lost_host_is_restored_byte_for_byte_and_goes_on(tmp_path: Path) -> None:
    store, replica = DirectoryStore(tmp_path / "lost"), MemoryReplica()
    for name in ("w", "v.1", "--skip-e2e"):
        append(store, name, 40)
    caught_up(store, replica)
    first = store.ledger_path("w").read_bytes().split(b"\n")[:3]
    replica.repeat(ChainSegment(ChainHead("w", store.origin, 0, ""), [line + b"\n" for line in first]))
    done = restore(replica, tmp_path / "new")
    new = DirectoryStore(tmp_path / "new")
    assert ledgers(new) == ledgers(store)
    assert (done.origin, done.ledgers, done.events, done.problems) == (store.origin, 3, 123, [])
    assert new.origin == store.origin
    assert caught_up(new, replica)[0].lines == 38, "the chain of w ends with what was repeated, and is completed"
    append(new, "w")
    assert caught_up(new, replica)[0].lines == 1
    with pytest.raises(InvalidInput, match="has ledgers already"):
        restore(replica, tmp_path / "new")


def test_a_restore_names_the_origins_and_what_it_could_not_restore(tmp_path: Path) -> None:
    one, two, replica = DirectoryStore(tmp_path / "1"), DirectoryStore(tmp_path / "2"), MemoryReplica()
    with pytest.raises(InvalidInput, match="has no ledgers"):
        restore(replica, tmp_path / "new")
    append(one, "w", 5)
    append(two, "v", 1)
    caught_up(one, replica)
    caught_up(two, replica)
    with pytest.raises(InvalidInput, match=f"{two.origin} \\(1 ledger\\)"):
        restore(replica, tmp_path / "new")
    for mistyped in ("", one.origin[:-1], "../*", "*"):
        with pytest.raises(InvalidInput, match=f"no ledgers of origin .*it has: .*{one.origin} \\(1 ledger\\)"):
            restore(replica, tmp_path / "new", origin=mistyped)
    assert not (tmp_path / "new").exists(), "nothing was written"
    replica.stored = [line for line in replica.stored if line.head.seq != 3]
    done = restore(replica, tmp_path / "new", origin=one.origin)
    (problem,) = done.problems
    assert isinstance(problem.error, DamagedLedger)
    assert problem.error.line == 3
    new = DirectoryStore(tmp_path / "new")
    assert ledgers(one)["w"].startswith(ledgers(new)["w"])
    keep_origin(new.path)
