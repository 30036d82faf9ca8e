from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import timestamps

FIRST, LAST = (datetime.fromisoformat(day) for day in ("1970-01-02", "9000-01-01"))
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(timezones=zones, min_value=FIRST, max_value=LAST)


@given(times)
def test_a_time_of_any_zone_has_one_spelling_that_reads_back_as_the_same_time(given_time: datetime) -> None:
    text = timestamps.to_wire(given_time)
    assert timestamps.from_wire(text) == given_time
    assert timestamps.parse(given_time) == timestamps.parse(given_time.isoformat()) == timestamps.parse(text) == text
    assert len(text) == len("2026-11-23T18:33:01.123456Z")


@given(times, times)
def test_text_order_is_time_order(one: datetime, other: datetime) -> None:
    assert (timestamps.to_wire(one) < timestamps.to_wire(other)) == (one < other)


@pytest.mark.parametrize("text", ["2026-11-23T18:33:01.123Z", "2026-11-23T19:33:01.123000+01:00"])
def test_milliseconds_and_other_zones_become_the_ledgers_spelling(text: str) -> None:
    assert timestamps.parse(text) == "2026-11-23T18:33:01.123000Z"


@pytest.mark.parametrize("value", ["yesterday", "2026-02-30T00:00:00Z", "2026-11-23T18:33:01", 12, None])
def test_what_is_not_a_time_with_a_zone_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        timestamps.parse(value)


def test_a_time_of_another_programs_database_without_a_zone_is_utc_or_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert timestamps.moment("2026-11-23 18:33:01") == datetime(2026, 11, 23, 18, 33, 1, tzinfo=UTC)
        assert timestamps.moment("2026-11-23 18:33:01", local=True) == datetime(2026, 11, 23, 17, 33, 1, tzinfo=UTC)
        assert timestamps.moment("2026-11-23T18:33:01+02:00", local=True) == timestamps.from_unix(1_795_451_581)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert timestamps.moment("soon") is None
    assert timestamps.moment(5) is None


@given(st.floats(0, 4e9))
def test_a_unix_time_is_in_utc(seconds: float) -> None:
    found = timestamps.from_unix(seconds)
    assert found.tzinfo is UTC
    assert abs(found.timestamp() - seconds) < 1e-5
