"""A history in PostgreSQL: rebuild compared with bare `COPY` of the same rows, and projectors' events per second.

The server is a real one with its default settings (commits wait for the disk), on the same machine. Rebuild, its
`COPY`-and-swap part alone and bare `COPY` alternate, three rounds, medians; bare `COPY` writes the same values into
tables of the same columns and indexes, in one transaction. Projectors read from a real NATS server, 1 and 2 processes,
each from an empty history; and one from memory, without NATS.
Usage: python benchmarks/postgres.py [FOLDER] [ledgers] [events per ledger]
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import psycopg

from benchmarks.rebuild import fill
from ledger.replication.open import open_replica
from ledger.replication.replica import ChainHead, ChainSegment
from ledger.replication.sender import Replication
from ledger.storage.directory_store import DirectoryStore
from projections.folding.projection import Projected
from projections.folding.row import COLUMNS
from projections.history.postgres.history import open_postgres
from projections.history.postgres.spend import SPEND_COLUMNS
from projections.history.postgres.values import values_of
from projections.projector.run import project_on
from projections.replay.rebuild import rebuild
from projections.replay.refresh import project
from tests.ledger.replication.memory_replica import MemoryReplica
from tests.nats_server import running
from tests.postgres_server import PostgresServer, running_postgres

Rows = Sequence[tuple[object, ...]]


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def schema(server: PostgresServer, name: str) -> str:
    """A fresh schema's URL."""
    with psycopg.connect(server.url(), autocommit=True) as db:
        db.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        db.execute(f"CREATE SCHEMA {name}")
    return server.url(name)


def swapped_in(url: str, projected: list[Projected]) -> None:
    """The part of a rebuild that PostgreSQL does: rows that are at hand, copied and shown."""
    with open_postgres(url) as history, history.rebuilding() as fresh:
        for at in range(0, len(projected), 1000):
            fresh.add(projected[at : at + 1000])
        fresh.swap(keep=[], again=lambda _: None, reason="benchmark")


def bare(url: str, rows: Rows, spend: Rows, heads: Rows) -> None:
    """The same values, without anything of ours."""
    with psycopg.connect(url) as db, db.cursor() as cursor:
        tables = (
            ("workflow_history", COLUMNS, rows),
            ("costledger_spend", SPEND_COLUMNS, spend),
            ("costledger_checkpoint", ("workflow_id", "seq", "size", "hash"), heads),
        )
        for name, columns, values in tables:
            cursor.execute(f"CREATE TABLE bare_{name} (LIKE {name}_1 INCLUDING ALL)")
            with cursor.copy(f"COPY bare_{name} ({', '.join(columns)}) FROM STDIN") as copy:
                for one in values:
                    copy.write_row(one)
    with psycopg.connect(url, autocommit=True) as db:
        for name, _, _ in tables:
            db.execute(f"DROP TABLE bare_{name}")


def rebuilding(server: PostgresServer, store: DirectoryStore, events: int) -> list[Projected]:
    """Print rebuild, its PostgreSQL part and bare COPY; give the rows."""
    projected = [project(store, name) for name in store.workflow_ids()]
    rows = [values_of(one.row) for one in projected]
    spend = [(one.row.adw_id, *part) for one in projected for part in one.spend]
    heads = [(one.row.adw_id, one.head.seq, one.head.size, one.head.hash) for one in projected]
    taken: dict[str, list[float]] = {"rebuild, 2 processes": [], "its COPY and swap": [], "bare COPY": []}
    url = server.url("bench")
    for _ in range(3):
        schema(server, "bench")
        open_postgres(url).close()
        taken["bare COPY"].append(seconds_of(lambda: bare(url, rows, spend, heads)))
        taken["its COPY and swap"].append(seconds_of(lambda: swapped_in(url, projected)))
        schema(server, "bench")
        with open_postgres(url) as history:
            taken["rebuild, 2 processes"].append(seconds_of(lambda: rebuild(store, history, processes=2)))
    medians = {name: median(times) for name, times in taken.items()}
    for name, seconds in medians.items():
        print(f"{name:<24} {seconds:7.2f} s {len(rows) / seconds:>10,.0f} rows/s {events / seconds:>12,.0f} events/s")
    for name in ("its COPY and swap", "rebuild, 2 processes"):
        print(f"bare COPY takes {medians['bare COPY'] / medians[name]:.2f} of the time of: {name}")
    return projected


def from_memory(url: str, store: DirectoryStore) -> float:
    """Seconds of one projector that reads everything from memory."""
    replica = MemoryReplica()
    for name in store.workflow_ids():
        lines = b"".join(store.read(name).raw_chunks()).splitlines(keepends=True)
        replica.publish([ChainSegment(ChainHead(name, store.origin, 0, ""), lines)])
    replica.stored, waiting = [], replica.stored
    step = 4000

    def read(positions: dict[int, int], *, lines_max: int, wait_seconds: float) -> list[object]:  # noqa: ARG001
        at = max(positions.values())
        return list(waiting[at : at + step])

    replica.read = read  # type: ignore[assignment, method-assign]
    return seconds_of(lambda: project_on(replica, url, once=True))


def projector(url: str, nats: str, ready: Barrier) -> None:
    """One process; it begins when all are there, and ends when there is nothing more."""
    replica = open_replica(nats)
    ready.wait()
    ready.wait()
    project_on(replica, url, once=True, wait_seconds=1.0)
    replica.close()


def from_nats(url: str, nats: str, processes: int) -> float:
    """Seconds until so many projectors have read everything."""
    spawn = get_context("spawn")
    ready = spawn.Barrier(processes + 1)
    workers = [spawn.Process(target=projector, args=(url, nats, ready)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    ready.wait()
    start = time.perf_counter()
    ready.wait()
    for worker in workers:
        worker.join()
    return time.perf_counter() - start - 1.0  # each waits a second to see that there is nothing more


def main(folder: Path, ledgers: int, events: int) -> None:
    """Print seconds, rates and ratios."""
    data = folder / "bench-postgres"
    shutil.rmtree(data, ignore_errors=True)
    store, count = DirectoryStore(data, durability="none"), ledgers * events
    fill(store, ledgers, events)
    with running_postgres(syncs=True) as server, running(data / "nats") as cluster:
        rebuilding(server, store, count)
        seconds = from_memory(schema(server, "bench"), store)
        print(f"one projector, from memory: {count / seconds:,.0f} events/s")
        replica = open_replica(cluster.name, copies=1)
        replication = Replication(store, replica)
        replication.catch_up()
        replication.close()
        taken = {processes: [] for processes in (1, 2)}  # type: dict[int, list[float]]
        for _ in range(3):
            for processes, times in taken.items():
                times.append(from_nats(schema(server, "bench"), cluster.name, processes))
        for processes, times in taken.items():
            print(f"{processes} projectors, from NATS: {count / median(times):,.0f} events/s")
        print(f"2 processes do {median(taken[1]) / median(taken[2]):.2f} times as much as 1")
        replica.close()
    shutil.rmtree(data)


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[2:4]] or [2000, 100]
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."), *numbers)
