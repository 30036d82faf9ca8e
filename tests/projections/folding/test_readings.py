from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from projections.folding.readings import NO_FIGURES, NO_TOKENS, Reading, Summed, figures

tokens = st.just(()) | st.tuples(*[st.integers(0, 3) for _ in NO_TOKENS])
readings = st.builds(Reading, st.integers(0, 3), st.booleans(), st.booleans(), st.booleans(), tokens)


@given(st.permutations([0, 1, 2]), st.lists(readings, min_size=3, max_size=3))
def test_which_of_several_readings_wins_does_not_depend_on_their_order(
    order: list[int], given_readings: list[Reading]
) -> None:
    assert max(given_readings[at] for at in order) == max(given_readings)
    assert max(given_readings).cost_nanousd == max(one.cost_nanousd for one in given_readings)


@given(readings)
def test_figures_are_the_cost_and_all_tokens_with_none_named_as_0(reading: Reading) -> None:
    assert figures(reading)[0] == reading.cost_nanousd
    assert figures(reading)[1:] == (reading.usage or NO_TOKENS)
    assert len(figures(reading)) == len(NO_FIGURES)


def test_a_sum_is_a_reading_that_knows_what_it_grew_by() -> None:
    summed = Summed(5, True, True, False, ())  # noqa: FBT003
    summed.grown = (1,) * len(NO_TOKENS)
    assert figures(summed) == (5, *NO_TOKENS)
    assert summed == Reading(5, True, True, False, ())  # noqa: FBT003
