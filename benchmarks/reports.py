"""Questions about a year of stored spend, compared with one full scan of the same table by SQLite.

The scan sums one column and groups nothing. The first question after a write makes chunks of the spend again, and is
measured by itself. Alternating, five rounds, medians. Usage: python benchmarks/reports.py FOLDER [workflows]
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from projections.documents.spend import Period, spend_document
from projections.folding.spend import QUARTER_SECONDS, Spend
from projections.history.sqlite.history import SqliteHistory
from projections.history.sqlite.spend import SqliteSpend
from projections.json_text import json_bytes
from projections.reports.blocks import blocks
from projections.reports.compare import compare
from projections.reports.forecast import forecast
from projections.reports.spend_report import SESSIONS, SpendQuery, sessions_by_activity, spend_report
from projections.reports.stats import stats

SCAN: Final = "SELECT sum(cost_nanousd) FROM costledger_spend"
BERLIN: Final = ZoneInfo("Europe/Berlin")
KOLKATA: Final = ZoneInfo("Asia/Kolkata")
_YEAR: Final = 365 * 24 * 3600 // QUARTER_SECONDS
_NOW: Final = 1_994_956
_MODELS: Final = ["claude-sonnet-4-5-20250929", "claude-opus-4-5-20251101"]

QUERIES: Final[dict[str, SpendQuery]] = {
    "daily": SpendQuery(per="day"),
    "daily by agent": SpendQuery(("agent",), "day"),
    "monthly by issue": SpendQuery(("issue",), "month"),
    "by issue": SpendQuery(("issue",)),
    "daily by project": SpendQuery(("project",), "day"),
    "weekly by tag": SpendQuery(("team",), "week"),
    "daily of a project": SpendQuery(per="day", where=(("project", ("project-3",)),)),
    "by agent of an issue": SpendQuery(("agent",), "month", (("issue", ("17",)),)),
    "monthly by agent and project": SpendQuery(("agent", "project"), "month"),
    "30 days by agent and project": SpendQuery(("agent", "project"), "day", first=_NOW - 30 * 96),
    "daily by agent and project": SpendQuery(("agent", "project"), "day"),
    "by agent of a team": SpendQuery(("agent",), where=(("team", ("team-1",)),)),
    "each workflow, all lines": SpendQuery(("workflow",)),
    "each session, all lines": SpendQuery(SESSIONS),
}


def fill(path: Path, workflows: int) -> int:
    """Workflows of five agents that work a quarter hour to three each; the number of rows of spend."""
    dice = random.Random(17)
    SqliteHistory(path).close()
    db = sqlite3.connect(path, isolation_level=None)
    table = SqliteSpend(db)
    db.execute("BEGIN")
    for number in range(workflows):
        start, rows = _NOW - dice.randrange(_YEAR), []
        for agent in range(5):
            session = f"{number:08x}-0000-4000-8000-{agent:012d}"
            model = dice.choice(_MODELS)
            for late in range(dice.choice([1, 1, 2, 3])):
                counts = (5, 1000, 0, dice.randrange(99_999), dice.randrange(3_000), 0, 0, 0, 0)
                key = (start + agent + late, f"agent-{agent}", session, model, None, 1)
                rows.append(Spend(*key, dice.randrange(10**9), *counts))
        table.put(f"{number:08x}", rows)
        _add_row(db, f"{number:08x}", dice)
    db.execute("COMMIT")
    found: int = db.execute("SELECT count(*) FROM costledger_spend").fetchone()[0]
    db.close()
    return found


def _add_row(db: sqlite3.Connection, adw_id: str, dice: random.Random) -> None:
    """Add the row of a workflow: one of 500 issues, 20 projects, 8 templates and 6 teams; 0.5 kB of breakdowns."""
    breakdown = json.dumps(
        {"by_agent": {f"agent-{n}": "0.12345678" for n in range(5)}, "by_model": {_MODELS[0]: "0.12"}}
    )
    values = {
        "adw_id": adw_id,
        "issue_number": dice.randrange(500),
        "workflow_template": f"template-{dice.randrange(8)}",
        "project": f"/home/ann/project-{dice.randrange(20)}",
        "tool": "Claude Code",
        "tags": json.dumps({"team": f"team-{dice.randrange(6)}"}),
        "status": "completed",
        "cost_breakdown": breakdown,
        "token_breakdown": breakdown,
        "cost_basis": "reported",
        "ledger_hash": "0" * 64,
        "created_at": "2026-11-01T00:00:00.000000Z",
        "updated_at": "2026-11-01T00:00:00.000000Z",
    }
    required = [name for _, name, _, must, *_ in db.execute("PRAGMA table_info(workflow_history)") if must]
    values |= {name: 0 for name in required if name not in values}
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT INTO workflow_history ({', '.join(values)}) VALUES ({marks})", list(values.values()))


def seconds(call: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def _asked(history: SqliteHistory, query: SpendQuery, zone: ZoneInfo, *, as_json: bool = False) -> Callable[[], object]:
    period: Period = query.per or "all"

    def ask() -> object:
        made = spend_report(history, query, zone)
        return json_bytes(spend_document(period, made, zone, breakdown=False)) if as_json else made

    return ask


def _others(history: SqliteHistory) -> dict[str, Callable[[], object]]:
    """Return the questions that are no spend report, and the lists with a limit."""
    now, middle = datetime.fromtimestamp(_NOW * QUARTER_SECONDS, UTC), _NOW - _YEAR // 2
    halves, texts = (SpendQuery(last=middle), SpendQuery(first=middle + 1)), ("before", "after")
    models = tuple(SpendQuery(where=(("model", (model,)),)) for model in _MODELS)
    return {
        "top 10 workflows": lambda: spend_report(history, SpendQuery(("workflow",)), BERLIN, limit=10),
        "the latest 200 sessions": lambda: sessions_by_activity(
            history, spend_report(history, SpendQuery(SESSIONS), BERLIN, limit=200), limit=200
        ),
        "stats by template": lambda: stats(history, SpendQuery(("template",)), BERLIN),
        "stats by agent": lambda: stats(history, SpendQuery(("agent",)), BERLIN),
        "compare two half years by model": lambda: compare(history, texts, halves, ("model",), BERLIN),
        "compare half years by agent and project": lambda: compare(
            history, texts, halves, ("agent", "project"), BERLIN
        ),
        "compare two models by agent": lambda: compare(history, texts, (models[0], models[1]), ("agent",), BERLIN),
        "blocks": lambda: blocks(history, "5h", BERLIN, now),
        "forecast": lambda: forecast(history, BERLIN, now),
    }


def main(folder: Path, workflows: int) -> None:
    """Print medians and ratios."""
    data = folder / "bench-reports"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    rows = fill(data / "history.db", workflows)
    print(f"{workflows:,} workflows, {rows:,} rows")
    with SqliteHistory(data / "history.db") as history:
        plain = sqlite3.connect(data / "history.db")
        calls: dict[str, Callable[[], object]] = {SCAN: lambda: plain.execute(SCAN).fetchone()}
        calls |= {name: _asked(history, query, BERLIN) for name, query in QUERIES.items()}
        calls |= _others(history)
        calls["daily, in India"] = _asked(history, QUERIES["daily"], KOLKATA)
        calls["monthly by issue, as JSON"] = _asked(history, QUERIES["monthly by issue"], BERLIN, as_json=True)
        print(f"{'the first question':<46} {seconds(calls['daily']) * 1000:9.1f} ms")
        print(f"{(data / 'history.db').stat().st_size / 1e6:,.0f} MB; load {os.getloadavg()[0]:.1f}")
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
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."), int(sys.argv[2]) if len(sys.argv) > 2 else 50_000)
