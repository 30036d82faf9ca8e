"""Days, ISO weeks and months of a time zone, and the quarter hours that they are made of.

A quarter hour belongs to the day on which it starts. Pure: the zone is an argument, and None is the local one of this
host.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from typing import Final, Literal

from ledger.events import timestamps
from projections.folding.spend import QUARTER_SECONDS

__all__ = [
    "PERIODS",
    "Per",
    "bounds_of",
    "day_of",
    "label_of",
    "minute_of",
    "month_days",
    "quarters",
    "start_of",
    "starts_of",
]

Per = Literal["day", "week", "month"]

PERIODS: Final[tuple[Per, ...]] = ("day", "week", "month")

_STARTS_MAX: Final = 4_000
"""Eleven years of days; a query with more periods than that is summed by quarter hour."""


def day_of(quarter: int, zone: tzinfo | None) -> date:
    """Return the day on which a quarter hour starts; outside the years 1 to 9999 the nearest one inside."""
    try:
        return datetime.fromtimestamp(quarter * QUARTER_SECONDS, zone).date()
    except (OverflowError, ValueError, OSError):
        return date.min if quarter < 0 else date.max


def minute_of(at: float, zone: tzinfo | None) -> str:
    """Return a moment in seconds since 1970 to the minute; outside the years 1 to 9999 only the nearest day inside."""
    try:
        return f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):
        return (date.min if at < 0 else date.max).isoformat()


def start_of(quarter: int | None) -> str | None:
    """Return the start of a quarter hour in the ledger's spelling; None of None, and where the calendar has none."""
    try:
        return None if quarter is None else timestamps.to_wire(timestamps.from_unix(quarter * QUARTER_SECONDS))
    except (OverflowError, ValueError, OSError):
        return None


def label_of(per: Per, day: date) -> str:
    """Return the name of the period that a day is in: `2026-11-23`, `2026-W48` or `2026-11`."""
    if per == "day":
        return day.isoformat()
    if per == "month":
        return day.isoformat()[:7]
    year, week, _ = day.isocalendar()
    return f"{year:04d}-W{week:02d}"


def month_days(day: date) -> list[date]:
    """Return the days of the month that a day is in."""
    first = day.replace(day=1)
    days = [first + timedelta(days=number) for number in range(28)]
    while days[-1] < date.max and (following := days[-1] + timedelta(days=1)).month == day.month:
        days.append(following)
    return days


def bounds_of(per: Per, day: date) -> tuple[date, date]:
    """Return the first and the last day of the period that a day is in; the calendar ends with the year 9999."""
    first = _begin(per, day)
    try:
        return first, _next(per, first) - timedelta(days=1)
    except OverflowError:
        return first, date.max


def quarters(since: date | None, until: date | None, zone: tzinfo | None) -> tuple[int | None, int | None]:
    """Return the first and the last quarter hour of some days, both included; None: no bound."""
    last = None if until is None or until == date.max else _first_of(until + timedelta(days=1), zone)
    return None if since is None else _first_of(since, zone), None if last is None else last - 1


def starts_of(per: Per, first: int, last: int, zone: tzinfo | None) -> list[int] | None:
    """Return the quarter hours with which the periods of a span start, in order; None when there are too many.

    Args:
        first, last: the quarter hours of the span, both included; the first period may start before it.
    """
    day, found = _begin(per, day_of(first, zone)), list[int]()
    while len(found) < _STARTS_MAX:
        start = _first_of(day, zone)
        if start is None:
            return None
        if start > last:
            return found
        if not found or start > found[-1]:
            found.append(start)
        try:
            day = _next(per, day)
        except OverflowError:
            return None
    return None


def _begin(per: Per, day: date) -> date:
    """Return the first day of the period that a day is in."""
    if per == "month":
        return day.replace(day=1)
    back = day.weekday() if per == "week" else 0
    return day - timedelta(days=min(back, day.toordinal() - 1))


def _next(per: Per, day: date) -> date:
    if per == "month":
        return (day + timedelta(days=31)).replace(day=1)
    return day + timedelta(days=7 if per == "week" else 1)


def _first_of(day: date, zone: tzinfo | None) -> int | None:
    try:
        start = datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
    except (OverflowError, ValueError, OSError):
        return None
    return -int(-start // QUARTER_SECONDS)
