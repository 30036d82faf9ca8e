"""The cache of sessions: what a drain remembers of each, and what its status line shows until the next drain.

The status line reads it and nothing else; without it, the line shows the counter.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.claude_code.spool import Spool, same_start
from ledger.claude_code.statusline_readings import SpoolLine, StatusLineSession, elsewhere, sessions
from ledger.errors import CostledgerError
from ledger.events import money
from ledger.events.event import Line
from ledger.storage.store import LedgerStore
from projections.folding.fold import State, fold, initial
from projections.folding.projection import projected
from projections.reports.budgets import Budgets, budget_status

__all__ = ["CachedSession", "counters", "updated", "write"]

_SESSIONS_MAX: Final = 500
"""Sessions in the cache."""

CachedSession = dict[str, Any]


def updated(stored: Mapping[str, CachedSession], items: Iterable[SpoolLine]) -> dict[str, CachedSession]:
    """Return the stored sessions, updated by these lines."""
    sessions = {session_id: dict(session) for session_id, session in stored.items()}
    for item in items:
        session = sessions[item.session_id]
        if item.project_dir and (item.counter_usd is not None or "project_dir" not in session):
            session["project_dir"] = item.project_dir  # a hook names the folder that the agent has changed to
        session |= {"agent": item.agent} if item.agent else {}
        session |= {"cleared": True} if item.cleared else {}
        if item.counter_usd is not None and not _is_older(item, session):
            session |= {"counter_usd": item.counter_usd, "since_ms": item.since_ms, "duration_ms": item.duration_ms}
    return sessions


def _is_older(item: SpoolLine, session: CachedSession) -> bool:
    """Return whether this reading is older than the stored one."""
    stored_ms = session.get("duration_ms")
    if stored_ms is None or item.duration_ms is None or item.duration_ms >= stored_ms:
        return False
    return same_start(item.since_ms, session.get("since_ms"))


def counters(
    spool: Spool, item: SpoolLine, fresh: Mapping[str, CachedSession]
) -> Iterator[tuple[bool, tuple[int, int | None]]]:
    """Yield, for each other session of the same project, whether it was cleared, and its counter's figure and start.

    Args:
        fresh: sessions that are not stored yet.
    """
    for session_id in {*fresh, *_stored(spool)} - {item.session_id}:
        session = fresh.get(session_id) or spool.session(session_id)
        if session.get("project_dir") == item.project_dir and session.get("counter_usd"):
            yield bool(session.get("cleared")), (money.parse(session["counter_usd"]), session.get("since_ms"))


def _stored(spool: Spool) -> list[str]:
    """Return the sessions in the cache, the last written first."""
    folder = Path(spool.session_path("x")).parent
    try:
        found = [(entry.stat().st_mtime, entry.name) for entry in os.scandir(folder) if entry.name.endswith(".json")]
    except FileNotFoundError:
        return []
    return [name.removesuffix(".json") for _, name in sorted(found, reverse=True)]


def write(
    spool: Spool, store: LedgerStore, budgets: Budgets, workflow_id: str, cached: Mapping[str, CachedSession]
) -> None:
    """Store sessions of one workflow, with its row's cost and budget."""
    state, lines = initial(workflow_id), list[Line]()
    try:
        reader = store.read(workflow_id)
        for line in reader:
            lines.append(line)
            fold(state, line)
    except CostledgerError:
        return  # nothing of it has been appended yet: a transcript without a call, for example
    row, by_id = projected(state, reader.head).row, sessions(lines)
    budget = budget_status(row, budgets)
    shown = {
        "workflow_id": workflow_id,
        "cost_usd": money.to_wire(row.actual_cost_nanousd),
        "cost_basis": row.cost_basis,
        "budget_usd": None if budget is None else money.to_wire(budget.budget_nanousd),
        "budget_warn_at": None if budget is None or not budget.warn_at else str(budget.warn_at[0]),
    }
    for session_id, one in cached.items():
        session = by_id.get(session_id) or StatusLineSession()
        session.elsewhere_nanousd = elsewhere(store, session_id, one.get("elsewhere", ()))
        session.cover(one.get("agent"))
        path = Path(spool.session_path(session_id))
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        ahead = {"ahead_usd": money.to_wire(_ahead_nanousd(state, session_id, session))}
        new.write_bytes(orjson.dumps(one | shown | ahead))
        new.replace(path)
    for session_id in _stored(spool)[_SESSIONS_MAX:]:
        with suppress(FileNotFoundError):
            os.unlink(spool.session_path(session_id))


def _ahead_nanousd(state: State, session_id: str, session: StatusLineSession) -> int:
    """Return how far the session's meter is above its counters: by this much these can grow before the row does."""
    meter = state.tree.meter((session.agent, session_id, None, None))
    return max(0, meter.cost_nanousd - (session.counter.nanousd - session.outside_meter_nanousd))
