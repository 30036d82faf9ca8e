"""Durable appends against raw write+fdatasync of the same bytes, a lock during the sync, SQLite and eventsourcing.

Every writer is a process; each side runs for the same number of events on the same file system, sides alternating. A
ratio is the median of the ratios of the rounds. "1 ms a sync" waits after `os.fdatasync`, on both sides alike, until a
millisecond has passed since its start. Then a workflow of many events, to which processes append an event with an id.
Usage: python benchmarks/append.py [FOLDER] [events per writer] [rounds] [events of the large workflow]
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from itertools import count
from multiprocessing import get_context
from pathlib import Path

from ledger.events.event import Event, cost_observed
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.files import Files, OpenFile

WRITERS = 8
SYNC_SECONDS = 0.001
Side = Callable[[Path, int, int], None]
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


LINE = b"x" * 499 + b"\n"


def raw(folder: Path, writer: int, events: int) -> None:
    """The physical limit: the same bytes, written and synced."""
    file = os.open(folder / f"{writer}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(events):
        os.write(file, LINE)
        os.fdatasync(file)


def own_ledgers(folder: Path, writer: int, events: int) -> None:
    """Each writer its own ledger."""
    store = DirectoryStore(folder)
    for _ in range(events):
        store.append([reading(f"w{writer}")])


def slowly_synced(side: Side) -> Side:
    """The same with a disk that takes at least a millisecond for a sync."""

    def slow(folder: Path, writer: int, events: int) -> None:
        sync = os.fdatasync

        def synced(fd: int) -> None:
            start = time.perf_counter()
            sync(fd)
            time.sleep(max(0.0, SYNC_SECONDS - (time.perf_counter() - start)))

        os.fdatasync = synced  # type: ignore[assignment]  # in the process of one writer
        side(folder, writer, events)

    return slow


def one_ledger(folder: Path, writer: int, events: int) -> None:  # noqa: ARG001
    """All writers one ledger."""
    store = DirectoryStore(folder)
    for _ in range(events):
        store.append([reading("w")])


class SyncUnderLock(Files):
    """The variant that keeps the lock until the disk has confirmed."""

    def unlock(self, file: OpenFile) -> None:
        os.fdatasync(file.fd)
        fcntl.flock(file.fd, fcntl.LOCK_UN)

    def sync(self, file: OpenFile) -> None:
        """Done before the unlock."""


def under_lock(folder: Path, writer: int, events: int) -> None:  # noqa: ARG001
    """All writers one ledger, each sync under the lock."""
    store = DirectoryStore(folder, files=SyncUnderLock())
    for _ in range(events):
        store.append([reading("w")])


def sqlite(folder: Path, writer: int, events: int) -> None:  # noqa: ARG001
    """All writers one SQLite table, WAL, synchronous=FULL."""
    db = sqlite3.connect(folder / "events.db", timeout=60, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY, line BLOB)")
    for _ in range(events):
        db.execute("INSERT INTO event (line) VALUES (?)", (LINE,))
    db.close()


def one_by_one(folder: Path, writer: int, events: int) -> None:  # noqa: ARG001
    """One writer, one event per call."""
    store = DirectoryStore(folder)
    for _ in range(events):
        store.append([reading("w")])


def in_one_call(folder: Path, writer: int, events: int) -> None:  # noqa: ARG001
    """One writer, a thousand events per call."""
    store = DirectoryStore(folder)
    for _ in range(max(1, events // 1000)):
        store.append([reading("w") for _ in range(1000)])


def eventsourcing(folder: Path, writer: int, events: int) -> None:  # noqa: ARG001
    """One writer, the eventsourcing library on SQLite."""
    from uuid import uuid4

    from eventsourcing.persistence import StoredEvent
    from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

    recorder = SQLiteApplicationRecorder(SQLiteDatastore(str(folder / "es.db")))
    with contextlib.suppress(Exception):
        recorder.create_table()
    originator = uuid4()
    for number in range(events):
        recorder.insert_events([StoredEvent(originator, number, "CostObserved", LINE)])


def rate(side: Side, folder: Path, writers: int, events: int) -> float:
    """Events per second over all writers, from the first start to the last end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    context = get_context("fork")
    processes = [context.Process(target=side, args=(folder, writer, events)) for writer in range(writers)]
    start = time.perf_counter()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    seconds = time.perf_counter() - start
    shutil.rmtree(folder, ignore_errors=True)
    return writers * events / seconds


def median(values: list[float]) -> float:
    """The middle one."""
    return sorted(values)[len(values) // 2]


SIDES: list[tuple[str, Side, int, int | None]] = [
    ("raw write+fdatasync, 8 files", raw, WRITERS, None),
    ("8 writers, own ledgers", own_ledgers, WRITERS, None),
    ("raw write+fdatasync, 8 files, 1 ms a sync", slowly_synced(raw), WRITERS, None),
    ("8 writers, own ledgers, 1 ms a sync", slowly_synced(own_ledgers), WRITERS, None),
    ("8 writers, one ledger", one_ledger, WRITERS, None),
    ("8 writers, one ledger, sync under the lock", under_lock, WRITERS, None),
    ("8 writers, SQLite WAL FULL", sqlite, WRITERS, None),
    ("1 writer, raw write+fdatasync", raw, 1, None),
    ("1 writer, eventsourcing on SQLite", eventsourcing, 1, None),
    ("1 writer, one by one", one_by_one, 1, None),
    ("1 writer, 1,000 events in a call", in_one_call, 1, 20_000),
]
RATIOS = [
    ("1 writer, one by one", "1 writer, eventsourcing on SQLite"),
    ("8 writers, own ledgers", "raw write+fdatasync, 8 files"),
    ("8 writers, own ledgers, 1 ms a sync", "raw write+fdatasync, 8 files, 1 ms a sync"),
    ("8 writers, one ledger", "8 writers, one ledger, sync under the lock"),
    ("8 writers, one ledger", "8 writers, SQLite WAL FULL"),
    ("1 writer, 1,000 events in a call", "1 writer, one by one"),
    ("1 writer, one by one", "1 writer, raw write+fdatasync"),
]


def in_fresh_process(work: Callable[[], list[float]]) -> list[float]:
    """The seconds that a forked process measured."""
    context = get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=lambda: queue.put(work()))
    process.start()
    taken: list[float] = queue.get()
    process.join()
    return taken


def large_workflow(folder: Path, events: int) -> None:
    """Print the processor time of an append of one event with an id, without the sync."""
    shutil.rmtree(folder, ignore_errors=True)
    in_one_call(folder, 0, events)
    ids = (f"id-{number}" for number in count())

    def appended(number: int, id: str | None = None) -> list[float]:
        store, taken = DirectoryStore(folder, durability="none"), []
        for each in range(number):
            event = cost_observed("w", agent="plan", cost_usd="0.09", id=id or f"{next(ids)}-{each}-{os.getpid()}")
            start = time.process_time()
            store.append([event])
            taken.append(time.process_time() - start)
        return taken

    def show(name: str, taken: list[float]) -> None:
        print(f"{name:<60} median {1e3 * median(taken):7.2f} ms   most {1e3 * max(taken):7.2f} ms ({len(taken)})")

    size = (folder / "ledgers/w.jsonl").stat().st_size
    print(f"a workflow of {events:,} events, {size / 1e6:,.0f} MB: append with an id")
    first = [in_fresh_process(lambda: appended(1))[0] for _ in range(size // (16 << 20) + 1)]
    show("first append of a process, before there is an index", first[:1])
    show("first appends of processes that each index a part", first[1:])
    show("first append of a process", [in_fresh_process(lambda: appended(1))[0] for _ in range(15)])
    show("following appends", in_fresh_process(lambda: appended(300))[1:])
    appended(1, id="again")
    show("first append of a process, of an id that is there", in_fresh_process(lambda: appended(1, id="again")))
    shutil.rmtree(folder)


def main(folder: Path, events: int, rounds: int, large: int) -> None:
    """Print events per second and the ratios."""
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    taken: dict[str, list[float]] = {name: [] for name, *_ in SIDES}
    for _ in range(rounds):
        for name, side, writers, number in SIDES:
            taken[name].append(rate(side, folder / "bench-append", writers, number or events))
    for name, values in taken.items():
        print(f"{name:<44} {median(values):>10,.0f} events/s")
    for one, other in RATIOS:
        ratios = [mine / theirs for mine, theirs in zip(taken[one], taken[other], strict=True)]
        print(f"{one} / {other}: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    if large:
        large_workflow(folder / "bench-append", large)


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[2:]]
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."), *(*given, *(500, 5, 1_000_000)[len(given) :]))
