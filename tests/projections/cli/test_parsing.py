"""Times, days and periods as people type them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInput
from projections.cli.parsing import _Ago, _calendar, day_range, moment_named

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = datetime.fromisoformat("2026-11-23")
TODAY = datetime.now(BERLIN).date()


def since(text: str) -> date | None:
    return day_range(text, None, BERLIN)[0]


def until(text: str) -> date | None:
    return day_range(None, text, BERLIN)[1]


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def test_reports_take_days_and_the_days_of_periods() -> None:
    assert (since("today"), until("today")) == (TODAY, TODAY)
    assert (since("Yesterday"), until("yesterday")) == (ago(1), ago(1))
    monday = ago(TODAY.weekday())
    assert (since("this week"), until("last week")) == (monday, monday - timedelta(days=1))
    assert until("last month") == TODAY.replace(day=1) - timedelta(days=1)
    assert (since("last month"), since("this year")) == (
        (TODAY.replace(day=1) - timedelta(days=1)).replace(day=1),
        TODAY.replace(month=1, day=1),
    )
    assert (since("2026-11"), until("2026-11")) == (date(2026, 11, 1), date(2026, 11, 30))
    assert (since("2026-02-03"), until("20260203")) == (date(2026, 2, 3), date(2026, 2, 3))
    assert since("2026-02-03T23:30Z") == date(2026, 2, 4), "the day of the report's zone"


def test_a_span_of_days_is_so_many_days_today_included_and_until_it_is_all_before() -> None:
    assert (since("1d"), since("7d"), since("2 weeks")) == (TODAY, ago(6), ago(13))
    assert (until("7d"), until("7 days ago")) == (ago(7), ago(7))


def test_a_moment_is_local_unless_it_names_a_zone_and_a_period_has_two_ends() -> None:
    assert moment_named("--at", "2026-11-23T18:33:01Z") == datetime(2026, 11, 23, 18, 33, 1, tzinfo=UTC)
    begin, end = (moment_named("--at", "2026-11-23", end_of_day=last) for last in (False, True))
    assert (begin.replace(tzinfo=None), end.replace(tzinfo=None)) == tuple(
        map(datetime.fromisoformat, ("2026-11-23", "2026-11-24"))
    )
    now = datetime.now(UTC)
    assert abs(now - timedelta(hours=12) - moment_named("--since", "12h")) < timedelta(minutes=1)
    assert abs(now - timedelta(minutes=30) - moment_named("--since", "30 min")) < timedelta(minutes=1)
    assert abs(now - moment_named("--since", "now")) < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["soon", "", "7", "-7d", "2026-13", "2026-02-30", "last day", "999999y", "7 parsecs"])
def test_what_is_no_time_is_answered_with_examples(text: str) -> None:
    for read in (since, lambda text: moment_named("--since", text)):
        with pytest.raises(InvalidInput, match=r"is no time: give 2026-11-23, .*, this month or 7d"):
            read(text)


def test_minutes_and_months_are_told_apart() -> None:
    with pytest.raises(InvalidInput, match="write 5min for minutes, or 5mo for months"):
        moment_named("--since", "5m")


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InvalidInput, match="--since today is after --until yesterday"):
        day_range("today", "yesterday", BERLIN)


@pytest.mark.parametrize(("text", "first"), [("9999-12-31", date(9999, 12, 31)), ("9999-12", date(9999, 12, 1))])
def test_the_last_day_of_the_calendar_is_a_day(text: str, first: date) -> None:
    assert day_range(text, text, BERLIN) == (first, date.max)
    assert moment_named("--since", text) < moment_named("--until", text, end_of_day=True)


DAYS = st.dates(date(1970, 2, 1), date(9990, 1, 1))


@given(DAYS, st.sampled_from(["week", "month", "year"]))
def test_a_period_holds_its_day_and_follows_the_one_before_it(day: date, unit: str) -> None:
    this, last = _calendar(unit, day, back=0), _calendar(unit, day, back=1)
    assert this.first <= day <= this.last
    assert last.last + timedelta(days=1) == this.first
    assert last == _calendar(unit, last.first, back=0)


@given(DAYS, st.integers(0, 12))
def test_a_month_ago_is_the_same_day_or_the_last_of_that_month(day: date, months: int) -> None:
    noon = datetime.combine(day, time(12))
    found = _Ago(months, "months").before(noon)
    assert (12 * day.year + day.month) - (12 * found.year + found.month) == months
    assert found.day == day.day or (found.day < day.day and (found + timedelta(days=1)).day == 1)
