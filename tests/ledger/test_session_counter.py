"""A session's counter that restarts, goes on elsewhere, or stands twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger.session_counter import SINCE_TOLERANCE_MS, SessionCounter, carried_over

APART = 3 * SINCE_TOLERANCE_MS
figures = st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=8).map(sorted)


@given(figures, st.integers(min_value=-SINCE_TOLERANCE_MS // 2, max_value=SINCE_TOLERANCE_MS // 2))
def test_a_counter_that_only_rises_is_what_it_last_showed(shown: list[int], jitter: int) -> None:
    session = SessionCounter()
    for at, figure in enumerate(shown):
        session.read(figure, 1_000_000 + (jitter if at % 2 else 0))
    assert session.nanousd == shown[-1]


@given(st.lists(figures, min_size=1, max_size=4))
def test_a_counter_that_restarts_below_where_it_was_loses_nothing(parts: list[list[int]]) -> None:
    session, expected, last = SessionCounter(), 0, -1
    for number, part in enumerate(parts):
        shown = [0, *part]  # the status line of a new process shows at first that nothing was spent
        for figure in shown:
            session.read(figure, number * APART)
        expected = expected + part[-1] if last > 0 or number == 0 else max(expected, part[-1])
        last = part[-1]
    assert session.nanousd >= max(part[-1] for part in parts)
    assert session.nanousd <= sum(part[-1] for part in parts)
    if all(part[-1] > 0 for part in parts):
        assert session.nanousd == expected == sum(part[-1] for part in parts)


@given(figures, figures, st.randoms(use_true_random=False))
def test_two_terminals_that_hold_one_session_add_up_however_they_take_turns(
    one: list[int], other: list[int], turns: object
) -> None:
    session = SessionCounter()
    first, second = [10**7, *[10**7 + figure for figure in one]], [0, *other]
    session.read(first.pop(0), 0)
    session.read(second.pop(0), APART)
    last = [10**7, 0]
    while first or second:
        mine = bool(first) and (not second or turns.random() < 0.5)  # type: ignore[attr-defined]
        last[0 if mine else 1] = figure = (first if mine else second).pop(0)
        session.read(figure, 0 if mine else APART)
    assert session.nanousd == sum(last)


@given(figures, figures)
def test_what_it_shows_never_falls_and_a_repetition_changes_nothing(one: list[int], other: list[int]) -> None:
    session, before = SessionCounter(), 0
    for figure in [*one, *other, *reversed(one)]:
        session.read(figure, None)
        assert session.nanousd >= before
        before = session.nanousd
        assert session.read(figure, None) is None
        assert session.nanousd == before


def test_a_resumed_session_whose_counter_goes_on_is_one_counter() -> None:
    session = SessionCounter()
    for figure, since in ((100, 0), (100, APART), (130, APART), (130, 2 * APART), (170, 2 * APART)):
        session.read(figure, since)
    assert session.nanousd == 170


def test_a_new_session_of_the_same_process_does_not_count_what_was_spent_before_it() -> None:
    base = carried_over([(541, 1_000), (7, 900_000)], 541, 1_500)
    session = SessionCounter()
    session.read(541, 1_500, base)
    assert (base, session.nanousd) == (541, 0)
    session.read(560, 1_400, base)
    assert session.nanousd == 19


def test_a_process_of_its_own_carries_nothing_over() -> None:
    assert carried_over([(541, 1_000)], 600, 1_000 + APART) == 0
    assert carried_over([(541, None)], 600, 1_000) == 0
    assert carried_over([(541, 1_000)], 10, 1_000) == 0  # it was reset with the session
    assert carried_over([], 600, 1_000) == 0


def test_a_total_of_another_source_covers_the_counters_so_far() -> None:
    session = SessionCounter()
    session.read(100, 0)
    session.told(150)
    session.told(120)
    assert session.nanousd == 150
    session.read(20, APART)
    assert session.nanousd == 170
