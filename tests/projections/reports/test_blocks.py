"""Windows of plans: they divide all spend, and begin with the hour of the first activity."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.folding.spend import AMOUNTS, QUARTER_SECONDS, quarter_of
from projections.history.memory import MemoryHistory
from projections.history.packed import pack
from projections.reports.blocks import WINDOWS, Block, Window, blocks, blocks_of
from projections.reports.spend_report import SpendQuery, spend_report
from tests.projections.reports.test_spend_report import RULES, histories

USD = 10**9
windows = st.sampled_from(["5h", "7d"])


def of(*spent: tuple[str, int], window: Window = "5h") -> list[Block]:
    """The windows of dollars at some times of 23 November."""
    return blocks_of(((quarter_of(f"2026-11-{at}"), "opus", packed(usd)) for at, usd in spent), WINDOWS[window])


def packed(usd: int) -> int:
    return pack([usd * USD, 0, 0, 0, 0, 1000 * usd, *[0] * (len(AMOUNTS) - 6)])


def shown(block: Block) -> tuple[str, str, int]:
    start, end = (datetime.fromtimestamp(quarter * QUARTER_SECONDS, UTC) for quarter in (block.start, block.end))
    return f"{start:%d %H:%M}", f"{end:%d %H:%M}", block.cost // USD


def test_a_window_begins_with_the_hour_of_the_first_activity_and_the_next_one_after_its_end() -> None:
    found = of(("23T09:40", 1), ("23T13:50", 2), ("23T14:00", 4), ("24T08:15", 8))
    assert list(map(shown, found)) == [
        ("23 09:00", "23 14:00", 3),
        ("23 14:00", "23 19:00", 4),
        ("24 08:00", "24 13:00", 8),
    ]


def test_a_week_begins_with_the_hour_of_the_first_activity() -> None:
    found = of(("02T09:40", 1), ("09T08:50", 2), ("09T09:10", 4), ("29T08:15", 8), window="7d")
    assert [shown(block)[0] for block in found] == ["02 09:00", "09 09:00", "29 08:00"]


def test_the_active_window_has_a_rate_and_what_it_comes_to() -> None:
    (block,) = of(("23T09:30", 1), ("23T10:10", 2))
    now = datetime(2026, 11, 23, 11, 30, tzinfo=UTC)
    burn = block.burn(now)
    assert block.is_active(now)
    assert (burn.seconds_left, burn.per_hour, burn.projected) == (9000, 3 * USD // 2, 3 * USD + 15 * USD // 4)
    assert (burn.tokens_per_minute, burn.projected_tokens) == (25, 3000 + 3750)
    assert not block.is_active(datetime(2026, 11, 23, 14, tzinfo=UTC))
    assert not block.is_active(datetime(2026, 11, 23, 8, 59, tzinfo=UTC))


@pytest.mark.parametrize("minutes", [0, 14])
def test_a_rate_of_the_first_minutes_is_that_of_a_quarter_hour(minutes: int) -> None:
    (block,) = of(("23T09:30", 1))
    assert block.burn(datetime(2026, 11, 23, 9, 30 + minutes, tzinfo=UTC)).per_hour == 4 * USD


@settings(max_examples=60)
@given(histories(), windows)
def test_windows_divide_all_spend_and_hold_their_activity(history: MemoryHistory, window: Window) -> None:
    found = blocks(history, window, UTC, datetime(2026, 11, 30, tzinfo=UTC), rules=RULES)
    total = spend_report(history, SpendQuery(), UTC).total
    summed = [sum(each) for each in zip(*(block.spent.amounts for block in found), strict=True)]
    assert summed == (total.amounts if found else [])
    assert total.amounts[0] == sum(block.cost for block in found)
    for block in found:
        assert block.start % 4 == 0
        assert block.start <= block.first < block.start + 4
        assert block.first <= block.last < block.end == block.start + WINDOWS[window]
    assert all(one.end <= other.start or one.end <= other.first for one, other in pairwise(found))


@settings(max_examples=60)
@given(histories(), windows, st.integers(0, 40 * 24))
def test_recent_and_active_windows_are_some_of_all(history: MemoryHistory, window: Window, hours: int) -> None:
    now = datetime(2026, 10, 20, tzinfo=UTC) + timedelta(hours=hours)
    every = blocks(history, window, UTC, now)
    recent, active = blocks(history, window, UTC, now, recent=True), blocks(history, window, UTC, now, active=True)
    assert recent == [block for block in every if block in recent]
    assert len(active) <= 1
    for block in active:
        burn = block.burn(now)
        assert burn.seconds_left > 0
        assert burn.projected >= block.cost
        assert burn.projected_tokens >= block.tokens
        assert block in blocks(history, window, UTC, now, recent=True, active=True)
