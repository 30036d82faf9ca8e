"""Sums of spend that answer most questions without a scan of `costledger_spend`.

`costledger_spend_hour` has what all workflows together spent in each hour of UTC, by model and evidence, and
`costledger_spend_hour_agent` by agent, too: they answer what asks for no more in periods that start with an hour.
`costledger_spend_workflow` has what each workflow spent in all, by model, evidence and run, and the quarter hours
between which it did so: it answers what needs no agent and no session. A row within one period counts as it is; for the
few that are not, the spend itself is read. So every answer is exact, in every time zone.

Triggers mark the hours and the workflows whose spend changed, in the same transaction. A query reads the spend of what
is marked, and the sums of all else; `compact` makes the sums of what is marked again, when nothing else writes.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from projections.folding.spend import AMOUNTS
from projections.history.spend_sql import period_of
from projections.history.store import Group, Where

__all__ = ["TABLES", "compact", "source_of", "statements"]

_HOUR_NAMES: Final = ("model", "spent_at_from")
_AGENT_NAMES: Final = ("agent", *_HOUR_NAMES)
_WORKFLOW_NAMES: Final = ("adw_id", *_HOUR_NAMES, "run")
_HOURS: Final = {"costledger_spend_hour_agent": _AGENT_NAMES, "costledger_spend_hour": _HOUR_NAMES}
_WORKFLOWS: Final = "costledger_spend_workflow"
_STALE_HOURS: Final = "costledger_stale_hour"
_STALE_WORKFLOWS: Final = "costledger_stale_workflow"

TABLES: Final = (*_HOURS, _WORKFLOWS, _STALE_HOURS, _STALE_WORKFLOWS)

_QUARTERS: Final = 4
"""Of an hour."""
_HOUR: Final = "(({0} - (({0} % 4) + 4) % 4) / 4)"
"""The hour of a quarter hour, also before 1970: SQL divides towards 0."""
_FIGURES: Final = ", ".join(AMOUNTS)
_SUMS: Final = ", ".join(f"sum({name})" for name in AMOUNTS)
_OF_HOURS: Final = (
    f"CROSS JOIN costledger_spend AS s ON s.quarter BETWEEN hour * {_QUARTERS} AND hour * {_QUARTERS} + 3"
)
_OF_WORKFLOWS: Final = "CROSS JOIN costledger_spend AS s ON s.adw_id = stale.adw_id"


def statements() -> Iterator[str]:
    """Yield the statements that create the tables, their indexes and the triggers."""
    sums = ", ".join(f"{name} INTEGER NOT NULL" for name in AMOUNTS)
    for table, names in _HOURS.items():
        columns = ", ".join(f"{name} TEXT" for name in names)
        yield f"CREATE TABLE IF NOT EXISTS {table} (hour INTEGER NOT NULL, {columns}, {sums}) STRICT"
        yield f"CREATE INDEX IF NOT EXISTS {table}_hour ON {table} (hour)"
    columns = "adw_id TEXT NOT NULL, model TEXT, spent_at_from TEXT, run INTEGER NOT NULL"
    bounds = "first INTEGER NOT NULL, last INTEGER NOT NULL"
    yield f"CREATE TABLE IF NOT EXISTS {_WORKFLOWS} ({columns}, {bounds}, {sums}) STRICT"
    yield f"CREATE INDEX IF NOT EXISTS {_WORKFLOWS}_adw_id ON {_WORKFLOWS} (adw_id)"
    yield f"CREATE TABLE IF NOT EXISTS {_STALE_HOURS} (hour INTEGER PRIMARY KEY) STRICT"
    yield f"CREATE TABLE IF NOT EXISTS {_STALE_WORKFLOWS} (adw_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID"
    yield (
        "CREATE INDEX IF NOT EXISTS workflow_history_dimensions ON workflow_history "
        "(adw_id, workflow_template, issue_number, project, branch, tool, status, tags)"
    )
    for name, event, rows in (
        ("added", "INSERT", ("NEW",)),
        ("removed", "DELETE", ("OLD",)),
        ("changed", "UPDATE", ("OLD", "NEW")),
    ):
        body = " ".join(
            f"INSERT OR IGNORE INTO {_STALE_HOURS} VALUES ({_HOUR.format(f'{row}.quarter')}); "
            f"INSERT OR IGNORE INTO {_STALE_WORKFLOWS} VALUES ({row}.adw_id);"
            for row in rows
        )
        yield f"CREATE TRIGGER IF NOT EXISTS costledger_spend_{name} AFTER {event} ON costledger_spend BEGIN {body} END"


def compact(db: sqlite3.Connection) -> None:
    """Make the sums again of what is marked, unless another connection writes, or a sum is above 64 bits.

    Nothing else depends on it: a query reads the spend of what stays marked.
    """
    if db.in_transaction or not any(db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall() for table in TABLES[-2:]):
        return
    (wait,) = db.execute("PRAGMA busy_timeout").fetchone()
    db.execute("PRAGMA busy_timeout = 0")
    try:
        db.execute("BEGIN IMMEDIATE")
        _compact_hours(db)
        _compact_workflows(db)
        db.execute("COMMIT")
    except sqlite3.Error:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
    finally:
        db.execute(f"PRAGMA busy_timeout = {wait}")


def _compact_hours(db: sqlite3.Connection) -> None:
    for table, names in _HOURS.items():
        grouped = f"hour, {', '.join(names)}"
        db.execute(f"DELETE FROM {table} WHERE hour IN (SELECT hour FROM {_STALE_HOURS})")
        db.execute(
            f"INSERT INTO {table} ({grouped}, {_FIGURES}) SELECT {grouped}, {_SUMS} "
            f"FROM {_STALE_HOURS} {_OF_HOURS} GROUP BY {grouped}"
        )
    db.execute(f"DELETE FROM {_STALE_HOURS}")


def _compact_workflows(db: sqlite3.Connection) -> None:
    names, grouped = ", ".join(_WORKFLOW_NAMES), ", ".join(f"s.{name}" for name in _WORKFLOW_NAMES)
    db.execute(f"DELETE FROM {_WORKFLOWS} WHERE adw_id IN (SELECT adw_id FROM {_STALE_WORKFLOWS})")
    db.execute(
        f"INSERT INTO {_WORKFLOWS} ({names}, first, last, {_FIGURES}) "
        f"SELECT {grouped}, min(s.quarter), max(s.quarter), {_SUMS} "
        f"FROM {_STALE_WORKFLOWS} AS stale {_OF_WORKFLOWS} GROUP BY {grouped}"
    )
    db.execute(f"DELETE FROM {_STALE_WORKFLOWS}")


def source_of(
    by: Sequence[Group], where: Where, first: int | None, last: int | None, starts: Sequence[int] | None
) -> str:
    """Return the table that answers a query of `HistoryStore.spent` with the fewest rows, or a query of one."""
    names = {*by, *(name for name, _ in where)}
    if starts is None:
        return "costledger_spend"
    bounds = [*([] if first is None else [first]), *([] if last is None else [last + 1]), *starts[1:]]
    if names <= set(_AGENT_NAMES) and not any(bound % _QUARTERS for bound in bounds):
        return _from_hours("costledger_spend_hour_agent" if "agent" in names else "costledger_spend_hour")
    if names & {"agent", "session_id"}:
        return "costledger_spend"
    return _from_workflows(first, last, starts)


def _from_hours(table: str) -> str:
    """Return the sums of hours as a table of spend, with the spend of those that are marked."""
    names = ", ".join(_HOURS[table])
    return (
        f"(SELECT hour * {_QUARTERS} AS quarter, {names}, {_FIGURES} FROM {table} "
        f"WHERE hour NOT IN (SELECT hour FROM {_STALE_HOURS}) "
        f"UNION ALL SELECT quarter, {names}, {_FIGURES} FROM {_STALE_HOURS} {_OF_HOURS})"
    )


def _from_workflows(first: int | None, last: int | None, starts: Sequence[int]) -> str:
    """Return the sums of workflows within one period as a table of spend, with the spend of all others."""
    within = [f"{period_of('w.first', starts[1:])} = {period_of('w.last', starts[1:])}"] if len(starts) > 1 else []
    within += [] if first is None else [f"w.first >= {first}"]
    within += [] if last is None else [f"w.last <= {last}"]
    meets = [] if first is None else [f"w.last >= {first}"]
    meets += [] if last is None else [f"w.first <= {last}"]
    current = f"w.adw_id NOT IN (SELECT adw_id FROM {_STALE_WORKFLOWS})"
    whole, spend = (
        ", ".join([*(f"{of}.{name}" for name in _WORKFLOW_NAMES), *(f"{of}.{name}" for name in AMOUNTS)])
        for of in ("w", "s")
    )
    parts = [f"SELECT w.last AS quarter, {whole} FROM {_WORKFLOWS} AS w WHERE {' AND '.join([current, *within])}"]
    parts.append(f"SELECT s.quarter, {spend} FROM {_STALE_WORKFLOWS} AS stale {_OF_WORKFLOWS}")
    if within:
        same = " AND ".join(f"s.{name} IS w.{name}" for name in _WORKFLOW_NAMES[1:])
        divided = " AND ".join([f"NOT ({' AND '.join(within)})", current, *meets])
        joined = f"CROSS JOIN costledger_spend AS s ON s.adw_id = w.adw_id AND {same}"
        parts.append(f"SELECT s.quarter, {spend} FROM {_WORKFLOWS} AS w {joined} WHERE {divided}")
    return f"({' UNION ALL '.join(parts)})"
