"""Forecast: the burn rate of what runs, and what a month comes to by its end.

Both are made of sums of spend by quarter hour and day, so the month to date is that of every other report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from fractions import Fraction
from math import isqrt
from typing import Final

from ledger.events import timestamps
from projections.folding.row import Row
from projections.folding.spend import QUARTER_SECONDS
from projections.history.idle import IDLE_AFTER
from projections.history.query import LIMIT_MAX, Query
from projections.history.store import HistoryStore
from projections.reports.periods import month_days, quarters
from projections.reports.spend_report import Line, Report, SpendQuery, spend_report, spend_sums
from projections.reports.tags import TagRules

__all__ = ["SAMPLE_DAYS", "Burn", "Forecast", "Projection", "forecast", "projection"]

SAMPLE_DAYS: Final = 28
"""Four weeks before today: each weekday as often as the others, and enough days also on the first of a month."""

_EIGHT_OF_TEN: Final = Fraction(12816, 10000)
"""Standard deviations on either side that hold 80 % of a normal distribution."""

_BURN_QUARTERS: Final = 4
_SATURDAY: Final = 5

Where = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Projection:
    """What a month comes to, in nanodollars.

    Attributes:
        low_nanousd, high_nanousd: None where one day is too few for a range.
        days: the complete days that it is made of.
    """

    nanousd: int
    low_nanousd: int | None
    high_nanousd: int | None
    days: int

    @property
    def method(self) -> str:
        """How it was made, in one sentence."""
        made_of = "day" if self.days == 1 else f"{self.days} days"
        how = (
            f"Each day left counts as the mean of the {made_of} before today, weekdays and weekends apart, and so does "
            "today unless it has cost more"
        )
        if self.low_nanousd is None:
            return f"{how}; one day is too few for a range."
        return f"{how}; about 8 of 10 months end in the range, if days vary as these did, one independent of another."


@dataclass(frozen=True, slots=True)
class Burn:
    """What an open workflow has spent in the last hour, or since its start.

    Attributes:
        seconds: in which it was spent; at least a quarter hour.
    """

    row: Row
    spent: Line
    seconds: int

    @property
    def per_hour_nanousd(self) -> int:
        """The burn rate."""
        return round(Fraction(self.spent.cost * 3600, self.seconds))


@dataclass(frozen=True, slots=True)
class Forecast:
    """The burn rate of what runs, and what the month of a moment comes to.

    Attributes:
        month: the spend up to the end of today.
        projected: None before the first complete day, and while nothing that was used has a price.
        burns: open workflows that are not idle, the highest rate first.
    """

    made_at: datetime
    today: date
    month: Report
    projected: Projection | None
    burns: tuple[Burn, ...]

    @property
    def per_hour_nanousd(self) -> int:
        """The burn rate of all that runs."""
        return sum(burn.per_hour_nanousd for burn in self.burns)


def forecast(
    history: HistoryStore,
    zone: tzinfo | None,
    now: datetime,
    *,
    where: Where = (),
    rules: TagRules = (),
    idle_after: timedelta | None = None,
) -> Forecast:
    """Return the forecast of a moment.

    Args:
        zone: whose days; None is the local one of this host.
        where, rules: see `SpendQuery` and `dimensions.dimension`.
        idle_after: see `is_idle`.

    Raises:
        InvalidInput: a name is no dimension and no tag, or a value is none of its dimension.
        HistoryUnavailable: the store cannot be used.
    """
    today = now.astimezone(zone).date()
    days = month_days(today)
    first, last = quarters(days[0], today, zone)
    month = spend_report(history, SpendQuery(where=where, first=first, last=last), zone, rules=rules)
    daily = _daily(
        history, SpendQuery(per="day", where=where, last=last), zone, rules, min(days[0], _sampled_from(today))
    )
    spent = {date.fromisoformat(line.period): line.cost for line in daily.lines if line.period}
    before = sum(spent.get(day, 0) for day in days if day < today)
    sample = {} if daily.unpriced and not any(spent.values()) else _sample(spent, today)
    projected = projection(before, spent.get(today, 0), sample, days, today)
    burns = sorted(
        _burns(history, zone, now, where=where, rules=rules, idle_after=idle_after),
        key=lambda burn: (-burn.per_hour_nanousd, burn.row.adw_id),
    )
    return Forecast(now, today, month, projected, tuple(burns))


def projection(
    before: int, spent_today: int, sample: Mapping[date, int], days: Sequence[date], today: date
) -> Projection | None:
    """Return what a month comes to; None without a complete day.

    It is at least what was spent, and exact when every day is the same.

    Args:
        before: nanodollars of the month before today.
        sample: nanodollars by complete day.
        days: those of the month.
    """
    if not sample:
        return None
    total, variance = Fraction(before), Fraction(0)
    ahead = [day for day in days if day >= today]
    for is_weekend in (False, True):
        of_kind = [nanousd for day, nanousd in sample.items() if _is_weekend(day) is is_weekend]
        values = of_kind if len(of_kind) > 1 else list(sample.values())
        mean = max(Fraction(sum(values), len(values)), Fraction(0))
        left = [day for day in ahead if _is_weekend(day) is is_weekend]
        total += sum(max(mean, Fraction(spent_today)) if day == today else mean for day in left)
        if len(values) > 1:
            each = sum(((value - mean) * (value - mean) for value in values), Fraction(0)) / (len(values) - 1)
            variance += each * len(left) * (1 + Fraction(len(left), len(values)))
    nanousd, spent = round(total), before + spent_today
    if len(sample) == 1:
        return Projection(nanousd, None, None, 1)
    spread = round(_EIGHT_OF_TEN * isqrt(int(variance)))
    return Projection(nanousd, max(nanousd - spread, spent), nanousd + spread, len(sample))


def _daily(history: HistoryStore, query: SpendQuery, zone: tzinfo | None, rules: TagRules, since: date) -> Report:
    """Return the report from a day on; of all of the time where it may be that nothing was spent, or priced, before."""
    first, _ = quarters(since, None, zone)
    found = spend_report(history, replace(query, first=first), zone, rules=rules)
    complete = found.lines and found.lines[0].period == since.isoformat() and any(line.cost for line in found.lines)
    return found if complete else spend_report(history, query, zone, rules=rules)


def _sampled_from(today: date) -> date:
    return today - timedelta(days=min(SAMPLE_DAYS, today.toordinal() - 1))


def _sample(spent: Mapping[date, int], today: date) -> dict[date, int]:
    """Return the spend of each complete day of the last weeks, from the first day with spend on."""
    begin = max(_sampled_from(today), min(spent, default=today))
    found = [begin + timedelta(days=number) for number in range((today - begin).days)]
    return {day: spent.get(day, 0) for day in found}


def _burns(
    history: HistoryStore,
    zone: tzinfo | None,
    now: datetime,
    *,
    where: Where,
    rules: TagRules,
    idle_after: timedelta | None,
) -> Iterator[Burn]:
    first = int(now.timestamp()) // QUARTER_SECONDS - _BURN_QUARTERS + 1
    last = first + _BURN_QUARTERS - 1
    spent: dict[str, Line] = {}
    query = SpendQuery(("workflow",), where=where, first=first, last=last)
    for _, (adw_id,), model, _, packed in spend_sums(history, query, zone, rules=rules):
        spent.setdefault(str(adw_id), Line()).take(model, packed)
    for row in _running(history, now - (idle_after or IDLE_AFTER)):
        if where and row.adw_id not in spent:
            continue
        start = timestamps.moment(row.start_time)
        begin = first * QUARTER_SECONDS if start is None else max(first * QUARTER_SECONDS, int(start.timestamp()))
        seconds = max(int(now.timestamp()) - begin, QUARTER_SECONDS)
        yield Burn(row, spent.get(row.adw_id, Line()), seconds)


def _running(history: HistoryStore, active_since: datetime) -> Iterator[Row]:
    """Yield the open workflows that are not idle."""
    offset = 0
    while True:
        since = timestamps.to_wire(active_since)
        page = history.page(Query(statuses=("running",), since=since, limit=LIMIT_MAX, offset=offset))
        yield from page.rows
        offset += LIMIT_MAX
        if offset >= page.totals.count:
            return


def _is_weekend(day: date) -> bool:
    return day.weekday() >= _SATURDAY
