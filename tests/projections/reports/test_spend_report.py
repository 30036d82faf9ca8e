"""Reports: days of any zone, and every view of the same events adding up to the same nanodollar."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.memory_store import MemoryStore
from projections.folding.spend import AMOUNTS, QUARTER_SECONDS, quarter_of
from projections.history.memory import MemoryHistory
from projections.history.store import SpendSum
from projections.replay.refresh import refresh
from projections.reports.spend_report import (
    BY,
    By,
    Kind,
    Line,
    Report,
    at_least,
    day_of,
    groups,
    quarters,
    report,
    total_tokens,
)
from tests.conftest import SteppingClock

KINDS: tuple[Kind, ...] = ("daily", "weekly", "monthly", "session")
SPLITS: tuple[By | None, ...] = (None, *BY)

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


@st.composite
def histories(draw: st.DrawFn) -> MemoryHistory:
    """Some workflows with readings, ends and unpriced usage over a few weeks around a change of clocks."""
    store = MemoryStore(clock=SteppingClock())
    start = datetime(2026, 10, 24, tzinfo=UTC)
    for name in draw(st.sampled_from([["w"], ["v", "w"], ["u", "v", "w"]])):
        store.append(
            [
                workflow_started(
                    name,
                    issue_number=draw(st.sampled_from([None, 17])),
                    workflow_template=draw(st.sampled_from([None, "sdlc"])),
                    project=draw(st.sampled_from([None, "site"])),
                )
            ]
        )
        for number in range(draw(st.integers(0, 5))):
            fields: dict[str, Any] = {
                "agent": draw(st.sampled_from([None, "plan", "build"])),
                "session_id": draw(st.sampled_from([None, f"{name}-1", "shared"])),
                "model": draw(st.sampled_from([None, "opus", "who"])),
                "message_id": draw(st.sampled_from([None, f"m{number}"])),
                "usage": {"input_tokens": draw(st.integers(0, 99)), "output_tokens": draw(st.integers(1, 99))},
                "source": draw(st.sampled_from([None, {"kind": "codex"}, {"kind": "opencode"}])),
                "observed_at": start + timedelta(minutes=draw(st.integers(0, 60 * 24 * 20))),
            }
            cost = draw(st.sampled_from([None, "0.000000001", "0.3", "1.25"]))
            store.append([cost_observed(name, cost_usd=cost, **fields)])
        if draw(st.booleans()):
            ended_at = start + timedelta(days=draw(st.integers(0, 30)))
            store.append([workflow_ended(name, "completed", observed_at=ended_at)])
    history = MemoryHistory()
    assert refresh(store, history).problems == []
    return history


def made(
    history: MemoryHistory,
    kind: Kind,
    by: By | None = None,
    zone: tzinfo = UTC,
    since: date | None = None,
    until: date | None = None,
    *,
    descending: bool = False,
) -> Report:
    first, last = quarters(since, until, zone)
    sums = history.spent(groups(kind, by), first=first, last=last, merged=kind == "session")
    return report(kind, by, sums, zone, descending=descending)


def summed(lines: list[Line]) -> list[int]:
    return [sum(figures) for figures in zip([0] * len(AMOUNTS), *(line.amounts for line in lines), strict=True)]


@settings(max_examples=40)
@given(histories(), zones, st.booleans())
def test_every_view_of_the_same_events_sums_to_the_rows(history: MemoryHistory, zone: ZoneInfo, down: bool) -> None:
    rows = history.rows()
    cost, tokens = sum(row.actual_cost_nanousd for row in rows), sum(row.total_tokens for row in rows)
    unpriced = sum(row.unpriced_events for row in rows)
    for kind, by in product(KINDS, SPLITS):
        shown = made(history, kind, by, zone, descending=down)
        assert summed(shown.lines) == shown.total.amounts
        assert (shown.total.amounts[0], total_tokens(shown.total.amounts)) == (cost, tokens)
        assert sum(events for events, _ in shown.unpriced.values()) == unpriced


@settings(max_examples=40)
@given(histories(), zones, st.dates(date(2026, 10, 20), date(2026, 11, 25)))
def test_two_ranges_that_meet_sum_to_the_whole_and_hold_only_their_days(
    history: MemoryHistory, zone: ZoneInfo, day: date
) -> None:
    whole = made(history, "daily", None, zone).total.amounts
    for kind in KINDS:
        before = made(history, kind, None, zone, until=day - timedelta(days=1))
        after = made(history, kind, None, zone, since=day)
        assert [one + other for one, other in zip(before.total.amounts, after.total.amounts, strict=True)] == whole
    before, after = made(history, "daily", zone=zone, until=day), made(history, "daily", zone=zone, since=day)
    assert all(str(line.labels["date"]) <= day.isoformat() for line in before.lines)
    assert all(str(line.labels["date"]) >= day.isoformat() for line in after.lines)


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


def sums(*spent: tuple[str, str | None, int]) -> Iterator[SpendSum]:
    """Moment, model, nanodollars."""
    for moment, model, cost in spent:
        yield SpendSum(quarter_of(moment), (model,), [cost, *[0] * (len(AMOUNTS) - 1)])


def test_weeks_are_those_of_iso_8601() -> None:
    spent = [("2026-01-01T12:00", "m", 1), ("2025-12-29T12:00", "m", 1), ("2027-01-03T12:00", "m", 1)]
    shown = report("weekly", None, sums(*spent), UTC)
    assert [(line.labels["week"], line.amounts[0]) for line in shown.lines] == [("2026-W01", 2), ("2026-W53", 1)]


def test_lines_go_up_or_down_in_time_and_within_a_day_by_cost() -> None:
    spent = [("2026-11-23T12:00", "a", 1), ("2026-11-23T13:00", "b", 2), ("2026-11-24T12:00", "a", 3)]
    up = report("daily", "model", sums(*spent), UTC)
    assert [tuple(line.labels.values()) for line in up.lines] == [
        ("2026-11-23", "b"),
        ("2026-11-23", "a"),
        ("2026-11-24", "a"),
    ]
    down = report("daily", "model", sums(*spent), UTC, descending=True)
    assert [tuple(line.labels.values()) for line in down.lines] == [
        ("2026-11-24", "a"),
        ("2026-11-23", "b"),
        ("2026-11-23", "a"),
    ]


def test_a_sum_is_a_lower_bound_where_something_in_it_is_one() -> None:
    def amounts(**given: int) -> list[int]:
        return [given.get(name, 1) for name in AMOUNTS[:-3]] + [given.get(name, 0) for name in AMOUNTS[-3:]]

    assert [at_least(amounts()), at_least(amounts(partial=2)), at_least(amounts(unpriced_events=1))] == [
        False,
        True,
        True,
    ]
    assert not at_least(amounts(unpriced_events=-1)), "a price that came later takes away"


def test_a_day_that_took_back_all_it_spent_has_no_line() -> None:
    spent = [("2026-11-23T12:00", "a", 1), ("2026-11-23T13:00", "a", -1), ("2026-11-24T12:00", "a", -3)]
    shown = report("daily", None, sums(*spent), UTC)
    assert [(line.labels["date"], line.amounts[0]) for line in shown.lines] == [("2026-11-24", -3)]
    assert shown.total.amounts[0] == -3


def test_a_session_is_told_with_its_workflow_and_its_last_day() -> None:
    store = MemoryStore(clock=SteppingClock())
    for name, day in (("w", 23), ("w", 25), ("v", 24)):
        at = datetime(2026, 11, day, 12, tzinfo=UTC)
        store.append([cost_observed(name, session_id="s", model=f"m{day}", cost_usd="0.25", observed_at=at)])
    history = MemoryHistory()
    refresh(store, history)
    shown = made(history, "session")
    assert [line.labels for line in shown.lines] == [
        {"session_id": "s", "adw_id": "v", "last_activity": "2026-11-24"},
        {"session_id": "s", "adw_id": "w", "last_activity": "2026-11-25"},
    ]
    assert sorted(shown.lines[1].models) == ["m23", "m25"]
