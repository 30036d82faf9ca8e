from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidEvent
from ledger.providers import genai_semconv
from ledger.providers.genai_semconv import INPUT, count_of, first, has_unknown_lifetimes, is_one_call, token_count


@given(st.integers(0, 2**53 - 1))
def test_a_count_is_the_same_however_an_exporter_spells_it(count: int) -> None:
    assert count_of(count) == count_of(str(count)) == count_of(float(count)) == count


@given(st.one_of(st.booleans(), st.none(), st.floats().filter(lambda f: not f.is_integer()), st.integers(max_value=-1)))
def test_what_is_no_count_is_none(value: Any) -> None:
    assert count_of(value) is None


@pytest.mark.parametrize("value", ["", "1.5", "-1", "１", "x", "1" * 20])
def test_text_that_is_no_count_is_none_and_as_a_token_count_it_is_refused_by_name(value: str) -> None:
    assert count_of(value) is None
    if value:
        with pytest.raises(InvalidEvent, match=r"gen_ai\.usage\.input_tokens"):
            token_count({INPUT[1]: value}, *INPUT)


def test_a_current_name_comes_before_an_older_one_and_an_empty_value_is_absent() -> None:
    assert first({INPUT[0]: "", INPUT[1]: 0, INPUT[2]: 5}, *INPUT) == 0
    assert token_count({INPUT[3]: "7"}, *INPUT) == 7
    assert token_count({}, *INPUT) == 0


def test_an_operation_that_sums_up_others_is_no_call() -> None:
    assert is_one_call({INPUT[0]: 1})
    assert is_one_call({INPUT[0]: 1, "gen_ai.operation.name": "chat"})
    assert not is_one_call({INPUT[0]: 1, "gen_ai.operation.name": "invoke_agent"})
    assert not is_one_call({"gen_ai.operation.name": "chat"})


@pytest.mark.parametrize(
    ("model", "writes", "unknown"),
    [("claude-opus-4-5", 1, True), ("Claude", 1, True), (None, 1, True), ("gpt-5", 1, False), ("claude", 0, False)],
)
def test_only_writes_of_a_model_with_two_lifetimes_may_have_cost_more(
    model: str | None, writes: int, *, unknown: bool
) -> None:
    assert has_unknown_lifetimes(model, writes) is unknown


def test_text_of_an_attribute() -> None:
    assert [genai_semconv.text(value) for value in (None, "", "a", 5)] == [None, None, "a", "5"]
