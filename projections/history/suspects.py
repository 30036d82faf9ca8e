"""Findings about rows that need attention, each with a next step; `verify` proves, this suspects.

The next step ends a finding, or it is accepted (`finding_accepted`): then it is not reported again until its facts
change. Without a possible next step there is no finding: an honest lower bound is "≥" in its row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol

import orjson

from ledger.events import money, timestamps
from ledger.text import counted
from projections.folding.cost_words import row_cost
from projections.folding.row import HELD, Row
from projections.history.idle import is_moved

__all__ = [
    "AHEAD",
    "IDLE",
    "LOW_COST_NANOUSD",
    "MANY_TOKENS",
    "MARKS",
    "Lookups",
    "Suspect",
    "accept_command",
    "covering",
    "is_accepted",
    "recorded_ahead",
    "stale",
    "suspect_conditions",
    "suspects",
]

LOW_COST_NANOUSD: Final = 500_000_000
MANY_TOKENS: Final = 100_000
"""The story's query for stuck rows: ended below $0.50 with more than 100,000 tokens. Their tokens then decide."""

LOW_SHARE_PERCENT: Final = 40
"""Of what its tokens come to; below half, since batches cost half of the list price."""

MARKS: Final = (f'"{HELD}"', '"possible_double_counting"', '"unread_events"', '"retries_without_counter"')
"""The keys in the breakdown of a row that may need attention."""

IDLE: Final = timedelta(hours=6)
"""A running workflow of a program without an event for this long has probably ended without a record."""

AHEAD: Final = timedelta(hours=1)
"""More than the clocks of hosts differ: an event recorded this far ahead has its time from a wrong clock."""

_COVERS_CHARACTERS_MAX: Final = 120


class Lookups(Protocol):
    """The facts beyond a row that decide about findings: prices, and the ledger."""

    def worth_nanousd(self, row: Row) -> int | None:
        """Return the lowest list price of a row's tokens; None when they name no model."""
        ...

    def is_of_program(self, row: Row) -> bool:
        """Return whether a program runs the workflow, and so records its end; the log of a session does not."""
        ...

    def can_reprice(self, row: Row) -> bool:
        """Return whether `reprice` has a price today for tokens of a row that have none."""
        ...


@dataclass(frozen=True, slots=True)
class Suspect:
    """A finding: why a row needs attention, and the next step.

    Attributes:
        kind: a constant for programs, the same for all findings of this kind.
        covers: the facts that an acceptance of it covers; with another text it is another finding.
    """

    row: Row
    kind: str
    why: str
    next_step: str
    covers: str

    @property
    def adw_id(self) -> str:
        """The id of the row."""
        return self.row.adw_id


def stale(
    rows: Iterable[Row],
    *,
    now: datetime,
    idle: timedelta = IDLE,
    grown_at: Mapping[str, datetime] | None = None,
    lookups: Lookups | None = None,
) -> Iterator[Suspect]:
    """Yield every finding about these rows; see `suspects`.

    Args:
        grown_at: when the newest source of a workflow was written, where it has more than the ledger.
    """
    for found in rows:
        yield from suspects(found, now=now, idle=idle, grown_at=(grown_at or {}).get(found.adw_id), lookups=lookups)


_BREAKDOWN: Final = "CAST(cost_breakdown AS text)"
_MARKED: Final = " OR ".join(f"replace({_BREAKDOWN}, '{mark}', '') <> {_BREAKDOWN}" for mark in MARKS)

SUSPECT_INDEX: Final = (
    f"(status = 'running' OR unpriced_events > 0 OR {_MARKED} "
    f"OR (actual_cost_nanousd < {LOW_COST_NANOUSD} AND total_tokens > {MANY_TOKENS}))"
)
"""The condition of an index, in SQL that both databases read; it includes all running rows, since whether one is idle
depends on the clock.
"""


def suspect_conditions(mark: str) -> str:
    """Return the conditions, order and limit of a query for the rows that may need attention.

    Its values are: since when a running row is idle, the limit, the offset.

    Args:
        mark: the placeholder of a value in this database.
    """
    now = f"(status <> 'running' OR updated_at < {mark} OR unpriced_events > 0 OR {_MARKED})"
    return f"{SUSPECT_INDEX} AND {now} ORDER BY updated_at DESC, adw_id LIMIT {mark} OFFSET {mark}"


def is_cheap(found: Row) -> bool:
    """Return whether a row cost little for many tokens; the list price of these decides whether it is suspect."""
    return found.actual_cost_nanousd < LOW_COST_NANOUSD and found.total_tokens > MANY_TOKENS


def suspects(
    found: Row,
    *,
    now: datetime,
    idle: timedelta = IDLE,
    grown_at: datetime | None = None,
    lookups: Lookups | None = None,
) -> Iterator[Suspect]:
    """Yield the findings about one row that were not accepted.

    Args:
        now: the moment against which idleness is measured.
        grown_at: see `stale`.
        lookups: None: a low cost and tokens without a price are no findings, and every idle row is.
    """
    for one in _suspects(found, now, idle, grown_at, lookups):
        if not is_accepted(one):
            yield one


def is_accepted(one: Suspect) -> bool:
    """Return whether exactly this finding was accepted."""
    if '"accepted"' not in one.row.cost_breakdown:
        return False
    accepted = orjson.loads(one.row.cost_breakdown).get("accepted", {}).get(one.kind)
    return accepted is not None and accepted["covers"] == one.covers


def covering(*facts: object) -> str:
    """Return a text that changes with a finding's facts; a long one is replaced by its digest."""
    text = ", ".join(map(str, facts))
    if text and len(text) <= _COVERS_CHARACTERS_MAX and text.isprintable():
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def accept_command(adw_id: str) -> str:
    """Return the command that accepts the findings about a row."""
    return f"costledger stale --accept {adw_id} --reason WHY"


def _suspects(
    found: Row, now: datetime, idle: timedelta, grown_at: datetime | None, lookups: Lookups | None
) -> Iterator[Suspect]:
    name, updated_at = found.adw_id, timestamps.moment(found.updated_at)
    running = found.status == "running"
    unpriced = found.unpriced_events > 0 and lookups is not None and lookups.can_reprice(found)
    if unpriced:
        yield _unpriced(found)
    elif not running and is_cheap(found) and lookups is not None:
        yield from _low_cost(found, lookups.worth_nanousd(found))
    yield from _held(found)
    yield from _marked(found)
    silent = running and updated_at is not None and now - updated_at > idle and not is_moved(found)
    if silent and updated_at is not None and (lookups is None or lookups.is_of_program(found)):
        hours = (now - updated_at) / timedelta(hours=1)
        next_step = f"costledger complete -- {name} (or fail, cancel)"
        covers = covering(found.last_activity or found.created_at)
        yield Suspect(found, "silent", f"running, and no event for {hours:,.0f} hours", next_step, covers)
    yield from _recorded_ahead(found, now)
    if grown_at is not None and not running and updated_at is not None and grown_at > updated_at:
        why = f"a source was written at {grown_at:%Y-%m-%d %H:%M} UTC, after the last event, and holds more"
        yield Suspect(found, "source_grown", why, _resync(name), covering(timestamps.to_wire(grown_at)))


def recorded_ahead(found: Row, now: datetime) -> Iterator[Suspect]:
    """The finding about a row whose last event was recorded ahead of the clock, unless it was accepted."""
    yield from (one for one in _recorded_ahead(found, now) if not is_accepted(one))


def _recorded_ahead(found: Row, now: datetime) -> Iterator[Suspect]:
    updated_at = timestamps.moment(found.updated_at)
    if updated_at is None or updated_at - now <= AHEAD:
        return
    why = f"its last event was recorded at {updated_at:%Y-%m-%d %H:%M} UTC, ahead of the clock"
    dated = "give later events their observed_at, or " if found.status == "running" else ""
    repair = f"{dated}go on under another id (docs/troubleshooting.md)"
    covers = covering(f"{updated_at:%Y-%m-%d}")
    yield Suspect(found, "ahead_of_clock", why, f"{accept_command(found.adw_id)} ({repair})", covers)


def _low_cost(found: Row, worth_nanousd: int | None) -> Iterator[Suspect]:
    """Yield a finding for a cost well below the list price of the row's tokens, or for tokens without any model."""
    cost = found.actual_cost_nanousd
    if worth_nanousd is not None and 100 * cost >= LOW_SHARE_PERCENT * worth_nanousd:
        return
    if worth_nanousd is None and (found.unpriced_events or found.cost_basis is None):
        return  # they have no price, and the row shows that
    why = f"ended at {row_cost(found)} for {found.total_tokens:,} tokens"
    worth, usd = ", whose models are unknown", "USD"
    if worth_nanousd is not None:
        worth, usd = f", which come to {money.shown(worth_nanousd)} at least", money.to_wire(worth_nanousd)
    next_step = f"costledger correct --cost-usd {usd} --reason WHY -- {found.adw_id} (costledger explain says why)"
    yield Suspect(found, "low_cost", why + worth, next_step, covering(money.to_wire(cost), found.total_tokens))


def _unpriced(found: Row) -> Suspect:
    models = _breakdown(found).get("unpriced", {})
    why = f"{counted(found.unpriced_events, 'reading')} without a price, and there is one today"
    next_step = f"costledger reprice --yes --reason WHY -- {found.adw_id} (without --yes it shows what changes)"
    return Suspect(found, "unpriced", why, next_step, covering(*(f"{n} {m['tokens']}" for n, m in models.items())))


def _held(found: Row) -> Iterator[Suspect]:
    """Yield a finding for a row with more than its ledger: the part that a fold marked, or its cost above its parts."""
    parts = _breakdown(found).get("by_agent")
    if parts is None:
        return  # a row of another program
    marked = parts.get(HELD)
    raised = found.actual_cost_nanousd - int(sum(map(Decimal, parts.values())) * money.NANOUSD_PER_USD)
    if marked is not None or raised > 0:
        why = "held: more is stored than the ledger says"
        covers = covering(money.to_wire(raised) if marked is None else marked)
        yield Suspect(found, "held", why, _resync(found.adw_id, force=True), covers)


def _marked(found: Row) -> Iterator[Suspect]:
    """Yield the findings that the breakdown itself names."""
    if not any(mark in found.cost_breakdown for mark in MARKS):
        return
    name, breakdown = found.adw_id, _breakdown(found)
    if retries := breakdown.get("retries_without_counter"):
        meters = ", ".join(retries)
        why = f"the cost is at least this: a retry read less than the attempts before it had cost ({meters})"
        next_step = (
            f"costledger correct --cost-usd USD --reason WHY -- {name} (what all attempts cost; from now on "
            f"costledger observe --counter ATTEMPT … -- {name}, another name for each attempt)"
        )
        yield Suspect(found, "retry_without_counter", why, next_step, covering(meters))
    if twice := breakdown.get("possible_double_counting"):
        next_step = f"{accept_command(name)} (if costledger show -- {name} is right; else costledger correct)"
        yield Suspect(found, "possible_double_counting", "possible double counting", next_step, covering(*twice))
    if unread := breakdown.get("unread_events"):
        why = "events that this version does not know"
        yield Suspect(found, "unread_events", why, "upgrade costledger", covering(unread))


def _breakdown(found: Row) -> dict[str, Any]:
    breakdown: dict[str, Any] = orjson.loads(found.cost_breakdown)
    return breakdown


def _resync(name: str, *, force: bool = False) -> str:
    return f"costledger resync {'--force ' if force else ''}-- {name}"
