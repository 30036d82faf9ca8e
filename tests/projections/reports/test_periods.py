"""Days, weeks and months of any zone, by quarter hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.folding.spend import QUARTER_SECONDS, quarter_of
from projections.reports.periods import PERIODS, Per, day_of, label_of, quarters, starts_of

ZONES = [
    "UTC",
    "America/New_York",
    "America/St_Johns",  # -03:30; until 2011 its clocks changed at one minute past midnight
    "Asia/Kathmandu",  # +05:45
    "Australia/Lord_Howe",  # half an hour of summer time
    "Pacific/Apia",  # had no 30 December 2011
    "Pacific/Kiritimati",  # +14:00
    "Europe/Berlin",
]
zones = st.sampled_from(ZONES).map(ZoneInfo)
quarter_hours = st.integers(quarter_of("1990-01-01T00:00"), quarter_of("2037-01-01T00:00"))


@given(quarter_hours, zones)
def test_a_quarter_hour_is_of_the_day_on_which_it_begins(quarter: int, zone: ZoneInfo) -> None:
    day = day_of(quarter, zone)
    assert day == datetime.fromtimestamp(quarter * QUARTER_SECONDS, zone).date()
    first, last = quarters(day, day, zone)
    assert first is not None
    assert last is not None
    if (str(zone), day.year < 2012) != ("America/St_Johns", True):
        assert first <= quarter <= last
        assert day_of(first, zone) == day_of(last, zone) == day
        assert (day_of(first - 1, zone), day_of(last + 1, zone)) != (day, day)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Asia/Kathmandu", date(2026, 10, 4), 24),
        ("Pacific/Apia", date(2011, 12, 30), 0),
    ],
)
def test_a_day_is_as_long_as_its_clocks_say(zone: str, day: date, hours: float) -> None:
    first, last = quarters(day, day, ZoneInfo(zone))
    assert first is not None
    assert last is not None
    assert (last - first + 1) / 4 == hours


def test_both_sides_of_midnight_are_in_the_reports_zone() -> None:
    assert day_of(quarter_of("2026-11-23T22:45:00"), ZoneInfo("Europe/Berlin")) == date(2026, 11, 23)
    assert day_of(quarter_of("2026-11-23T23:00:00"), ZoneInfo("Europe/Berlin")) == date(2026, 11, 24)
    assert day_of(quarter_of("2026-11-24T05:00:00"), ZoneInfo("America/New_York")) == date(2026, 11, 24)
    assert day_of(quarter_of("2026-11-24T04:45:00"), ZoneInfo("America/New_York")) == date(2026, 11, 23)


@pytest.mark.parametrize("day", [date.min, date.max])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York", "UTC"])
def test_the_ends_of_time_have_a_day(zone: str, day: date) -> None:
    spelled = f"{day.isoformat()}T{'00:00' if day == date.min else '23:45'}"
    assert abs(day_of(quarter_of(spelled), ZoneInfo(zone)) - day) <= timedelta(days=1)
    first, last = quarters(date.min, date.max, ZoneInfo(zone))
    assert first is None or first <= quarter_of("0001-01-01T12:00") + 96
    assert last is None


@given(quarter_hours, st.integers(0, 96 * 90), st.sampled_from(PERIODS), zones)
def test_every_quarter_hour_lies_in_the_period_of_its_day(first: int, length: int, per: Per, zone: ZoneInfo) -> None:
    starts = starts_of(per, first, first + length, zone)
    assert starts is not None
    assert starts == sorted(set(starts))
    assert starts[0] <= first
    if (str(zone), day_of(first, zone).year < 2012) == ("America/St_Johns", True):
        return  # a day began twice there
    for start, after in zip(starts, [*starts[1:], first + length + 1], strict=True):
        labels = {label_of(per, day_of(quarter, zone)) for quarter in (max(start, first), after - 1)}
        assert len(labels) == 1
    assert len({label_of(per, day_of(start, zone)) for start in starts}) == len(starts)


def test_more_periods_than_a_query_can_name_are_none() -> None:
    assert starts_of("day", 0, 96 * 365 * 20, UTC) is None
    assert len(starts_of("month", 0, 96 * 365 * 20, UTC) or ()) == 240
    assert starts_of("day", quarter_of("9999-12-30T00:00"), quarter_of("9999-12-31T12:00"), UTC) is None


def test_weeks_are_those_of_iso_8601() -> None:
    days = [date(2026, 1, 1), date(2025, 12, 29), date(2027, 1, 3)]
    assert [label_of("week", day) for day in days] == ["2026-W01", "2026-W01", "2026-W53"]
