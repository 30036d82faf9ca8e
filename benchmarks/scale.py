"""How far it carries: many ledgers in one directory, one very long ledger, many writers of one ledger.

Usage: python benchmarks/scale.py FOLDER [ledgers] [events of the long ledger] [writers]; 0 leaves a part out.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.serve import costledger, server
from ledger.events.event import cost_observed, workflow_started
from ledger.storage.directory_store import DirectoryStore
from projections.history.sqlite.history import SqliteHistory
from projections.replay.rebuild import rebuild
from projections.replay.refresh import refresh
from projections.replay.verify import Proof, verify


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
    process = get_context("fork").Process(target=with_ids, args=(folder,))
    process.start()  # another one, since it maps the ledger, and a command's memory would count from there
    process.join()
    answers(folder, events)
    with SqliteHistory(folder / "history.db") as history:
        timed("refresh", events, "event", lambda: refresh(store, history))
        timed("verify", events, "event", lambda: list(verify(store, history, Proof())))


def with_ids(folder: Path) -> None:
    """A process's durable appends to the long ledger with ids of the caller's, which are looked for in all of it."""
    store = DirectoryStore(folder)
    clocks = {"elapsed": time.perf_counter, "processor": time.process_time}
    taken: dict[str, list[float]] = {name: [] for name in clocks}
    for number in range(1_001):
        start = {name: clock() for name, clock in clocks.items()}
        store.append([cost_observed("long", cost_usd=1, id=f"new-{number}")])
        for name, clock in clocks.items():
            taken[name].append(1e3 * (clock() - start[name]))
    for name, (first, *others) in taken.items():
        print(
            f"appends with an id of the caller's, {name} time: the first {first:.0f} ms; 1,000 more in "
            f"{sum(others) / 1e3:.1f} s, median {statistics.median(others):.2f} ms, at most {max(others):.0f} ms",
            flush=True,
        )


def command(folder: Path, *words: str) -> None:
    """Run a command in a process of its own, and print what it took and its memory."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "projections", "--data", str(folder), *words], stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds, processor = time.perf_counter() - start, used.ru_utime + used.ru_stime
    shown = f"costledger {' '.join(words)}"
    print(f"{shown:<62} {seconds:6.1f} s {processor:6.1f} s of processor {used.ru_maxrss / 1024:6.0f} MB", flush=True)


def answers(folder: Path, events: int) -> None:
    """What it takes to answer questions about the long ledger, each command in a process of its own; a server."""
    late = str(max(0, events - 10_000))
    command(folder, "refresh")
    command(folder, "explain", "long", "--json", "--limit", "200")
    command(folder, "explain", "long", "--json", "--limit", "200", "--after", late)
    command(folder, "explain", "long", "--json")
    command(folder, "explain", "long", "--limit", "1000")
    paths = (
        "events?limit=200",
        f"events?limit=1000&after={late}",
        "explain?limit=200",
        f"explain?limit=10000&after={late}",
    )
    for path in paths:
        served(folder, path)
    served(folder, paths[-1], at_once=3)


def served(folder: Path, path: str, at_once: int = 1) -> None:
    """Ask a new server for a page, and print what it took and the server's memory."""

    def ask(port: int) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/workflow-history/long/{path}") as answer:
            return len(answer.read())

    with server(*costledger(folder)) as (port, pid), ThreadPoolExecutor(at_once) as pool:
        time.sleep(5)  # until it has looked at the ledgers
        before, spent, start = peak_megabytes(pid), processor_seconds(pid), time.perf_counter()
        size = max(pool.map(ask, [port] * at_once))
        seconds, processor, most = time.perf_counter() - start, processor_seconds(pid) - spent, peak_megabytes(pid)
    shown = f"{at_once} × GET …/{path}, {size / 1e6:.1f} MB each"
    memory = f"{most:6.0f} MB, {before:.0f} before"
    print(f"{shown:<62} {seconds:6.1f} s {processor:6.1f} s of processor {memory}", flush=True)


def processor_seconds(pid: int) -> float:
    """How long a process has run (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_megabytes(pid: int) -> float:
    """What a process has had in memory at most (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


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
    parts: list[tuple[int, Callable[[], None]]] = [
        (writers, lambda: many_writers(data, writers, 200)),
        (events, lambda: long_ledger(data, events)),
        (ledgers, lambda: many_ledgers(data, ledgers)),
    ]
    for count, part in parts:
        shutil.rmtree(data, ignore_errors=True)
        if count:
            part()
    shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[2:5]]
    main(Path(sys.argv[1]), *(given + [1_000_000, 1_000_000, 64][len(given) :]))
