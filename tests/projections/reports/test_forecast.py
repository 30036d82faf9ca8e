"""The forecast: exact for equal days, never below what was spent, and the rate of what runs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.memory_store import MemoryStore
from projections.history.memory import MemoryHistory
from projections.replay.refresh import refresh
from projections.reports.forecast import SAMPLE_DAYS, Forecast, Projection, forecast, projection
from projections.reports.periods import label_of, month_days, quarters
from projections.reports.spend_report import SpendQuery, spend_report
from tests.conftest import SteppingClock
from tests.projections.reports.test_periods import zones
from tests.projections.reports.test_spend_report import histories

NOW = datetime(2026, 11, 18, 12, 10, tzinfo=UTC)
"""A Wednesday: 17 complete days of November, 13 days with today are left."""

USD = 10**9
days = st.dates(date(2024, 1, 1), date(2027, 12, 31))
moments = st.integers(0, 40 * 24 * 60).map(
    lambda minutes: datetime(2026, 10, 20, tzinfo=UTC) + timedelta(minutes=minutes)
)
amounts = st.integers(-5 * USD, 50 * USD)


def before(today: date, values: list[int]) -> dict[date, int]:
    """The spend of the days before one, the latest value on the day before it."""
    return {today - timedelta(days=number): value for number, value in enumerate(reversed(values), start=1)}


def projected(today: date, values: list[int], spent_today: int = 0) -> Projection:
    sample, month = before(today, values), month_days(today)
    spent = sum(value for day, value in sample.items() if day in month)
    made = projection(spent, spent_today, sample, month, today)
    assert made is not None
    return made


@given(days, st.integers(0, 50 * USD), st.integers(2, SAMPLE_DAYS))
def test_equal_days_are_projected_exactly(today: date, each: int, count: int) -> None:
    made, month = projected(today, [each] * count), month_days(today)
    complete = min(count, today.day - 1)
    exact = each * (complete + len(month) - (today.day - 1))
    assert (made.nanousd, made.low_nanousd, made.high_nanousd) == (exact, exact, exact)


@given(days, st.integers(0, 9 * USD), st.integers(0, 9 * USD))
def test_equal_weekdays_and_equal_weekends_are_projected_exactly(today: date, weekday: int, weekend: int) -> None:
    def of(day: date) -> int:
        return weekend if day.weekday() >= 5 else weekday

    made = projected(today, [of(today - timedelta(days=number)) for number in range(SAMPLE_DAYS, 0, -1)])
    whole = sum(map(of, month_days(today)))
    missing = [day for day in month_days(today) if day < today - timedelta(days=SAMPLE_DAYS)]
    exact = whole - sum(map(of, missing))
    assert (made.nanousd, made.low_nanousd, made.high_nanousd) == (exact, exact, exact)


@given(days, st.lists(amounts, min_size=1, max_size=SAMPLE_DAYS), st.integers(0, 99 * USD))
def test_a_projection_is_at_least_what_was_spent_and_within_its_range(
    today: date, values: list[int], spent_today: int
) -> None:
    made = projected(today, values, spent_today)
    spent = spent_today + sum(value for day, value in before(today, values).items() if day.month == today.month)
    assert made.nanousd >= spent
    if len(values) == 1:
        assert made.low_nanousd is made.high_nanousd is None
    else:
        assert made.low_nanousd is not None
        assert made.high_nanousd is not None
        assert spent <= made.low_nanousd <= made.nanousd <= made.high_nanousd


@given(days, st.lists(st.integers(0, 50 * USD), min_size=2, max_size=SAMPLE_DAYS), st.integers(2, 9))
def test_a_projection_grows_with_the_spend(today: date, values: list[int], factor: int) -> None:
    one, many = projected(today, values), projected(today, [factor * value for value in values])
    assert abs(many.nanousd - factor * one.nanousd) <= factor


def test_without_a_complete_day_there_is_no_projection() -> None:
    assert projection(0, 5 * USD, {}, month_days(NOW.date()), NOW.date()) is None
    assert made(MemoryStore(clock=SteppingClock())).projected is None


def test_the_method_says_of_how_many_days_it_is_made() -> None:
    assert "the mean of the 28 days before today" in projected(date(2026, 11, 1), [USD] * 28).method
    assert projected(date(2026, 11, 2), [USD]).method.endswith("one day is too few for a range.")


def made(store: MemoryStore, zone: ZoneInfo | None = None, **options: object) -> Forecast:
    history = MemoryHistory()
    assert refresh(store, history).problems == []
    return forecast(history, zone or UTC, NOW, **options)  # type: ignore[arg-type]


def filled(*events: tuple[str, float, str]) -> MemoryStore:
    """Readings: a workflow, hours before now, and what it cost then."""
    store = MemoryStore(clock=SteppingClock(NOW - timedelta(seconds=60)))
    for name, hours, usd in sorted(events, key=lambda event: -event[1]):
        at = NOW - timedelta(hours=hours)
        store.append([cost_observed(name, cost_usd=usd, message_id=f"{name}-{hours}", agent=name, observed_at=at)])
    return store


def test_the_sample_begins_with_the_first_day_that_has_spend() -> None:
    """Monday and Tuesday $2 each, and then 13 weekdays and weekend days as the mean of both."""
    projected = made(filled(("w", 48, "2"), ("w", 24, "2"))).projected
    assert projected is not None
    assert (projected.days, projected.nanousd) == (2, (2 * 2 + 13 * 2) * USD)


def test_days_without_spend_count() -> None:
    projected = made(filled(("w", 28 * 24, "28"))).projected
    assert projected is not None
    assert projected.days == 28
    assert projected.nanousd == round(9 * 28 / 20 * USD)  # 9 weekdays are left, and 20 are among the 28 days


@pytest.mark.parametrize("earlier", [[], [("w", 5, "9")]], ids=["young", "old"])
def test_a_rate_is_that_of_the_last_quarter_hours(earlier: list[tuple[str, float, str]]) -> None:
    """At ten past twelve they begin at a quarter past eleven."""
    (burn,) = made(filled(*earlier, ("w", 0.5, "1"))).burns
    assert (burn.spent.amounts[0], burn.seconds) == (USD, 55 * 60)
    assert burn.per_hour_nanousd == round(USD * 60 / 55)


def test_a_rate_of_a_workflow_that_just_started_is_over_a_quarter_hour() -> None:
    store = MemoryStore(clock=SteppingClock(NOW - timedelta(seconds=60)))
    start = NOW - timedelta(minutes=2)
    store.append([workflow_started("w", observed_at=start), cost_observed("w", cost_usd="1", observed_at=start)])
    (burn,) = made(store).burns
    assert (burn.seconds, burn.per_hour_nanousd) == (15 * 60, 4 * USD)


def test_only_open_workflows_with_activity_run() -> None:
    store = filled(("ended", 0.2, "1"), ("idle", 3, "1"), ("runs", 0.2, "1"), ("waits", 0.9, "1"))
    store.append([workflow_ended("ended", "completed", observed_at=NOW)])
    found = made(store)
    assert [burn.row.adw_id for burn in found.burns] == ["runs", "waits"]
    assert found.per_hour_nanousd == sum(burn.per_hour_nanousd for burn in found.burns)
    assert [burn.row.adw_id for burn in made(store, idle_after=timedelta(minutes=30)).burns] == ["runs"]
    only = made(store, where=(("agent", ("waits",)),))
    assert [burn.row.adw_id for burn in only.burns] == ["waits"]
    assert only.month.total.amounts[0] == USD


@settings(max_examples=30)
@given(histories(), zones, moments)
def test_the_month_to_date_is_that_of_every_report(history: MemoryHistory, zone: ZoneInfo, now: datetime) -> None:
    found = forecast(history, zone, now)
    spent, label = found.month.total.amounts[0], label_of("month", found.today)
    _, last = quarters(None, found.today, zone)
    months = spend_report(history, SpendQuery(per="month", last=last), zone).lines
    assert spent == sum(line.amounts[0] for line in months if line.period == label)
    assert found.projected is None or found.projected.nanousd >= spent
