"""Reports over a year of stored spend, compared with one full scan of the same table by SQLite.

The scan sums one column and groups nothing: no report can be faster. Alternating, five rounds, medians.
Usage: python benchmarks/reports.py FOLDER [workflows]
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from projections.folding.spend import QUARTER_SECONDS, Spend
from projections.history.sqlite.history import SqliteHistory
from projections.history.sqlite.spend import SqliteSpend
from projections.reports.periods import Per
from projections.reports.spend_report import SESSIONS, SpendQuery, spend_report

SCAN: Final = "SELECT sum(cost_nanousd) FROM costledger_spend"
BERLIN: Final = ZoneInfo("Europe/Berlin")
_YEAR: Final = 365 * 24 * 3600 // QUARTER_SECONDS
_NOW: Final = 1_994_954


def fill(path: Path, workflows: int) -> int:
    """Workflows of five agents that work a quarter hour to three each; the number of rows."""
    dice = random.Random(17)
    SqliteHistory(path).close()
    db = sqlite3.connect(path)
    table = SqliteSpend(db)
    for number in range(workflows):
        start, rows = _NOW - dice.randrange(_YEAR), []
        for agent in range(5):
            session = f"{number:08x}-0000-4000-8000-{agent:012d}"
            model = dice.choice(["claude-sonnet-4-5-20250929", "claude-opus-4-5-20251101"])
            for late in range(dice.choice([1, 1, 2, 3])):
                counts = (5, 1000, 0, dice.randrange(99_999), dice.randrange(3_000), 0, 0, 0, 0)
                key = (start + agent + late, f"agent-{agent}", session, model, None, 1)
                rows.append(Spend(*key, dice.randrange(10**9), *counts))
        table.put(f"{number:08x}", rows)
    db.commit()
    found: int = db.execute("SELECT count(*) FROM costledger_spend").fetchone()[0]
    db.close()
    return found


def seconds(call: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main(folder: Path, workflows: int) -> None:
    """Print medians and ratios."""
    data = folder / "bench-reports"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    rows = fill(data / "history.db", workflows)
    print(f"{workflows:,} workflows, {rows:,} rows, {(data / 'history.db').stat().st_size / 1e6:,.0f} MB")
    with SqliteHistory(data / "history.db") as history:
        plain = sqlite3.connect(data / "history.db")

        def made(per: Per | None, by: tuple[str, ...], days: int | None) -> Callable[[], object]:
            first = None if days is None else _NOW - days * 24 * 4
            return lambda: spend_report(history, SpendQuery(by, per, first=first), BERLIN)

        calls: dict[str, Callable[[], object]] = {
            SCAN: lambda: plain.execute(SCAN).fetchone(),
            "daily, a year": made("day", (), None),
            "monthly by agent, a year": made("month", ("agent",), None),
            "session, a year": made(None, SESSIONS, None),
            "daily, 30 days": made("day", (), 30),
            "daily, today": made("day", (), 1),
        }
        taken: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(5):
            for name, call in calls.items():
                taken[name].append(seconds(call))
    scan = statistics.median(taken[SCAN])
    for name, times in taken.items():
        median = statistics.median(times)
        print(f"{name:<46} {median * 1000:9.1f} ms  {median / scan:7.2f} x a scan")
    shutil.rmtree(data)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."), int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
