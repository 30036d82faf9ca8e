from __future__ import annotations

from datetime import UTC, date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInput
from projections.reports.timezones import day_named, zone_called, zone_named


@given(st.dates())
def test_a_day_is_named_with_or_without_dashes(day: date) -> None:
    assert day_named("--since", day.isoformat()) == day_named("--since", day.strftime("%Y%m%d").zfill(8)) == day
    assert day_named("--since", None) is None


@pytest.mark.parametrize("text", ["", "today", "2026-13-01", "2026-02-30"])
def test_what_is_no_day_is_refused_by_name_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"--since '.*': give a day such as 2026-11-23"):
        day_named("--since", text)


def test_zones_have_the_names_of_iana_and_the_local_one_none() -> None:
    assert zone_named("--timezone", "Europe/Berlin") == ZoneInfo("Europe/Berlin")
    assert zone_named("--timezone", "utc") is UTC
    assert zone_named("--timezone", "Local") is zone_named("--timezone", None) is None
    assert (zone_called(UTC), zone_called(ZoneInfo("Europe/Berlin"))) == ("UTC", "Europe/Berlin")
    assert zone_called(None)


@pytest.mark.parametrize("name", ["", "Berlin", "../etc/passwd", "Europe", "a" * 5000])
def test_a_zone_that_there_is_none_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"--timezone '.*no such zone"):
        zone_named("--timezone", name)
