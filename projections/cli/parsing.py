"""Times, days and periods as people type them; every option that takes one reads it here.

A period is a day, week, month or year: `today`, `yesterday`, `this week`, `last month`, `2026-11-23`, `2026-11`. A span
such as `7d` means so long ago, and for an option of whole days the last seven days, today included.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final, TypeVar

import click

from ledger.errors import InvalidInput
from projections.reports.periods import bounds_of

__all__ = ["EXAMPLES", "day_range", "moment_named", "moment_option"]

F = TypeVar("F", bound=Callable[..., Any])

EXAMPLES: Final = "2026-11-23, 2026-11-23T18:33, today, yesterday, last week, this month or 7d"
"""What every message and help text names."""

_SPAN: Final = re.compile(r"(\d{1,6}) ?([a-z]+)( ago)?", re.ASCII)
_UNITS: Final = {
    "minutes": ("min", "minute", "minutes"),
    "hours": ("h", "hour", "hours"),
    "days": ("d", "day", "days"),
    "weeks": ("w", "week", "weeks"),
    "months": ("mo", "month", "months"),
    "years": ("y", "year", "years"),
}
_UNIT_OF: Final = {spelling: unit for unit, spellings in _UNITS.items() for spelling in spellings}
_CALENDAR: Final = re.compile(r"(this|last) (week|month|year)")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}|\d{4}-W\d{2}-\d", re.ASCII)
_MONTH: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Days:
    """From the first day to the last one, both included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class _Ago:
    """A span back from now."""

    count: int
    unit: str

    def before(self, now: datetime) -> datetime:
        """Return the moment so long before; a month or year back is the same day of that month, or its last one."""
        if self.unit in ("months", "years"):
            months = 12 * now.year + now.month - 1 - self.count * (12 if self.unit == "years" else 1)
            year, month = divmod(months, 12)
            last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
            return now.replace(year=year, month=month + 1, day=min(now.day, last))
        return now - timedelta(**{self.unit: self.count})

    @property
    def is_of_days(self) -> bool:
        """Return whether a span is of whole days."""
        return self.unit not in ("minutes", "hours")


def moment_option(name: str, help: str, *, end_of_day: bool = False) -> Callable[[F], F]:
    """Return an option that takes a time or a period; without a zone it is the local one's.

    Args:
        end_of_day: a period means its end, the first moment after it; otherwise its beginning.
    """

    def parse(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:  # noqa: ARG001
        return None if value is None else moment_named(name, value, end_of_day=end_of_day)

    return click.option(name, metavar="TIME", callback=parse, help=help)


def moment_named(where: str, text: str, *, end_of_day: bool = False) -> datetime:
    """Return the moment that a person means, in the local zone unless it names one.

    Args:
        where: what the sentence calls it, such as an option.
        end_of_day: a period means its end, the first moment after it; otherwise its beginning.

    Raises:
        InvalidInput: it is no time.
    """
    try:
        found = _read(where, text, datetime.now())  # noqa: DTZ005 - what people type is local
        if isinstance(found, _Ago):
            return found.before(datetime.now()).astimezone()  # noqa: DTZ005
        if isinstance(found, _Days):
            if end_of_day and found.last == date.max:  # where the calendar ends
                return datetime.max.replace(tzinfo=UTC)
            day = found.last + timedelta(days=1) if end_of_day else found.first
            return datetime(day.year, day.month, day.day).astimezone()
        return found.astimezone()
    except (ValueError, OverflowError):
        raise _none(where, text) from None


def day_range(
    since: str | None, until: str | None, zone: tzinfo | None, *, names: tuple[str, str] = ("--since", "--until")
) -> tuple[date | None, date | None]:
    """Return the first and the last day of a report, of `--since` and `--until`.

    Args:
        zone: whose today it is; None is the local one.
        names: what the sentences call them.

    Raises:
        InvalidInput: one of them is no day, or the first is after the last.
    """
    now = datetime.now(zone) if zone is not None else datetime.now().astimezone()
    first, last = _day(names[0], since, now, is_last=False), _day(names[1], until, now, is_last=True)
    if first is not None and last is not None and first > last:
        raise InvalidInput(f"{names[0]} {since} is after {names[1]} {until}")
    return first, last


def _day(where: str, text: str | None, now: datetime, *, is_last: bool) -> date | None:
    if text is None:
        return None
    try:
        found = _read(where, text, now)
        if isinstance(found, _Days):
            return found.last if is_last else found.first
        if isinstance(found, _Ago):
            # The last 7 days begin six days ago; what is until them ends the day before.
            begin = found.before(now).date()
            return begin if is_last or not found.is_of_days else begin + timedelta(days=1)
        return (found if found.tzinfo is None else found.astimezone(now.tzinfo)).date()
    except (ValueError, OverflowError):
        raise _none(where, text) from None


def _read(where: str, text: str, now: datetime) -> _Days | _Ago | datetime:
    """What is meant: days, a span back from now, or a moment.

    Raises:
        InvalidInput: a unit that means two things.
        ValueError, OverflowError: no time, or none that the calendar has.
    """
    words = " ".join(text.lower().split())
    today = now.date()
    if words == "now":
        return now
    if words in ("today", "yesterday"):
        first = today - timedelta(days=words == "yesterday")
        return _Days(first, first)
    if (named := _CALENDAR.fullmatch(words)) is not None:
        return _calendar(named[2], today, back=int(named[1] == "last"))
    if (span := _SPAN.fullmatch(words)) is not None:
        if span[2] == "m":
            raise InvalidInput(f"{where} {text!r}: write {span[1]}min for minutes, or {span[1]}mo for months")
        if span[2] in _UNIT_OF:
            return _Ago(int(span[1]), _UNIT_OF[span[2]])
    if (month := _MONTH.fullmatch(words)) is not None:
        return _calendar("month", date(int(month[1]), int(month[2]), 1), back=0)
    if _DAY.fullmatch(text.strip().upper()):
        first = date.fromisoformat(text.strip().upper())
        return _Days(first, first)
    return datetime.fromisoformat(text.strip())


def _calendar(unit: str, day: date, *, back: int) -> _Days:
    """The week, month or year that a day is in, or the one before it."""
    if unit == "week":
        return _Days(*bounds_of("week", day - timedelta(days=7 * back)))
    if unit == "year":
        return _Days(date(day.year - back, 1, 1), date(day.year - back, 12, 31))
    year, month = divmod(12 * day.year + day.month - 1 - back, 12)
    return _Days(*bounds_of("month", date(year, month + 1, 1)))


def _none(where: str, text: str) -> InvalidInput:
    return InvalidInput(f"{where} {text!r} is no time: give {EXAMPLES}")
