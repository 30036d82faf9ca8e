"""Stale: rows that may be wrong, and why; nothing here is proven, `verify` proves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson

from ledger import clock, money
from ledger.words import counted
from projections.workflow_history import HELD, Row

__all__ = [
    "AHEAD",
    "IDLE",
    "LOW_COST_NANOUSD",
    "MANY_TOKENS",
    "MARKS",
    "WRONG_CLOCK",
    "Doubt",
    "doubts",
    "may_doubt",
    "stale",
]

LOW_COST_NANOUSD: Final = 500_000_000
MANY_TOKENS: Final = 100_000
"""The story's query for stuck rows: completed below $0.50 with more than 100,000 tokens."""

MARKS: Final = (f'"{HELD}"', '"possible_double_counting"', '"unread_events"', '"retries_without_counter"')
"""What is said in the breakdown of a row that may be wrong."""

IDLE: Final = timedelta(hours=6)
"""A running workflow without an event for so long has probably ended unseen."""

AHEAD: Final = timedelta(hours=1)
"""More than clocks of hosts differ: an event recorded so far ahead was given its time by a wrong clock."""

WRONG_CLOCK: Final = "give later events their observed_at, or go on under another id (docs/troubleshooting.md)"


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


def may_doubt(found: Row, idle_before: str) -> bool:
    """Whether there may be doubts about a row: what a store's `doubtful` is to give.

    Args:
        idle_before: a running row without an event since is idle; in the ledger's spelling.
    """
    running = found.status == "running"
    cheap = found.actual_cost_nanousd < LOW_COST_NANOUSD and found.total_tokens > MANY_TOKENS
    suspicious = found.updated_at < idle_before if running else found.cost_basis == "partial" or cheap
    return suspicious or any(mark in found.cost_breakdown for mark in MARKS)


def doubts(
    found: Row, *, now: datetime, idle: timedelta = IDLE, changed_at: datetime | None = None
) -> Iterator[tuple[str, str]]:
    """Why one row may be wrong, and what to do."""
    name, updated_at = found.adw_id, clock.moment(found.updated_at)
    running = found.status == "running"
    if not running and found.actual_cost_nanousd < LOW_COST_NANOUSD and found.total_tokens > MANY_TOKENS:
        cost = money.shown(found.actual_cost_nanousd)
        yield f"ended at {cost} for {found.total_tokens:,} tokens", f"costledger explain -- {name}"
    held, twice, unread, retries = (mark in found.cost_breakdown for mark in MARKS)
    if retries:
        yield _without_counter(found)
    if not running and found.cost_basis == "partial" and not unread and (found.unpriced_events or not retries):
        yield _lower_bound(found)
    if running and updated_at is not None and now - updated_at > idle:
        hours = (now - updated_at) / timedelta(hours=1)
        yield f"running, and no event for {hours:,.0f} hours", f"costledger complete -- {name} (or fail, cancel)"
    if updated_at is not None and updated_at - now > AHEAD:
        why = f"its last event was recorded at {updated_at:%Y-%m-%d %H:%M} UTC, ahead of the clock"
        yield why, WRONG_CLOCK
    if held:
        yield "held: somebody stored more than the ledger says", _resync(name, force=True)
    if twice:
        yield "possible double counting", f"costledger show -- {name}"
    if unread:
        yield "events that this version does not know", "upgrade costledger"
    if changed_at is not None and updated_at is not None and changed_at > updated_at:
        yield f"a source was written at {changed_at:%Y-%m-%d %H:%M} UTC, after the last event", _resync(name)


def _without_counter(found: Row) -> tuple[str, str]:
    """Which meters began at zero again in a retry without a counter; what they read can not be added by guess."""
    meters = ", ".join(orjson.loads(found.cost_breakdown)["retries_without_counter"])
    why = f"the cost is at least this: a retry read less than the runs before it had cost ({meters})"
    return why, (
        f"costledger observe --counter ATTEMPT … -- {found.adw_id} (from now on: another name for each attempt), "
        f"costledger correct --cost-usd USD --reason WHY -- {found.adw_id} (what all attempts cost)"
    )


def _lower_bound(found: Row) -> tuple[str, str]:
    """Why an ended row's cost is at least what it shows; reading the sources once more changes neither cause."""
    why, name = "ended, and the cost is at least this", found.adw_id
    if found.unpriced_events:
        tokens = f"the tokens of {counted(found.unpriced_events, 'meter')} have no price"
        return f"{why}: {tokens}", f"costledger reprice --reason WHY -- {name} (once [[prices]] has their rates)"
    settled = f"costledger correct --cost-usd USD --reason WHY -- {name} (if you know the figure)"
    return f"{why}: some usage is known to be incomplete, as that of a killed session", settled


def _resync(name: str, *, force: bool = False) -> str:
    return f"costledger resync {'--force ' if force else ''}-- {name}"
