"""Durable appends against raw write+fdatasync of the same bytes, a lock during the sync, SQLite and eventsourcing.

Every writer is a process; each side runs for the same number of events on the same file system, sides alternating.
Usage: python benchmarks/append.py [FOLDER] [events per writer]
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
from multiprocessing import get_context
from pathlib import Path

from ledger.events.event import Event, cost_observed
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.files import Files, OpenFile

WRITERS = 8
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


def rate(side: Callable[[Path, int, int], None], folder: Path, writers: int, events: int) -> float:
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


def main(folder: Path, events: int) -> None:
    """Print events per second and the ratios."""
    sides: list[tuple[str, Callable[[Path, int, int], None], int, int]] = [
        ("raw write+fdatasync, 8 files", raw, WRITERS, events),
        ("8 writers, own ledgers", own_ledgers, WRITERS, events),
        ("8 writers, one ledger", one_ledger, WRITERS, events),
        ("8 writers, one ledger, sync under the lock", under_lock, WRITERS, events),
        ("8 writers, SQLite WAL FULL", sqlite, WRITERS, events),
        ("1 writer, raw write+fdatasync", raw, 1, events),
        ("1 writer, one by one", one_by_one, 1, events),
        ("1 writer, 1,000 events in a call", in_one_call, 1, 20_000),
        ("1 writer, eventsourcing on SQLite", eventsourcing, 1, events),
    ]
    taken: dict[str, list[float]] = {name: [] for name, *_ in sides}
    for _ in range(3):
        for name, side, writers, count in sides:
            taken[name].append(rate(side, folder / "bench-append", writers, count))
    rates = {name: median(values) for name, values in taken.items()}
    for name, value in rates.items():
        print(f"{name:<44} {value:>10,.0f} events/s")
    for one, other in (
        ("8 writers, own ledgers", "raw write+fdatasync, 8 files"),
        ("8 writers, one ledger", "8 writers, one ledger, sync under the lock"),
        ("8 writers, one ledger", "8 writers, SQLite WAL FULL"),
        ("1 writer, 1,000 events in a call", "1 writer, one by one"),
        ("1 writer, one by one", "1 writer, raw write+fdatasync"),
        ("1 writer, one by one", "1 writer, eventsourcing on SQLite"),
    ):
        print(f"{one} / {other}: {rates[one] / rates[other]:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."), int(sys.argv[2]) if len(sys.argv) > 2 else 500)
