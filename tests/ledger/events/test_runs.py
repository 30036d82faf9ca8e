from __future__ import annotations

from functools import reduce
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from ledger.events.event import END_TYPES, WORKFLOW_STARTED
from ledger.events.runs import Runs

kinds = st.sampled_from([WORKFLOW_STARTED, *sorted(END_TYPES)])


@given(st.lists(st.tuples(kinds, st.integers(1, 3)), max_size=4))
def test_the_order_in_which_lines_arrive_decides_nothing(lines: list[tuple[str, int]]) -> None:
    ends = {reduce(lambda runs, line: runs.after(*line), order, Runs()) for order in permutations(lines)}
    assert len(ends) == 1


@given(st.lists(kinds, max_size=10))
def test_a_start_after_an_end_is_the_next_run_and_all_else_stays_in_its_run(given_kinds: list[str]) -> None:
    runs, started_runs = Runs(), 1
    for kind in given_kinds:
        started_runs += runs.ended and kind == WORKFLOW_STARTED
        assert runs.next_run(kind) == started_runs
        runs = runs.after(kind, runs.next_run(kind))
        assert runs == Runs(started_runs, ended=kind in END_TYPES or runs.ended)
