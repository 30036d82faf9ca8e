"""Projectors: many hosts' ledgers in a replica become the rows that a local replay of all of them gives."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import HistoryUnavailable, SharedHistory
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.replication.replica import PARTITIONS, ChainHead, ChainSegment, ReplicatedLine
from ledger.storage.line import chain_hash, following
from ledger.storage.memory_store import MemoryStore
from projections.folding.row import Row
from projections.history.postgres.history import open_postgres
from projections.projector.postgres_session import PostgresShared, projection_of
from projections.projector.postgres_version import PostgresVersion
from projections.projector.projector import PartitionsMoved, Projector, ReplicaWentBack
from projections.projector.run import ReplicaFallsShort, project_again, project_on
from projections.replay.rebuild import rebuild
from projections.replay.refresh import project, refresh, resync
from tests.conftest import SteppingClock
from tests.faults.forging import forged_after
from tests.ledger.replication.memory_replica import MemoryReplica
from tests.postgres_server import PostgresServer
from tests.projections.projector.pure_replay import merged


class Hosts:
    """Hosts with ledgers of their own, and a replica that takes their lines."""

    def __init__(self, origins: int = 3, replica: MemoryReplica | None = None) -> None:
        self.replica = replica or MemoryReplica()
        start = datetime(2026, 11, 23, 18, tzinfo=UTC)
        self.stores = [
            MemoryStore(clock=SteppingClock(start + timedelta(milliseconds=300 * number)), origin=f"origin-{number}")
            for number in range(origins)
        ]
        self._sent: dict[tuple[int, str], int] = defaultdict(int)

    def lines(self, host: int, workflow_id: str) -> list[bytes]:
        return b"".join(self.stores[host].read(workflow_id).raw_chunks()).splitlines(keepends=True)

    def send(self, host: int, workflow_id: str, count: int | None = None) -> None:
        """Replicate lines of one ledger, all of them or the next so many."""
        lines, sent = self.lines(host, workflow_id), self._sent[host, workflow_id]
        fresh = lines[sent : None if count is None else sent + count]
        if fresh:
            digits = lines[sent - 1][-67:-3].decode() if sent else ""
            after = ChainHead(workflow_id, self.stores[host].origin, sent, digits)
            self.replica.publish([ChainSegment(after, fresh)])
            self._sent[host, workflow_id] += len(fresh)

    def send_all(self) -> None:
        for host, store in enumerate(self.stores):
            for workflow_id in store.workflow_ids():
                self.send(host, workflow_id)

    def rows(self) -> list[Row]:
        """By local replay of all origins' ledgers."""
        names = sorted({name for store in self.stores for name in store.workflow_ids()})
        return [self.row(name) for name in names]

    def row(self, workflow_id: str) -> Row:
        hosts = [host for host, store in enumerate(self.stores) if store.size(workflow_id) is not None]
        chains = {self.stores[host].origin: self.lines(host, workflow_id) for host in hosts}
        return merged(workflow_id, chains).row


def rows_at(url: str) -> list[Row]:
    with open_postgres(url) as history:
        return history.rows()


def mine(name: str, url: str) -> list[Row]:
    return [row for row in rows_at(url) if row.adw_id.startswith(name)]


def lively(hosts: Hosts, workflows: int, rounds: int, seed: int = 7, name: str = "w") -> None:
    """Events of many workflows, some on several hosts, some recorded on two of them."""
    dice = random.Random(seed)
    for number in range(rounds):
        workflow_id = f"{name}{dice.randrange(workflows)}"
        reading = cost_observed(
            workflow_id, agent=f"a{number % 3}", session_id=f"s{number % 5}", cost_usd=number, id=f"e{number}"
        )
        for host in dice.sample(range(len(hosts.stores)), min(len(hosts.stores), dice.choice((1, 1, 2)))):
            hosts.stores[host].append([reading])
    for number in range(0, workflows, 3):
        hosts.stores[0].append(
            [workflow_started(f"{name}{number}", issue_number=number), workflow_ended(f"{name}{number}", "failed")]
        )


@contextmanager
def projector(hosts: Hosts, url: str, **options: Any) -> Iterator[Projector]:
    shared = PostgresShared(url, hosts.replica.identity)
    try:
        yield Projector(hosts.replica, shared, **options)
    finally:
        shared.close()


def steps(running: Projector) -> None:
    """Some seconds of its work: the session before it may not have let go of its partitions yet."""
    for _ in range(100):
        running.step(0.1)


def test_one_origin_gives_the_row_of_its_own_ledger_byte_for_byte(postgres_url: str) -> None:
    hosts = Hosts(1)
    lively(hosts, 6, 80)
    hosts.send_all()
    report = project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    assert (report.lines, report.workflows_held) == (len(hosts.replica.stored), 0)
    local = [project(hosts.stores[0], name) for name in hosts.stores[0].workflow_ids()]
    with open_postgres(postgres_url) as history:
        assert history.rows() == [one.row for one in local]
        assert {name: history.spend(name) for name in ("w0", "w5")} == {
            one.row.adw_id: one.spend for one in local if one.row.adw_id in ("w0", "w5")
        }
        assert history.checkpoints() == {one.row.adw_id: one.head for one in local}
        assert history.shared
        for mend in (refresh, resync, rebuild):
            with pytest.raises(SharedHistory, match="projectors write this history"):
                mend(hosts.stores[0], history)


REPLICAS: dict[str, MemoryReplica] = {}
"""One for all examples of a test."""


@given(data=st.data())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_that_come_in_any_order_of_origins_give_the_rows_of_all_ledgers(
    data: st.DataObject, postgres_url: str
) -> None:
    replica = REPLICAS.setdefault(postgres_url, MemoryReplica())
    hosts, name = Hosts(3, replica), f"w{len(replica.stored)}-"
    lively(hosts, 2, 12, seed=data.draw(st.integers(0, 10**6)), name=name)
    with projector(hosts, postgres_url, cache_kilobytes=data.draw(st.sampled_from([0, 10**6]))) as reader:
        for _ in range(data.draw(st.integers(0, 12))):
            host = data.draw(st.integers(0, 2))
            names = list(hosts.stores[host].workflow_ids())
            hosts.send(host, data.draw(st.sampled_from(names)), data.draw(st.integers(1, 4)))
            if data.draw(st.booleans()):
                reader.step(0)
        hosts.send_all()
        until = time.monotonic() + 20  # the session of the example before may still hold partitions
        while reader.step(0) or (mine(name, postgres_url) != hosts.rows() and time.monotonic() < until):
            pass
    assert mine(name, postgres_url) == hosts.rows()


def test_an_id_that_two_origins_say_counts_once(postgres_url: str) -> None:
    hosts = Hosts(2)
    for store in hosts.stores:
        store.append([cost_observed("w", agent="a", cost_usd="0.50", message_id="m", session_id="s", id="same")])
    hosts.stores[1].append([cost_observed("w", agent="b", cost_usd="0.25", id="other")])
    hosts.send_all()
    project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    (row,) = rows_at(postgres_url)
    assert (row.actual_cost_total, row.event_count, row.ledger_seq) == (0.75, 4, 4)
    assert row == hosts.row("w")


def test_a_gap_holds_that_workflow_and_repair_lets_it_go_on(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    hosts = Hosts(1)
    lively(hosts, 2, 40)
    hosts.send_all()
    lost = [line for line in hosts.replica.stored if line.workflow_id == "w0"]
    hosts.replica.stored.remove(lost[4])
    with projector(hosts, postgres_url) as reader:
        reader.step(0)
        assert "[w0] blocked: origin origin-0: the line at seq 5 is missing" in caplog.text
        assert "costledger replicate --repair" in caplog.text
        assert reader.workflows_held == 1
        by_name = {row.adw_id: row for row in rows_at(postgres_url)}
        assert by_name["w0"].ledger_seq == 4, "what verifies is there"
        assert by_name["w1"] == hosts.row("w1")
        repeat(hosts, "w0", 4)
        reader.step(0)
        assert reader.workflows_held == 0
    assert rows_at(postgres_url) == hosts.rows()


def test_a_chain_sent_again_in_full_lifts_the_hold_that_a_foreign_message_made(postgres_url: str) -> None:
    hosts = Hosts(1)
    lively(hosts, 1, 12)
    hosts.send_all()
    foreign = ReplicatedLine(len(hosts.replica.stored) + 1, "w0", "origin-0", b"not a ledger line at all" * 9)
    hosts.replica.repeat(ChainSegment(foreign.head, [foreign.raw]))
    with projector(hosts, postgres_url) as running:
        running.step(0)
        assert running.workflows_held == 1
        hosts.replica.repeat(ChainSegment(ChainHead("w0", "origin-0", 0, ""), hosts.lines(0, "w0")))
        running.step(0)
        assert running.workflows_held == 0
    assert projection_of(postgres_url)[1] == []
    assert rows_at(postgres_url) == hosts.rows()


def repeat(hosts: Hosts, workflow_id: str, start: int) -> None:
    """What repair does: everything from the first lost line on again."""
    lines = hosts.lines(0, workflow_id)
    after = ChainHead(workflow_id, hosts.stores[0].origin, start, lines[start - 1][-67:-3].decode())
    hosts.replica.repeat(ChainSegment(after, lines[start:]))


def test_lines_that_the_replica_lost_after_they_were_projected_take_nothing_away(postgres_url: str) -> None:
    hosts = Hosts(1)
    lively(hosts, 1, 20)
    hosts.send_all()
    project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    before = rows_at(postgres_url)
    del hosts.replica.stored[3]
    hosts.stores[0].append([cost_observed("w0", agent="z", cost_usd="99.00")])
    hosts.send_all()
    assert project_on(hosts.replica, postgres_url, once=True, wait_seconds=0).workflows_held == 1
    assert rows_at(postgres_url) == before
    _, (blocked,) = projection_of(postgres_url)
    assert (blocked.workflow_id, blocked.seq) == ("w0", before[0].ledger_seq)
    assert blocked.problem == "lines from seq 4 on are in the rows, and the replica lost some of them"
    repeat(hosts, "w0", 3)
    assert project_on(hosts.replica, postgres_url, once=True, wait_seconds=0).workflows_held == 0
    assert rows_at(postgres_url) == hosts.rows()


def test_a_line_that_does_not_verify_holds_its_workflow_only(postgres_url: str) -> None:
    hosts = Hosts(1)
    lively(hosts, 2, 20)
    hosts.send_all()
    for index, line in enumerate(hosts.replica.stored):
        if line.workflow_id == "w1" and line.head.seq == 3:
            bad = line.raw.replace(b'"cost_usd":"', b'"cost_usd":"9')
            hosts.replica.stored[index] = ReplicatedLine(line.position, "w1", line.origin, bad)
    assert project_on(hosts.replica, postgres_url, once=True, wait_seconds=0).workflows_held == 1
    w0, w1 = rows_at(postgres_url)
    assert (w0, w1.ledger_seq) == (hosts.row("w0"), 2)


def test_a_line_that_no_fold_can_take_holds_its_workflow_only(postgres_url: str) -> None:
    hosts = Hosts(1)
    lively(hosts, 2, 20)
    hosts.send_all()
    head = hosts.replica.head("w1", "origin-0")
    body = b'{"v":1,"seq":%d,"id":"x","type":"cost_observed","workflow_id":"w1","recorded_at":7,"hash":"' % (
        head.seq + 1
    )
    raw = body + chain_hash(following(head.hash), body).encode() + b'"}\n'
    hosts.replica.publish([ChainSegment(head, [raw])])
    assert project_on(hosts.replica, postgres_url, once=True, wait_seconds=0).workflows_held == 1
    assert [row.adw_id for row in rows_at(postgres_url)] == ["w0"]


def test_a_row_that_the_database_cannot_hold_holds_its_workflow_only(postgres_url: str) -> None:
    hosts = Hosts(1)
    lively(hosts, 2, 20)
    hosts.send_all()
    head = hosts.replica.head("w1", "origin-0")
    large = {"input_tokens": 2**63 - 1}
    fields = [{"type": "cost_observed", "cost_usd": "1.00", "agent": f"big-{n}", "usage": large} for n in (1, 2)]
    hosts.replica.publish([ChainSegment(head, forged_after(head.seq, head.hash, "w1", *fields))])
    project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    assert rows_at(postgres_url) == [hosts.row("w0")]
    _, (blocked,) = projection_of(postgres_url)
    assert blocked.workflow_id == "w1"
    assert "cannot be stored: input_tokens comes to 18,446,744,073,709,551,614" in str(blocked.problem)


def run(hosts: Hosts, url: str, stop: threading.Event, lines: list[int]) -> threading.Thread:
    def work() -> None:
        lines.append(project_on(hosts.replica, url, stop=stop.is_set).lines)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def wait_for(url: str, rows: list[Row]) -> None:
    for _ in range(400):
        if rows_at(url) == rows:
            return
        threading.Event().wait(0.05)
    assert rows_at(url) == rows


def test_projectors_share_the_partitions_and_take_over_those_of_a_dead_one(postgres_url: str) -> None:
    first = PostgresShared(postgres_url, "memory")
    assert len(first.claim()) == PARTITIONS
    second = PostgresShared(postgres_url, "memory")
    assert second.claim() == {}, "nothing is taken from another"
    assert len(first.claim()) == PARTITIONS // 2
    assert len(second.claim()) == PARTITIONS // 2
    assert not first.claim().keys() & second.claim().keys()
    first.close()
    for _ in range(50):
        if len(second.claim()) == PARTITIONS:
            break
        threading.Event().wait(0.05)
    assert len(second.claim()) == PARTITIONS
    second.close()


def test_a_projector_that_hangs_loses_its_partitions_and_can_store_nothing(postgres_url: str) -> None:
    hosts = Hosts(1)
    lively(hosts, 3, 20)
    hosts.send_all()
    hung = PostgresShared(postgres_url, hosts.replica.identity)
    stopped = Projector(hosts.replica, hung)
    stopped.step(0)
    lively(hosts, 3, 20, seed=8, name="later")
    hosts.send_all()
    time.sleep(0.6)
    other = PostgresShared(postgres_url, hosts.replica.identity, silent_seconds_max=0.5)
    taken = Projector(hosts.replica, other)
    try:
        until = time.monotonic() + 20
        while not other.has_read(hosts.replica.ends()) and time.monotonic() < until:
            taken.step(0.1)
        assert {one.projector for one in projection_of(postgres_url)[0]} != {None}
        assert rows_at(postgres_url) == hosts.rows()
        with pytest.raises(HistoryUnavailable):
            stopped.step(0)
        assert rows_at(postgres_url) == hosts.rows()
    finally:
        hung.close()
        other.close()


def test_many_projectors_killed_and_doubled_and_a_restarting_server_lose_and_double_nothing(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    hosts, stop, lines = Hosts(3), threading.Event(), list[int]()
    lively(hosts, 60, 300)
    threads = [run(hosts, postgres_url, stop, lines) for _ in range(3)]
    dice = random.Random(3)
    for round_ in range(6):
        for host, store in enumerate(hosts.stores):
            for name in store.workflow_ids():
                hosts.send(host, name, dice.randrange(4))
        if round_ == 1:
            with psycopg.connect(postgres_server.url(), autocommit=True) as db:
                kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'costledger'"
                db.execute(kill)
        if round_ == 3:
            postgres_server.stop("immediate")
            postgres_server.start()
        threading.Event().wait(0.1)
    hosts.send_all()
    wait_for(postgres_url, hosts.rows())
    stop.set()
    for thread in threads:
        thread.join()
    with open_postgres(postgres_url) as history:
        chains: dict[str, list[tuple[float | None, float]]] = defaultdict(list)
        for entry in history.audit():
            chains[entry.adw_id].append((entry.old_cost, entry.new_cost))
    for name, chain in chains.items():
        assert [old for old, _ in chain[1:]] == [new for _, new in chain[:-1]], name


def test_a_projector_whose_partition_moved_stores_nothing(postgres_url: str) -> None:
    hosts = Hosts(1)
    lively(hosts, 2, 20)
    hosts.send_all()
    with projector(hosts, postgres_url, lines_max=5) as reader:
        reader.step(0)
        with psycopg.connect(postgres_url, autocommit=True) as db:
            db.execute("UPDATE costledger_partition SET position = position + 1")
        before = rows_at(postgres_url)
        with pytest.raises(PartitionsMoved):
            reader.step(0)
        assert rows_at(postgres_url) == before


def test_another_replica_is_refused_and_can_be_replayed_into_new_rows(postgres_url: str) -> None:
    hosts = Hosts(2)
    lively(hosts, 5, 60)
    hosts.send_all()
    project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    hosts.replica.identity = "made again"
    with pytest.raises(HistoryUnavailable, match=r"another replica \(memory\), and this is made again"):
        project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    assert project_again(hosts.replica, postgres_url, wait_seconds=0.1).costs_changed == 0
    assert project_on(hosts.replica, postgres_url, once=True, wait_seconds=0).lines == 0


class SlowReplica(MemoryReplica):
    """Gives a few lines at a time, and now and then none although some lie there, as an engine far away does."""

    def __init__(self) -> None:
        super().__init__()
        self._dice = random.Random(5)

    def read(self, positions: Mapping[int, int], *, lines_max: int, wait_seconds: float) -> list[ReplicatedLine]:
        return super().read(positions, lines_max=min(lines_max, self._dice.randrange(8)), wait_seconds=wait_seconds)


@pytest.mark.parametrize("before", ["nothing", "a refresh", "projectors"])
@pytest.mark.parametrize("accept_lost", [False, True])
def test_a_rebuild_shows_all_that_lies_in_the_replica_however_slowly_it_comes(
    postgres_url: str, before: str, accept_lost: bool
) -> None:
    hosts = Hosts(2, SlowReplica())
    lively(hosts, 5, 60)
    hosts.send_all()
    if before == "a refresh":
        with open_postgres(postgres_url) as history:
            refresh(hosts.stores[0], history)
    elif before == "projectors":
        project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
        assert rows_at(postgres_url) == hosts.rows()
    report = project_again(hosts.replica, postgres_url, accept_lost=accept_lost, wait_seconds=0)
    assert rows_at(postgres_url) == hosts.rows()
    assert report.lines == len(hosts.replica.stored)
    assert project_on(hosts.replica, postgres_url, once=True, wait_seconds=0).lines == 0


def test_rows_that_a_refresh_made_are_not_taken_over(postgres_url: str) -> None:
    hosts = Hosts(2)
    lively(hosts, 3, 20)
    hosts.send_all()
    with open_postgres(postgres_url) as history:
        refresh(hosts.stores[0], history)
    refreshed = rows_at(postgres_url)
    with pytest.raises(HistoryUnavailable, match=r"refresh of one host's ledgers; .* project --rebuild"):
        project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    assert rows_at(postgres_url) == refreshed
    project_again(hosts.replica, postgres_url, wait_seconds=0.1)
    assert rows_at(postgres_url) == hosts.rows()
    lively(hosts, 3, 20, seed=8, name="later")
    hosts.send_all()
    project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    assert rows_at(postgres_url) == hosts.rows()


@pytest.mark.parametrize("lines_after", [0, 5, 20, 60])
def test_a_replica_that_went_back_in_time_is_refused_and_replayed_into_new_rows(
    postgres_url: str, lines_after: int
) -> None:
    hosts = Hosts(1)
    lively(hosts, 5, 60)
    hosts.send_all()
    project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    before, last = rows_at(postgres_url), len(hosts.replica.stored)
    lost = hosts.replica.stored[-20:]
    with projector(hosts, postgres_url) as running:
        running.step(0)
        hosts.replica.go_back(last - 20)
        lively(hosts, 5, lines_after, seed=8, name="later")
        hosts.send_all()
        if len(hosts.replica.stored) > last:
            with pytest.raises(ReplicaWentBack, match="has another line there"):
                steps(running)
    with pytest.raises(ReplicaWentBack, match="costledger project --rebuild"):
        project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    assert rows_at(postgres_url) == before
    for line in lost:  # what `replicate --repair` sends again
        after = hosts.replica.head(line.workflow_id, line.origin)
        hosts.replica.repeat(ChainSegment(after, [line.raw]))
    project_again(hosts.replica, postgres_url, wait_seconds=0.1)
    assert rows_at(postgres_url) == hosts.rows()
    assert project_on(hosts.replica, postgres_url, once=True, wait_seconds=0).lines == 0


def test_a_replica_that_went_back_during_a_rebuild_makes_the_next_one_start_from_scratch(postgres_url: str) -> None:
    hosts = Hosts(1)
    lively(hosts, 5, 60)
    hosts.send_all()
    first = PostgresVersion(postgres_url, "memory")
    Projector(hosts.replica, first).step(0)
    first.close()
    hosts.replica.go_back(len(hosts.replica.stored) - 20)
    with pytest.raises(ReplicaWentBack):
        project_again(hosts.replica, postgres_url, wait_seconds=0.1)
    assert project_again(hosts.replica, postgres_url, wait_seconds=0.1).lines == len(hosts.replica.stored)


def test_a_rebuild_by_several_processes_with_running_projectors_shows_the_new_rows_at_once(postgres_url: str) -> None:
    hosts, stop, lines = Hosts(3), threading.Event(), list[int]()
    lively(hosts, 60, 300)
    hosts.send_all()
    project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    right = hosts.rows()
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute("UPDATE workflow_history SET actual_cost_total = 7777, output_tokens = 3 WHERE adw_id = 'w57'")
    second = run(hosts, postgres_url, stop, lines)
    rebuilt: list[int] = []

    def again() -> None:
        rebuilt.append(project_again(hosts.replica, postgres_url, wait_seconds=0.1).costs_changed)

    builders = [threading.Thread(target=again) for _ in range(3)]
    for builder in builders:
        builder.start()
    for number in range(20):
        hosts.stores[1].append([cost_observed(f"w{number}", agent="late", cost_usd=number)])
        hosts.send_all()
    for builder in builders:
        builder.join(30)
    assert len(rebuilt) == 3
    assert sum(count > 0 for count in rebuilt) == 1, "one of them showed the rows"
    wait_for(postgres_url, hosts.rows())
    stop.set()
    second.join()
    assert right != hosts.rows()
    with open_postgres(postgres_url) as history:
        assert history.old_versions() == [1]
        assert history.drop_old_versions() == [1]
        assert [entry.new_cost for entry in history.audit("w57")][-1] == hosts.row("w57").actual_cost_total


def test_a_projector_without_anything_to_do_is_counted_after_a_rebuild(postgres_url: str) -> None:
    hosts, stop, lines = Hosts(1), threading.Event(), list[int]()
    lively(hosts, 3, 20)
    hosts.send_all()
    second = run(hosts, postgres_url, stop, lines)
    try:
        wait_for(postgres_url, hosts.rows())
        project_again(hosts.replica, postgres_url, wait_seconds=0.1)
        until = time.monotonic() + 10
        while any(one.projector is None for one in projection_of(postgres_url)[0]) and time.monotonic() < until:
            time.sleep(0.05)
        assert len({one.projector for one in projection_of(postgres_url)[0]} - {None}) == 1
    finally:
        stop.set()
        second.join()


def test_a_rebuild_that_was_interrupted_is_gone_on_with(postgres_url: str) -> None:
    hosts = Hosts(2)
    lively(hosts, 10, 80)
    hosts.send_all()
    project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    first = PostgresVersion(postgres_url, "memory")
    Projector(hosts.replica, first, lines_max=50).step(0)
    first.close()
    assert project_again(hosts.replica, postgres_url, wait_seconds=0.1).lines == len(hosts.replica.stored) - 50
    assert rows_at(postgres_url) == hosts.rows()


def test_a_rebuild_reports_what_the_replica_has_lost_and_shows_less_only_when_accepted(postgres_url: str) -> None:
    hosts = Hosts(2)
    hosts.stores[0].append([cost_observed("gone", cost_usd=n, agent=f"a{n}") for n in range(5)])
    hosts.stores[1].append([cost_observed("kept", cost_usd=1)])
    hosts.send_all()
    project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    before = rows_at(postgres_url)
    lost = [line for line in hosts.replica.stored if line.workflow_id == "gone"][3:]
    hosts.replica.stored = [line for line in hosts.replica.stored if line not in lost]
    with pytest.raises(ReplicaFallsShort, match=r"gone of origin origin-0 ends at 3 of 6\): .* --accept-lost"):
        project_again(hosts.replica, postgres_url, wait_seconds=0)
    assert rows_at(postgres_url) == before
    assert project_on(hosts.replica, postgres_url, once=True, wait_seconds=0).lines == 0  # no projector waits now
    report = project_again(hosts.replica, postgres_url, accept_lost=True, wait_seconds=0)
    assert report.costs_changed == 1
    assert {row.adw_id: row.actual_cost_total for row in rows_at(postgres_url)} == {"gone": 1.0, "kept": 1.0}


def test_a_rebuild_misses_nothing_of_a_retired_origin_whose_events_another_carries(postgres_url: str) -> None:
    hosts = Hosts(2)
    events = [cost_observed("w", cost_usd=n, agent=f"a{n}", id=f"e{n}") for n in range(4)]
    hosts.stores[0].append(events)
    hosts.stores[1].append(events)
    hosts.send_all()
    project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    before = rows_at(postgres_url)
    hosts.replica.stored = [line for line in hosts.replica.stored if line.origin == "origin-1"]
    assert project_again(hosts.replica, postgres_url, wait_seconds=0).costs_changed == 0
    assert [row.actual_cost_total for row in rows_at(postgres_url)] == [row.actual_cost_total for row in before]


def test_another_applications_table_is_refused_and_left_as_it_is(postgres_url: str) -> None:
    hosts = Hosts(1)
    lively(hosts, 2, 20)
    hosts.send_all()
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute("CREATE TABLE workflow_history (adw_id text UNIQUE, status text, actual_cost_total numeric(12,4))")
        db.execute("INSERT INTO workflow_history VALUES ('w0', 'theirs', 0.09)")
        with pytest.raises(HistoryUnavailable, match="is another application's"):
            project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
        with pytest.raises(HistoryUnavailable, match="is another application's"):
            project_again(hosts.replica, postgres_url, wait_seconds=0.1)
        found = db.execute("SELECT adw_id, status, actual_cost_total::float8 FROM workflow_history").fetchall()
    assert found == [("w0", "theirs", 0.09)]
