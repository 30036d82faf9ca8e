"""A session's counter that restarts, continues in another process, or exists twice."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from ledger.claude_code.session_cost import SessionCounter, carried_over
from ledger.claude_code.spool import LATE_MAX_MS

APART = 3 * LATE_MAX_MS
figures = st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=8).map(sorted)


@given(figures, st.integers(min_value=-LATE_MAX_MS // 2, max_value=LATE_MAX_MS // 2))
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
    one: list[int], other: list[int], turns: random.Random
) -> None:
    session = SessionCounter()
    first, second = [10**7, *[10**7 + figure for figure in one]], [0, *other]
    session.read(first.pop(0), 0)
    session.read(second.pop(0), APART)
    last = [10**7, 0]
    while first or second:
        mine = bool(first) and (not second or turns.random() < 0.5)
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


def lines(session: SessionCounter, *shown: tuple[int, int, int]) -> int:
    """What it comes to after lines of (cost, start, duration)."""
    for figure, since_ms, duration_ms in shown:
        session.read(figure, since_ms, duration_ms)
    return session.nanousd


@st.composite
def arrivals(draw: st.DrawFn, since_ms: int = 0, last_min: int = 0) -> list[tuple[int, int, int, int]]:
    """One counter's lines as (arrival, cost, computed start, duration), each late by up to the tolerance."""
    steps = draw(st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 60_000)), min_size=1, max_size=10))
    found, cost, duration_ms = [], last_min, 0
    for risen, passed_ms in steps:
        cost, duration_ms = cost + risen, duration_ms + passed_ms
        late_ms = draw(st.integers(0, LATE_MAX_MS))
        found.append((since_ms + duration_ms + late_ms, cost, since_ms + late_ms, duration_ms))
    return found


@given(arrivals(), st.randoms(use_true_random=False))
def test_lines_of_one_counter_in_any_order_come_to_what_it_showed_last(
    shown: list[tuple[int, int, int, int]], order: random.Random
) -> None:
    last = max(cost for _, cost, _, _ in shown)
    for arranged in (sorted(shown), sorted(shown, reverse=True), order.sample(shown, len(shown))):
        assert lines(SessionCounter(), *[line[1:] for line in arranged]) == last


@given(arrivals(), arrivals())
def test_lines_that_overtake_each_other_before_and_after_a_restart_lose_nothing(
    before: list[tuple[int, int, int, int]], after: list[tuple[int, int, int, int]]
) -> None:
    """The process after it starts after the last line of the one before, and shows at first that nothing was spent."""
    started = max(arrival for arrival, *_ in before) + LATE_MAX_MS + 1
    moved = [(arrival + started, cost, since + started, duration) for arrival, cost, since, duration in after]
    shown = [*sorted(before), (started, 0, started, 0), *sorted(moved)]
    highest_before = max(cost for _, cost, _, _ in before)
    expected = highest_before + max(cost for _, cost, _, _ in after)
    assert lines(SessionCounter(), *[line[1:] for line in shown]) == expected


def test_a_line_that_was_overtaken_is_no_restart_and_one_lower_of_a_later_start_is() -> None:
    session = SessionCounter()
    assert lines(session, (10, 0, 100_000), (60, 0, 102_300), (50, 100, 102_000), (65, 0, 103_500)) == 65
    assert lines(session, (0, 104_000, 10), (5, 104_000, 900)) == 70  # resumed
    assert lines(session, (64, 0, 103_400), (3, 104_000, 500)) == 70


def test_costs_that_were_read_a_moment_before_their_durations_are_no_restart() -> None:
    assert lines(SessionCounter(), (50, 0, 10_000), (40, 5, 10_003), (80, 2, 10_001), (10, 9, 10_020)) == 80


def test_a_session_resumed_within_seconds_counts_once_it_is_known_to_be_another_process() -> None:
    session = SessionCounter()
    assert lines(session, (10, 0, 3_000), (0, 4_000, 10), (3, 4_000, 2_000)) == 10
    assert lines(session, (5, 4_000, 3_001 + LATE_MAX_MS)) == 15


def test_a_counter_that_is_lower_after_a_longer_time_was_reset() -> None:
    assert lines(SessionCounter(), (60, 0, 10_000), (5, 0, 10_001 + LATE_MAX_MS)) == 65


def test_a_late_line_of_a_process_before_the_resume_is_none_of_another_counter() -> None:
    session = SessionCounter()
    assert lines(session, (100, 0, 50_000), (130, APART, 20_000), (90, 0, 45_000), (110, APART, 10_000)) == 130
    assert lines(session, (20, 9 * APART, 900), (95, 0, 46_000), (25, 9 * APART, 950)) == 155


def test_two_terminals_that_continue_one_total_each_add_what_they_spent() -> None:
    """2.1.100 continues a session's saved total at a terminal; two may do so at once, as a real run showed."""
    session = SessionCounter()
    for figure, since in ((0, 0), (317, 0), (317, APART), (317, 2 * APART)):
        session.read(figure, since)
    for figure, since in ((504, APART), (477, 2 * APART), (652, 2 * APART), (803, APART)):
        session.read(figure, since)
    assert session.nanousd == 317 + (803 - 317) + (652 - 317)


def test_a_resumed_session_whose_counter_goes_on_is_one_counter() -> None:
    session = SessionCounter()
    for figure, since in ((100, 0), (100, APART), (130, APART), (130, 2 * APART), (170, 2 * APART)):
        session.read(figure, since)
    assert session.nanousd == 170


def test_two_terminals_that_both_continue_a_session_count_what_each_added() -> None:
    continued = (10, 0, 1_000), (10, APART, 10), (12, 0, 60_000), (11, APART, 40_000)
    assert lines(SessionCounter(), *continued) == 10 + 2 + 1


def test_a_new_session_of_the_same_process_does_not_count_what_was_spent_before_it() -> None:
    base = carried_over([(541, 1_000), (7, 900_000)], 541, 1_500)
    session = SessionCounter()
    session.read(541, 1_500, others=[base])
    assert (base, session.nanousd) == (541, 0)
    session.read(560, 1_400)
    assert session.nanousd == 19


def test_a_process_of_its_own_carries_nothing_over() -> None:
    assert carried_over([(541, 1_000)], 600, 1_000 + APART) == 0
    assert carried_over([(541, None)], 600, 1_000) == 0
    assert carried_over([(541, 1_000)], 10, 1_000) == 0  # it was reset with the session
    assert carried_over([], 600, 1_000) == 0


def shown(session: SessionCounter, *lines: tuple[int, int]) -> int:
    """Take lines `(figure, start)` in; what the session shows after them."""
    for figure, since in lines:
        session.read(figure, since, carried=True)
    return session.nanousd


def test_a_killed_process_counts_though_the_next_one_goes_on_from_the_saved_total() -> None:
    saved, killed, again = [(0, 0), (110, 0)], [(110, APART), (150, APART)], [(110, 2 * APART), (149, 2 * APART)]
    session = SessionCounter()
    assert shown(session, *saved, *killed, *again) == 110 + 40 + 39
    assert not session.partial


def test_one_session_in_two_terminals_counts_what_each_added() -> None:
    session = SessionCounter()
    assert shown(session, (0, 0), (50, 0), (50, APART), (60, 0), (75, APART), (90, 0)) == 50 + 40 + 25


def test_a_fork_begins_with_its_parents_total_and_counts_what_it_added() -> None:
    fork = SessionCounter()
    fork.read(541, 0, others=[541], carried=True)
    assert (shown(fork, (560, 0)), fork.partial) == (19, False)
    unknown = SessionCounter()
    unknown.read(541, 0, carried=True)
    assert (shown(unknown, (560, 0)), unknown.partial) == (19, True), "the session may have cost 541 before"


def test_a_line_that_overtakes_another_of_its_process_begins_no_second_process() -> None:
    session = SessionCounter()
    assert shown(session, (0, 0), (3, 0), (1, APART), (3, APART), (0, APART)) == 3 + 3


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 10**6), max_size=6), st.booleans()), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_carried_counters_add_up_to_what_was_spent_whatever_was_saved(
    processes: list[tuple[list[int], bool]], chance: random.Random
) -> None:
    session, saved, spent = SessionCounter(), 0, 0
    for number, (calls, was_saved) in enumerate(processes):
        figures = [saved]
        for call in calls:
            figures.append(figures[-1] + call)
        lines = [(figure, number * APART + chance.randrange(50)) for figure in figures]
        chance.shuffle(lines)  # lines overtake each other
        shown(session, *lines, *lines[:1])
        spent += sum(calls)
        saved = figures[-1] if was_saved else saved
    assert session.nanousd <= spent
    assert session.nanousd == spent or session.partial or len(processes) > 1


def test_a_terminal_that_resumes_five_seconds_after_the_first_started_is_one_process() -> None:
    """As the status line of Claude Code 2.1.100 drew it on a busy machine: some starts look later than they were."""
    session = SessionCounter()
    first = [(15, 469, 11_099), (32, 9, 16_103)]
    left = [(32, 5_106, 23_597), (50, 4_886, 39_701), (64, 5_218, 48_380), (80, 5_377, 50_557)]
    right = [(32, 12_905, 27_488), (65, 12_958, 37_246)]
    lines(session, *first, *left[:1], *right[:1], *left[1:2], *right[1:], *left[2:])
    assert session.nanousd == 80 + (65 - 32)
    assert session.is_lower_bound
