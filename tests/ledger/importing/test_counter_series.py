from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from ledger.importing.counter_series import CounterFigure, CounterSeries

figures = st.builds(
    CounterFigure,
    st.none() | st.integers(0, 9),
    st.dictionaries(st.sampled_from(["input_tokens", "output_tokens"]), st.integers(0, 9)),
)
counted = st.tuples(st.sampled_from(["a", "b"]), figures)


def meter(counts: list[tuple[str, CounterFigure]]) -> CounterSeries:
    series = CounterSeries()
    for name, figure in counts:
        series.count(name, figure, None)
    return series


@given(st.lists(counted, max_size=4))
def test_no_order_and_no_repetition_changes_where_a_meter_ends(counts: list[tuple[str, CounterFigure]]) -> None:
    once = meter(counts)
    assert meter([*counts, *counts]) == once
    for order in permutations(counts):
        again = meter(list(order))
        assert again.nanousd == once.nanousd
        assert {name: n for name, n in again.usage.items() if n} == {name: n for name, n in once.usage.items() if n}


@given(st.lists(counted, max_size=6))
def test_a_meter_shows_the_sum_of_its_counters_each_at_its_highest(counts: list[tuple[str, CounterFigure]]) -> None:
    series = meter(counts)
    highest = {
        name: max((figure.nanousd or 0 for other, figure in counts if other == name), default=0) for name in ("a", "b")
    }
    assert (series.nanousd or 0) == sum(highest.values())
    assert {name: series.highest(name) for name in highest} == highest


def test_an_exact_figure_replaces_a_lower_bound_and_a_lower_bound_an_exact_one_only_when_higher() -> None:
    series = meter([("a", CounterFigure(7, partial=True)), ("a", CounterFigure(5))])
    assert (series.nanousd, series.partial) == (5, False)
    assert series.is_older("a", 4, partial=False)
    assert not series.is_older("a", 6, partial=False)
    assert not series.count("a", CounterFigure(4, partial=True), None)
    assert series.count("a", CounterFigure(6, partial=True), None)
    assert (series.nanousd, series.partial) == (6, True)


def test_a_counter_that_began_above_the_others_shows_that_one_is_missing() -> None:
    assert meter([("a", CounterFigure(5)), ("b", CounterFigure(2, carried_nanousd=6))]).partial
    assert not meter([("a", CounterFigure(6)), ("b", CounterFigure(2, carried_nanousd=6))]).partial


def test_a_copy_is_changed_alone_and_the_latest_time_wins() -> None:
    series = CounterSeries()
    series.count("a", CounterFigure(1), "2026-01-02")
    copy = series.copy()
    copy.count("b", CounterFigure(1, {"output_tokens": 3}), "2026-01-01")
    assert (copy.nanousd, copy.latest, copy.usage) == (2, "2026-01-02", {"output_tokens": 3})
    assert (series.nanousd, series.usage, list(series.by_series)) == (1, {}, ["a"])
