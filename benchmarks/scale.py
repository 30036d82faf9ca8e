"""How far it carries: many ledgers in one directory, one very long ledger, many writers of one ledger.

Usage: python benchmarks/scale.py FOLDER [ledgers] [events of the long ledger] [writers]
"""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

from ledger.events import cost_observed, workflow_started
from ledger.store import DirectoryStore
from projections.proof import Proof, verify
from projections.rebuild import rebuild
from projections.replay import refresh
from projections.stores.sqlite import SqliteHistory


def timed(name: str, count: int, unit: str, call: Callable[[], object]) -> None:
    """Run and print what it took, and the memory of the largest process so far."""
    start = time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    each = seconds / count * 1e6
    print(f"{name:<52} {seconds:9.2f} s  {each:9.1f} us per {unit:<7} {memory:6.0f} MB", flush=True)


def many_ledgers(folder: Path, count: int) -> None:
    """One start and one reading in each of many ledgers."""
    store = DirectoryStore(folder, durability="none")

    def fill() -> None:
        for number in range(count):
            name = f"{number:08x}"
            store.append([workflow_started(name), cost_observed(name, agent="plan", cost_usd="0.09")])

    timed(f"{count:,} new ledgers, two events each, unsynced", count, "ledger", fill)
    durable = DirectoryStore(folder)
    names = [f"{number * 37 % count:08x}" for number in range(200)]
    timed(
        "a durable append to one among them",
        200,
        "append",
        lambda: [durable.append([cost_observed(name, cost_usd=1)]) for name in names],
    )
    with SqliteHistory(folder / "history.db") as history:
        timed("first refresh", count, "ledger", lambda: refresh(store, history))
        timed("refresh with nothing new", count, "ledger", lambda: refresh(store, history))
        durable.append([cost_observed(names[0], cost_usd=2)])
        timed("refresh of one, named", 1, "ledger", lambda: refresh(store, history, workflow_ids=[names[0]]))
        timed("verify, 2 processes", count, "ledger", lambda: list(verify(store, history, Proof(), processes=2)))
        timed("rebuild, 2 processes", count, "ledger", lambda: rebuild(store, history, processes=2))


def long_ledger(folder: Path, events: int) -> None:
    """One ledger of many events, appended a thousand at a time."""
    store = DirectoryStore(folder, durability="none")

    def fill() -> None:
        for start in range(0, events, 1000):
            batch = [
                cost_observed(
                    "long",
                    agent=f"agent-{number % 7}",
                    session_id=f"s{number // 1000}",
                    message_id=f"m{number}",
                    cost_usd="0.0001",
                    usage={"output_tokens": 7},
                )
                for number in range(start, start + 1000)
            ]
            store.append(batch)

    timed(f"one ledger of {events:,} events", events, "event", fill)
    fresh = DirectoryStore(folder)
    timed(
        "a first append to it by a new process", 1, "append", lambda: fresh.append([cost_observed("long", cost_usd=1)])
    )
    again = [cost_observed("long", cost_usd=1, id=f"new-{number}") for number in range(20)]
    timed("an append with an id of the caller's", 20, "append", lambda: [fresh.append([event]) for event in again])
    with SqliteHistory(folder / "history.db") as history:
        timed("refresh", events, "event", lambda: refresh(store, history))
        timed("verify", events, "event", lambda: list(verify(store, history, Proof())))


def append_some(folder: str, writer: int, events: int) -> None:
    """One of many writers."""
    store = DirectoryStore(folder)
    for number in range(events):
        store.append([cost_observed("busy", agent=f"w{writer}", cost_usd=number)])


def many_writers(folder: Path, writers: int, events: int) -> None:
    """Processes that append to one ledger, durably."""
    context = get_context("fork")
    processes = [context.Process(target=append_some, args=(str(folder), n, events)) for n in range(writers)]

    def work() -> None:
        for process in processes:
            process.start()
        for process in processes:
            process.join()

    timed(f"{writers} processes, {events} durable appends each to one ledger", writers * events, "append", work)
    lines = sum(1 for _ in DirectoryStore(folder).read("busy"))
    assert lines == 1 + writers * events


def main(folder: Path, ledgers: int, events: int, writers: int) -> None:
    """Run the three in fresh folders."""
    data = folder / "bench-scale"
    for part in (
        lambda: many_writers(data, writers, 200),
        lambda: long_ledger(data, events),
        lambda: many_ledgers(data, ledgers),
    ):
        shutil.rmtree(data, ignore_errors=True)
        part()
    shutil.rmtree(data)


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[2:5]]
    main(Path(sys.argv[1]), *(given + [1_000_000, 1_000_000, 64][len(given) :]))
