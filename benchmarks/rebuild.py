"""Rebuild of many ledgers into SQLite, verified, against DuckDB over the same files; and one append found by a refresh.

DuckDB (2 threads) takes each line's SHA-256 and sums each workflow's highest cost: less than a rebuild, which also
chains the hashes, folds the tree of meters and writes rows. Alternating, three rounds, medians.
Usage: python benchmarks/rebuild.py [FOLDER] [ledgers] [events per ledger]
"""

from __future__ import annotations

import random
import resource
import shutil
import sys
import time
from pathlib import Path

from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from projections.history.sqlite.history import SqliteHistory
from projections.replay.rebuild import rebuild
from projections.replay.refresh import refresh

HASHED = """SELECT count(*), sum(highest), sum(digests) FROM (
    SELECT json->>'$.workflow_id' AS id, max((json->>'$.cost_usd')::DECIMAL(18, 9)) AS highest,
           sum(length(sha256(json))) AS digests
    FROM read_json_objects('{files}', format = 'newline_delimited') GROUP BY 1)"""
HIGHEST = """SELECT count(*), sum(highest) FROM (
    SELECT workflow_id, max(cost_usd::DECIMAL(18, 9)) AS highest
    FROM read_json('{files}', format = 'newline_delimited', columns = {{workflow_id: 'VARCHAR', cost_usd: 'VARCHAR'}})
    GROUP BY 1)"""


def fill(store: DirectoryStore, ledgers: int, events: int) -> None:
    """Workflows of seven agents, two readings per message, as real ones have."""
    dice = random.Random(17)
    for number in range(ledgers):
        name = f"{number:08x}"
        batch = [workflow_started(name, issue_number=number)]
        for at in range(events - 3):
            part = at * 7 // events
            batch.append(
                cost_observed(
                    name,
                    agent=f"agent-{part}",
                    session_id=f"{number:08x}-0000-4000-8000-{part:012d}",
                    model="claude-sonnet-4-5-20250929",
                    message_id=f"msg_{number:08x}{at // 2:016x}",
                    cost_usd=f"0.{dice.randrange(1000, 99999):05d}1",
                    usage={"input_tokens": 5, "cache_read_tokens": dice.randrange(99999), "output_tokens": at},
                )
            )
        store.append([*batch, workflow_ended(name, "completed")])


Taken = tuple[float, float]
"""Seconds by the clock, and of processor time in this process and its children."""


def taken() -> Taken:
    """Return what was taken so far."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(usage.ru_utime + usage.ru_stime for usage in usages)


def since(start: Taken) -> Taken:
    """Return what was taken since."""
    now = taken()
    return now[0] - start[0], now[1] - start[1]


def duck(files: str, query: str) -> Taken:
    """Take one query."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    start = taken()
    connection.execute(query.format(files=files)).fetchall()
    return since(start)


def rebuilt(store: DirectoryStore, path: Path) -> Taken:
    """Take one rebuild with two processes into a new database."""
    with SqliteHistory(path) as history:
        start = taken()
        report = rebuild(store, history, processes=2)
        found = since(start)
    assert not report.problems
    path.unlink()
    return found


def seen(store: DirectoryStore, path: Path, rounds: int) -> tuple[float, float]:
    """Seconds from one append's receipt to its row, given the id; and of a refresh that finds nothing changed."""
    named, whole = [], []
    with SqliteHistory(path) as history:
        refresh(store, history)
        for number in range(rounds):
            name = f"{number * 7:08x}"
            store.append([cost_observed(name, agent="late", cost_usd=number)])
            start = time.perf_counter()
            refresh(store, history, workflow_ids=[name])
            named.append(time.perf_counter() - start)
            start = time.perf_counter()
            refresh(store, history)
            whole.append(time.perf_counter() - start)
    return sorted(named)[rounds // 2], sorted(whole)[rounds // 2]


def main(folder: Path, ledgers: int, events: int) -> None:
    """Print seconds, events per second and ratios."""
    data = folder / "bench-rebuild"
    shutil.rmtree(data, ignore_errors=True)
    store = DirectoryStore(data, durability="none")
    fill(store, ledgers, events)
    files, count = str(data / "ledgers" / "*.jsonl"), ledgers * events
    rounds: dict[str, list[Taken]] = {"rebuild": [], "duckdb sha256 + highest": [], "duckdb highest": []}
    for _ in range(3):
        rounds["rebuild"].append(rebuilt(store, data / "fresh.db"))
        rounds["duckdb sha256 + highest"].append(duck(files, HASHED))
        rounds["duckdb highest"].append(duck(files, HIGHEST))
    clock = {name: sorted(wall for wall, _ in times)[1] for name, times in rounds.items()}
    processor = {name: sorted(used for _, used in times)[1] for name, times in rounds.items()}
    for name, seconds in clock.items():
        print(f"{name:<28} {seconds:8.2f} s {count / seconds:>12,.0f} events/s {processor[name]:8.2f} s of processor")
    for name in ("duckdb sha256 + highest", "duckdb highest"):
        ratios = [medians[name] / medians["rebuild"] for medians in (clock, processor)]
        print(f"rebuild at {ratios[0]:.2f} of the speed of {name}, {ratios[1]:.2f} by processor time")
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"largest process, DuckDB included: {largest / 1024:,.0f} MB")
    shutil.rmtree(data)
    small = DirectoryStore(data, durability="none")
    fill(small, 10_000, 20)
    one, nothing = seen(small, data / "history.db", 50)
    print(f"10,000 ledgers: a named one refreshed in {one * 1000:.1f} ms, a look at all in {nothing * 1000:.1f} ms")
    shutil.rmtree(data)


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[2:4]] or [2000, 500]
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."), *numbers)
