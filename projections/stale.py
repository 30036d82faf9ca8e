"""Stale: rows that may be wrong, and why; nothing here is proven, `verify` proves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ledger import money
from projections.workflow_history import HELD, Row

__all__ = ["Doubt", "doubts", "stale"]

_LOW_COST_NANOUSD: Final = 500_000_000
_MANY_TOKENS: Final = 100_000
"""The story's query for stuck rows: completed below $0.50 with more than 100,000 tokens."""

IDLE: Final = timedelta(hours=6)
"""A running workflow without an event for so long has probably ended unseen."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A row that may be wrong."""

    adw_id: str
    status: str
    cost_nanousd: int
    why: str
    next_step: str


def stale(
    rows: Iterable[Row], *, now: datetime, idle: timedelta = IDLE, changed_at: Mapping[str, datetime] | None = None
) -> Iterator[Doubt]:
    """Every doubt about these rows.

    Args:
        now: the moment against which idleness is measured.
        changed_at: when the newest source of a workflow was written, where that is known.
    """
    for found in rows:
        for why, next_step in doubts(found, now=now, idle=idle, changed_at=(changed_at or {}).get(found.adw_id)):
            yield Doubt(found.adw_id, found.status, found.actual_cost_nanousd, why, next_step)


def doubts(
    found: Row, *, now: datetime, idle: timedelta = IDLE, changed_at: datetime | None = None
) -> Iterator[tuple[str, str]]:
    """Why one row may be wrong, and what to do."""
    name, updated_at = found.adw_id, datetime.fromisoformat(found.updated_at)
    running = found.status == "running"
    if not running and found.actual_cost_nanousd < _LOW_COST_NANOUSD and found.total_tokens > _MANY_TOKENS:
        cost = money.shown(found.actual_cost_nanousd)
        yield f"ended at {cost} for {found.total_tokens:,} tokens", f"costledger explain -- {name}"
    if not running and found.cost_basis == "partial":
        yield "ended, and the cost is at least this: some usage has no price or is incomplete", _resync(name)
    if running and now - updated_at > idle:
        hours = (now - updated_at) / timedelta(hours=1)
        yield f"running, and no event for {hours:,.0f} hours", f"costledger complete -- {name} (or fail, cancel)"
    if f'"{HELD}"' in found.cost_breakdown:
        yield "held: somebody stored more than the ledger says", _resync(name, force=True)
    if '"possible_double_counting"' in found.cost_breakdown:
        yield "possible double counting", f"costledger show -- {name}"
    if '"unread_events"' in found.cost_breakdown:
        yield "events that this version does not know", "upgrade costledger"
    if changed_at is not None and changed_at > updated_at:
        yield f"a source was written at {changed_at:%Y-%m-%d %H:%M} UTC, after the last event", _resync(name)


def _resync(name: str, *, force: bool = False) -> str:
    return f"costledger resync {'--force ' if force else ''}-- {name}"
