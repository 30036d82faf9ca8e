"""Following against the least that it takes: a look that finds nothing new against `stat` of the same files, and a
table's import against reading the same rows with the standard library's `csv`.

    python benchmarks/following.py [files] [rows]

Times are CPU seconds of this process, the smallest of five (the import: of one), so that a busy machine changes little.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ledger import DirectoryStore
from ledger.importing.importer import SourceEntry, import_source
from ledger.pricing.genai_book import GenaiPrices
from projections.history.sqlite.history import SqliteHistory
from projections.replay.watch import Watch

FILES, ROWS = 2_000, 20_000


def main() -> None:
    files, rows = [*map(int, sys.argv[1:]), FILES, ROWS][:2]
    with tempfile.TemporaryDirectory() as folder:
        looking(Path(folder), files)
        reading(Path(folder), rows)


def looking(folder: Path, files: int) -> None:
    agents = folder / "agents"
    for number in range(files):
        log = agents / f"w{number}" / "plan" / "raw_output.jsonl"
        log.parent.mkdir(parents=True)
        init = {"type": "system", "subtype": "init", "session_id": f"s{number}", "uuid": f"p{number}"}
        result = {"type": "result", "session_id": f"s{number}", "total_cost_usd": 0.25, "uuid": "r"}
        log.write_text(f"{json.dumps(init)}\n{json.dumps(result)}\n", encoding="utf-8")
    ledgers = DirectoryStore(folder / "data", durability="none")
    with SqliteHistory(folder / "data" / "history.db") as history:
        later = [0.0]
        watch = Watch(
            ledgers,
            history,
            lambda: [SourceEntry("adw", str(agents))],
            prices=GenaiPrices(),
            clock=lambda: time.monotonic() + later[0],
        )
        watch.step()
        later[0] = 100.0  # seconds: beyond the rest that a source gets after it was read
        watch.step()
        least = smallest(lambda: walk(agents) + walk(folder / "data" / "ledgers"))
        ours = smallest(lambda: watch.step().look_seconds)
    print(f"a look at {files:,} logs and {files:,} ledgers: {ours * 1000:.1f} ms; walk and stat: {least * 1000:.1f} ms")
    print(f"  {ours / least:.1f} x")


def reading(folder: Path, rows: int) -> None:
    table = folder / "calls.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["workflow_id", "agent", "session_id", "model", "message_id", "cost_usd", "input_tokens"])
        for number in range(rows):
            writer.writerow([f"w{number % 20}", "plan", "s", "claude-sonnet-4-5", f"m{number}", "0.012345", number])
    least = smallest(lambda: count(table))
    began = time.process_time()
    import_source(DirectoryStore(folder / "tables", durability="none"), "csv", table)
    ours = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"a table of {rows:,} rows into ledgers: {ours:.2f} s, peak {peak:,} MiB; csv.DictReader: {least:.2f} s")
    print(f"  {ours / rows * 1e6:.0f} µs a row, {ours / least:.0f} x")


def smallest(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def walk(path: Path) -> int:
    return sum(os.stat(f"{where}/{name}").st_size for where, _, names in os.walk(path) for name in names)


def count(table: Path) -> int:
    with table.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.DictReader(file))


if __name__ == "__main__":
    main()
