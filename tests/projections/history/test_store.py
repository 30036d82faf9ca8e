from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.events import money
from projections.history.store import visible_cost

NANOUSD = st.integers(0, 10**18)


@given(NANOUSD)
@example(10**15 - 10**9 - 1)
@example(10**15 + 1)
def test_what_was_stored_is_seen_exactly(nanousd: int) -> None:
    stored = float(money.to_wire(nanousd))
    assert visible_cost(stored) == money.parse(stored)
    if nanousd < 10**15:
        assert visible_cost(stored) == nanousd


@given(st.floats(0, 1_000_000) | st.floats(0, 1e-6))
def test_what_somebody_typed_is_read_by_its_shortest_form(typed: float) -> None:
    assert visible_cost(typed) == money.parse(typed)


@pytest.mark.parametrize("value", [-1.0, -0.0, float("nan"), float("inf"), None, 1e30])
def test_what_no_cost_can_be_counts_as_none(value: float | None) -> None:
    assert visible_cost(value) == 0
