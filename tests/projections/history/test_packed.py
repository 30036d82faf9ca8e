"""Packed figures: the sum of integers is the sum of their figures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from projections.folding.row import FIGURE_MAX
from projections.folding.spend import AMOUNTS
from projections.history.packed import cost_of, pack, unpack

figures = st.integers(-9, 9) | st.sampled_from([FIGURE_MAX, -FIGURE_MAX]) | st.integers(-FIGURE_MAX, FIGURE_MAX)
amounts = st.lists(figures, min_size=len(AMOUNTS), max_size=len(AMOUNTS))


@given(st.lists(amounts, max_size=20))
def test_the_sum_of_packed_figures_is_the_sum_of_each(rows: list[list[int]]) -> None:
    packed = sum(map(pack, rows))
    expected = [sum(row[at] for row in rows) for at in range(len(AMOUNTS))]
    assert unpack(packed) == expected
    assert cost_of(packed) == expected[0]
    assert (packed == 0) is not any(expected)
