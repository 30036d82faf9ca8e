from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from projections.folding.calls import Call, Calls, rank_of, reading_of
from projections.folding.fold import State, fold, initial
from projections.folding.row import row, spend
from tests.projections.lines import HEAD, any_reading, ended, events, numbered, started

costs = st.integers(0, 3)
ranks = st.builds(rank_of, reported=st.booleans(), complete=st.booleans(), final=st.booleans())
usages = st.sampled_from([(), (1, 0, 0, 0, 2, 0), (2, 0, 0, 0, 1, 0)])
calls = st.tuples(costs, ranks, usages, st.sampled_from(["10:00", "10:01", "10:02"]))


@st.composite
def messages(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Readings of a few messages below few meters, in up to three runs."""
    sequence: list[dict[str, Any]] = []
    for run in range(1, draw(st.integers(1, 3)) + 1):
        sequence.append(started(run))
        for _ in range(draw(st.integers(0, 8))):
            fields = {"message_id": draw(st.sampled_from("abc"))} | draw(st.sampled_from([{}, {"model": "opus"}]))
            if draw(st.integers(0, 5)) == 0:
                fields["subagent"] = draw(st.sampled_from(["explore", "review"]))
            sequence.append(draw(any_reading(fields)))
        sequence.append(ended("completed", run))
    return sequence


def without_calls(sequence: list[dict[str, Any]]) -> State:
    """The state after these events, in which every message has a meter of its own."""
    state = initial("w")
    for line in numbered(sequence):
        if line.get("message_id") is not None:
            path = (line.get("agent"), line.get("session_id"), line.get("model"), line["message_id"])
            state.tree.meter(path)
        fold(state, line)
    return state


@given(st.one_of(messages(), events))
def test_calls_are_worth_what_meters_of_their_own_are(sequence: list[dict[str, Any]]) -> None:
    state, other = initial("w"), without_calls(sequence)
    for line in numbered(sequence):
        fold(state, line)
    assert row(state, HEAD) == row(other, HEAD)
    assert spend(state) == spend(other)


@given(st.lists(calls, min_size=1, max_size=8), st.booleans())
def test_a_call_costs_its_highest_reading_and_once_it_ended_its_latest(sequence: list[Call], after: bool) -> None:
    found = Calls((None, None, None))
    if after:
        found.end()
    for call in sequence:
        found.read("m", call, ended=after)
    found.sum_up()
    highest = max(sequence, key=reading_of)
    latest = max(enumerate(sequence), key=lambda pair: (pair[1][3], pair[0]))[1]
    assert found.cost_nanousd == (latest if after else highest)[0]
    if not after:
        found.end()
        found.sum_up()
    assert found.cost_nanousd == latest[0]
    assert reading_of(found.figure("m", ended=True)) == reading_of(latest)


def test_a_rank_orders_readings_as_their_fields_do() -> None:
    readings = sorted(reading_of((1, rank, (), "")) for rank in range(8))
    assert readings == [reading_of((1, rank, (), "")) for rank in range(8)]
