"""What every `Replica` promises, run over each adapter: in memory, and a real NATS server."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import nats
import pytest

from ledger.errors import (
    InvalidReplica,
    InvalidWorkflowId,
    MissingExtra,
    ReplicaDiffers,
    ReplicaRefused,
    ReplicaUnavailable,
)
from ledger.events.event import cost_observed
from ledger.replication.nats.replica import NatsReplica
from ledger.replication.nats.stream import STREAM
from ledger.replication.open import open_replica
from ledger.replication.replica import (
    PARTITIONS,
    ChainHead,
    ChainSegment,
    Replica,
    ReplicatedLine,
    last_positions,
    partition_of,
)
from ledger.replication.subjects import subject_of
from ledger.storage.memory_store import MemoryStore
from tests.ledger.replication.memory_replica import MemoryReplica
from tests.nats_server import Cluster, running

NAMES = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("nats")) as cluster:
        yield cluster


@pytest.fixture(params=["memory", "nats"])
def replica(request: pytest.FixtureRequest) -> Iterator[Replica]:
    if request.param == "memory":
        yield MemoryReplica()
        return
    made = NatsReplica(request.getfixturevalue("server").name, copies=1)
    assert made.identity, "it makes the stream"
    yield made
    made.close()


@pytest.fixture
def name() -> str:
    """A workflow id that no other test uses."""
    return f"w.{next(NAMES)}-{time.time_ns():x}"


def lines_of(workflow_id: str, count: int, origin: str = "a1") -> list[bytes]:
    """A ledger of so many lines."""
    store = MemoryStore(origin=origin)
    store.open(workflow_id)
    if count > 1:
        store.append([cost_observed(workflow_id, cost_usd=n) for n in range(count - 1)])
    return b"".join(store.read(workflow_id).raw_chunks()).splitlines(keepends=True)


def start(workflow_id: str, origin: str = "a1") -> ChainHead:
    return ChainHead(workflow_id, origin, 0, "")


def test_a_line_is_found_by_its_position(replica: Replica, name: str) -> None:
    assert replica.identity
    lines = lines_of(name, 3)
    replica.publish([ChainSegment(start(name), lines)])
    stored = list(replica.chain(name, "a1"))
    assert [replica.line_at(line.position)[0] for line in stored] == lines
    last = stored[-1].position
    assert replica.line_at(last) == (lines[-1], last)
    assert replica.line_at(last + 7) == (None, last)


def test_a_server_whose_store_was_put_back_from_a_copy_keeps_its_identity_and_ends_earlier(tmp_path: Path) -> None:
    with running(tmp_path / "nats") as cluster, closing(NatsReplica(cluster.name, copies=1)) as replica:
        identity, lines = replica.identity, lines_of("w", 9)
        replica.publish([ChainSegment(start("w"), lines[:4])])
        cluster.stop()
        store = cluster.servers[0].folder / "store"
        shutil.copytree(store, tmp_path / "copy")
        cluster.start()
        with closing(NatsReplica(cluster.name)) as before:
            before.publish([ChainSegment(before.head("w", "a1"), lines[4:])])
            assert before.line_at(9) == (lines[8], 9)
        cluster.stop()
        cluster.servers[0].wipe()
        shutil.copytree(tmp_path / "copy", store)
        cluster.start()
        with closing(NatsReplica(cluster.name)) as after:
            assert after.identity == identity
            assert after.line_at(9) == (None, 4)


def stored(replica: Replica, workflow_id: str, origin: str = "a1") -> list[bytes]:
    return [line.raw for line in replica.chain(workflow_id, origin)]


def test_a_chain_comes_back_as_it_went_in(replica: Replica, name: str) -> None:
    assert replica.identity == replica.identity
    lines = lines_of(name, 25)
    first = ChainSegment(start(name), lines[:10])
    assert replica.head(name, "a1") == start(name)
    assert stored(replica, name) == []
    assert replica.publish([first]) == [first.last]
    assert replica.publish([ChainSegment(first.last, lines[10:])]) == [ChainSegment(start(name), lines).last]
    assert stored(replica, name) == lines
    assert replica.head(name, "a1").seq == 25
    positions = [line.position for line in replica.chain(name, "a1")]
    assert positions == sorted(set(positions))


def test_what_does_not_extend_the_chain_is_not_taken_and_the_head_is_returned(replica: Replica, name: str) -> None:
    lines = lines_of(name, 9)
    whole = ChainSegment(start(name), lines[:6])
    assert replica.publish([whole]) == [whole.last]
    assert replica.publish([whole]) == [whole.last], "published twice: the chain has its end already"
    assert replica.publish([ChainSegment(start(name), lines)]) == [whole.last]
    ahead = ChainSegment(start(name), lines[:8]).last
    assert replica.publish([ChainSegment(ahead, lines[8:])]) == [whole.last]
    other = ChainSegment(start(name), lines_of(name, 3))
    assert replica.publish([other]) == [whole.last]
    assert stored(replica, name) == lines[:6]


def test_each_run_of_many_is_judged_alone(replica: Replica, name: str) -> None:
    ledgers = [lines_of(f"{name}.{n}", n + 1) for n in range(30)]
    taken = ChainSegment(start(f"{name}.7"), ledgers[7])
    assert replica.publish([taken]) == [taken.last]
    runs = [ChainSegment(start(f"{name}.{n}"), ledger) for n, ledger in enumerate(ledgers)]
    runs.append(ChainSegment(start("..", "a1"), ledgers[0]))
    *answers, refused = replica.publish(runs)
    assert answers == [run.last for run in runs[:-1]]
    assert isinstance(refused, InvalidWorkflowId)
    for n, ledger in enumerate(ledgers):
        assert stored(replica, f"{name}.{n}") == ledger


def test_origins_of_one_workflow_are_different_chains(replica: Replica, name: str) -> None:
    for origin in ("a1", "b2"):
        run = ChainSegment(start(name, origin), lines_of(name, 4, origin))
        assert replica.publish([run]) == [run.last]
    assert stored(replica, name, "a1") != stored(replica, name, "b2")
    found = {(head.workflow_id, head.origin): (head, count) for head, count in replica.heads("b2")}
    assert found[name, "b2"] == (replica.head(name, "b2"), 4)
    assert (name, "a1") not in found
    assert {(name, "a1"), (name, "b2")} <= {(head.workflow_id, head.origin) for head, _ in replica.heads()}


def test_lines_repeated_behind_the_chain_move_its_head(replica: Replica, name: str) -> None:
    lines = lines_of(name, 8)
    replica.publish([ChainSegment(start(name), lines)])
    replica.repeat(ChainSegment(ChainSegment(start(name), lines[:3]).last, lines[3:6]))
    assert stored(replica, name) == [*lines, *lines[3:6]]
    assert replica.head(name, "a1").seq == 6
    assert replica.publish([ChainSegment(ChainSegment(start(name), lines[:6]).last, lines[6:])]) == [
        ChainSegment(start(name), lines).last
    ]
    (count,) = [count for head, count in replica.heads("a1") if head.workflow_id == name]
    assert count == 13


def test_partitions_are_read_from_where_they_were_left(replica: Replica, name: str) -> None:
    ledgers = {f"{name}.{n}": lines_of(f"{name}.{n}", 40) for n in range(12)}
    parts = {partition_of(workflow_id) for workflow_id in ledgers}
    positions = dict.fromkeys(parts, 0)
    while before := replica.read(positions, lines_max=1000, wait_seconds=0.3):
        positions = last_positions(before, positions)
    replica.publish([ChainSegment(start(workflow_id), ledger) for workflow_id, ledger in ledgers.items()])
    read: list[ReplicatedLine] = []
    for round in range(1000):
        lines = replica.read(positions, lines_max=37, wait_seconds=1)
        if round % 5 == 3:  # a transaction that failed: the same lines come again, as many as have arrived
            again = replica.read(positions, lines_max=37, wait_seconds=1)
            both = min(len(again), len(lines))
            assert both > 0
            assert again[:both] == lines[:both]
        read += lines
        positions = last_positions(lines, positions)
        if sum(line.workflow_id in ledgers for line in read) >= 12 * 40:
            break
    for workflow_id, ledger in ledgers.items():
        assert [line.raw for line in read if line.workflow_id == workflow_id] == ledger
    assert [line.position for line in read] == sorted(line.position for line in read)
    assert replica.read(positions, lines_max=10, wait_seconds=0.1) == []


def test_the_ends_are_where_the_last_line_of_each_partition_lies(replica: Replica, name: str) -> None:
    ledgers = {f"{name}.{n}": lines_of(f"{name}.{n}", 3) for n in range(5)}
    before = replica.ends()
    assert sorted(before) == list(range(PARTITIONS))
    replica.publish([ChainSegment(start(workflow_id), ledger) for workflow_id, ledger in ledgers.items()])
    stored = sorted(
        (line.position, partition_of(workflow_id))
        for workflow_id in ledgers
        for line in replica.chain(workflow_id, "a1")
    )
    assert replica.ends() == before | {number: position for position, number in stored}


def test_a_reader_gets_no_other_partition_and_each_from_its_own_position(replica: Replica, name: str) -> None:
    chosen = next(f"{name}.{n}" for n in range(1000) if partition_of(f"{name}.{n}") == 5)
    other = next(f"{name}.{n}" for n in range(1000) if partition_of(f"{name}.{n}") == 6)
    runs = [ChainSegment(start(workflow_id), lines_of(workflow_id, 5)) for workflow_id in (chosen, other)]
    assert replica.publish(runs) == [run.last for run in runs]
    inside = list(replica.chain(chosen, "a1"))
    after = {5: inside[2].position, 6: 10**9}
    assert replica.read(after, lines_max=100, wait_seconds=1) == inside[3:]


def test_a_reader_finds_lines_behind_many_that_it_has_had(replica: Replica, name: str) -> None:
    had = next(f"{name}.{n}" for n in range(1000) if partition_of(f"{name}.{n}") == 7)
    new = next(f"{name}.{n}" for n in range(1000) if partition_of(f"{name}.{n}") == 8)
    replica.publish([ChainSegment(start(had), lines_of(had, 60))])
    first, *_, last = replica.chain(had, "a1")
    run = ChainSegment(start(new), lines_of(new, 1))
    replica.publish([run])
    found = replica.read({7: last.position, 8: first.position - 1}, lines_max=7, wait_seconds=1)
    assert [line.raw for line in found] == run.lines
    assert replica.read({}, lines_max=7, wait_seconds=0.01) == []


def test_a_waiting_reader_is_woken_by_a_line(replica: Replica, name: str) -> None:
    positions = dict.fromkeys(range(PARTITIONS), 0)
    while lines := replica.read(positions, lines_max=5000, wait_seconds=0.3):
        positions = last_positions(lines, positions)
    run = ChainSegment(start(name), lines_of(name, 1))
    late = threading.Timer(0.3, lambda: replica.publish([run]))
    late.start()
    began = time.monotonic()
    (line,) = replica.read(positions, lines_max=10, wait_seconds=20)
    assert line.raw == run.lines[0]
    assert time.monotonic() - began < 10
    late.join()


def test_a_stream_that_is_set_up_otherwise_is_refused_with_the_difference(server: Cluster) -> None:
    made = {**STREAM, "name": "other", "subjects": ["other.>"], "discard": "old", "max_age": 10**12}
    first = NatsReplica(server.name, copies=1, config=made)
    assert first.identity.startswith("other made ")
    first.close()
    second = NatsReplica(server.name, copies=1, config={**made, "discard": "new", "max_age": 0})
    with pytest.raises(ReplicaDiffers) as caught:
        second.identity  # noqa: B018
    second.close()
    assert caught.value.differences == (
        'stream \'other\' has discard "old", and needs "new"',
        "stream 'other' has max_age 1000000000000, and needs 0",
    )


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path / "limited") as cluster:
        yield cluster


def test_a_full_stream_takes_no_more_and_loses_nothing(limited: Cluster, name: str) -> None:
    with closing(NatsReplica(limited.name, copies=1, config={**STREAM, "max_bytes": 100_000})) as full:
        lines = lines_of(name, 400)
        first = ChainSegment(start(name), lines[:100])
        assert full.identity
        assert full.publish([first]) == [first.last]
        (answer,) = full.publish([ChainSegment(first.last, lines[100:])])
        assert isinstance(answer, ReplicaUnavailable)
        assert "maximum bytes" in str(answer)
        assert full.head(name, "a1") == first.last


def test_many_questions_at_once_make_one_connection(limited: Cluster) -> None:
    with closing(NatsReplica(limited.name, copies=1)) as maker:
        assert maker.identity
    with closing(NatsReplica(limited.name)) as replica:
        assert set(replica.ends().values()) == {0}
        assert limited.servers[0].asked("connz")["num_connections"] == 1


def test_messages_that_are_no_lines_of_a_ledger_are_passed_over(limited: Cluster, name: str) -> None:
    async def say(*subjects: str) -> None:
        async with await nats.connect(limited.name) as client:
            for subject in subjects:
                await client.jetstream().publish(subject, b"hello")

    with closing(NatsReplica(limited.name, copies=1)) as replica:
        assert replica.identity
        run = ChainSegment(start(name), lines_of(name, 3))
        asyncio.run(say("costledger.99.w.a1", subject_of(f"{name}.garbage", "a1")))
        assert replica.publish([run]) == [run.last]
        ends = replica.ends()
        asyncio.run(say(f"costledger.{partition_of(name):02}.w.no+origin"))
        assert replica.ends() == ends
        assert [line.raw for line in replica.lines("a1")] == [b"hello", *run.lines]
        assert dict(replica.heads("a1")) == {run.last: 3, start(f"{name}.garbage"): 1}
        garbage = ChainSegment(start(f"{name}.garbage"), lines_of(f"{name}.garbage", 2))
        assert replica.publish([garbage]) == [garbage.last], "a chain begins behind what is no line"


def test_a_line_that_is_too_long_for_the_stream_is_refused_and_others_are_taken(limited: Cluster, name: str) -> None:
    with closing(NatsReplica(limited.name, copies=1, config={**STREAM, "max_msg_size": 1000})) as small:
        assert small.identity
        fits, long = (
            ChainSegment(start(f"{name}.a"), lines_of(f"{name}.a", 3)),
            ChainSegment(start(name), [b"x" * 2000 + b"\n"]),
        )
        taken, refused = small.publish([fits, long])
        assert taken == fits.last
        assert isinstance(refused, ReplicaRefused)


def test_an_engine_that_is_away_is_unavailable_and_nothing_else(name: str) -> None:
    replica = NatsReplica("nats://joe:secret@127.0.0.1:1", copies=1, timeout_seconds=0.5)
    with pytest.raises(ReplicaUnavailable) as caught:
        replica.identity  # noqa: B018
    assert "secret" not in str(caught.value)
    (answer,) = replica.publish([ChainSegment(start(name), lines_of(name, 1))])
    assert isinstance(answer, ReplicaUnavailable)
    replica.close()
    replica.close()
    with pytest.raises(ReplicaUnavailable, match="closed"):
        replica.head(name, "a1")


def test_a_missing_stream_is_not_made_by_a_reader(server: Cluster) -> None:
    replica = NatsReplica(server.name, config={**STREAM, "name": "none"})
    with pytest.raises(ReplicaUnavailable, match="`costledger replicate` makes it"):
        replica.identity  # noqa: B018
    replica.close()


@pytest.mark.parametrize("bad", ["", "http://x", "nats://", "nats://h:port", "nats://u:p@"])
def test_a_name_of_no_replica_is_bad_input(bad: str) -> None:
    with pytest.raises(InvalidReplica) as caught:
        NatsReplica(bad)
    assert "u:p" not in str(caught.value)


def test_credentials_are_read_and_without_their_package_the_extra_is_named(
    tmp_path: Path, server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "host.creds"
    credentials.write_text(
        "-----BEGIN NATS USER JWT-----\nnot.a.jwt\n------END NATS USER JWT------\n\n"
        "-----BEGIN USER NKEY SEED-----\n"
        "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU\n"
        "------END USER NKEY SEED------\n"
    )
    with closing(open_replica(server.name, copies=1, credentials=str(credentials))) as replica:
        assert replica.identity, "a server that asks for none takes them"
    monkeypatch.setitem(sys.modules, "nkeys", None)
    with pytest.raises(MissingExtra, match=r"needs an optional package: .*\[nats\]"):
        open_replica(server.name, credentials=str(credentials))


@pytest.mark.parametrize("password", ["pa@word", "pa#word", "pa,word", "pa/word", "pa?word", "12,word", "pa:word"])
def test_a_password_that_is_not_encoded_is_refused_and_no_part_of_it_is_shown(password: str) -> None:
    with pytest.raises(InvalidReplica) as caught:
        NatsReplica(f"nats://joe:{password}@nats1:4222")
    shown = str(caught.value)
    assert not any(piece in shown for piece in ("pa@", "pa#", "pa,", "pa/", "pa?", "pa:", "12", "word@", "joe"))
    assert "@nats1:4222" in shown
    assert "@ as %40" in shown


def test_an_encoded_password_is_sent_to_the_server_decoded(tmp_path: Path) -> None:
    with running(tmp_path / "nats") as cluster:
        one = cluster.servers[0]
        cluster.stop()
        with one.config.open("a") as config:
            config.write('authorization { user: joe, password: "p@s,#/w" }\n')
        cluster.start()
        name = cluster.name.replace("nats://", "nats://joe:p%40s%2C%23%2Fw@")
        with closing(NatsReplica(name, copies=1)) as replica:
            assert replica.identity
            assert replica.address == cluster.name
