from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidEvent
from ledger.events.fields import check_usage
from ledger.pricing.rates import Rate, Rates
from ledger.providers.usage import is_larger, measure, usage_of

ANTHROPIC = {
    "input_tokens": 2,
    "cache_creation_input_tokens": 3541,
    "cache_read_input_tokens": 15428,
    "cache_creation": {"ephemeral_5m_input_tokens": 541, "ephemeral_1h_input_tokens": 3000},
    "output_tokens": 3,
    "server_tool_use": {"web_search_requests": 1},
    "service_tier": "standard",
}
OURS = {
    "input_tokens": 2,
    "cache_write_tokens": 3541,
    "cache_write_1h_tokens": 3000,
    "cache_read_tokens": 15428,
    "output_tokens": 3,
    "web_search_requests": 1,
}


COUNTS = st.none() | st.integers(-1, 5) | st.sampled_from([2**63 - 1, 2**63, True, "5"])
DETAILS = st.dictionaries(st.sampled_from(["cached_tokens", "cache_write_tokens", "ephemeral_1h_input_tokens"]), COUNTS)
NAMES = [*OURS, *ANTHROPIC, "prompt_tokens", "completion_tokens", "prompt_tokens_details", "input_tokens_details"]


@given(st.dictionaries(st.sampled_from(NAMES), COUNTS | DETAILS))
def test_an_accepted_usage_is_one_that_an_event_can_have(value: dict[str, Any]) -> None:
    try:
        usage = usage_of(value)
    except InvalidEvent:
        return
    assert check_usage(usage) == usage


SONNET_USD = {
    "input_tokens": "3",
    "cache_write_tokens": "3.75",
    "cache_write_1h_tokens": "6",
    "cache_read_tokens": "0.3",
    "output_tokens": "15",
}
USAGES = st.fixed_dictionaries(
    {"output_tokens": st.just(7), "cache_write_tokens": st.integers(50, 60)},
    optional={name: st.integers(0, 50) for name in ("input_tokens", "cache_write_1h_tokens", "cache_read_tokens")},
)


@given(USAGES, USAGES)
def test_of_two_views_with_one_output_the_larger_costs_more_and_only_equal_ones_are_equal(
    one: dict[str, int], other: dict[str, int]
) -> None:
    rates = Rates("list", {bucket: Rate(Decimal(usd)) for bucket, usd in SONNET_USD.items()})
    cost, other_cost = rates.cost_nanousd(one), rates.cost_nanousd(other)
    assert cost is not None
    assert other_cost is not None
    larger = is_larger(measure(one), measure(other), same_model=True)
    filled = [{name: usage.get(name, 0) for name in OURS} for usage in (one, other)]
    assert (measure(one) == measure(other)) == (filled[0] == filled[1])
    assert larger if cost > other_cost else not larger or cost == other_cost


def test_between_two_models_only_a_larger_output_is_larger() -> None:
    small, large = measure({"output_tokens": 7}), measure({"output_tokens": 7, "input_tokens": 9})
    assert is_larger(large, small, same_model=True)
    assert not is_larger(large, small, same_model=False)
    assert is_larger(measure({"output_tokens": 8}), large, same_model=False)


def test_anthropic_usage_as_json_and_as_an_sdk_object() -> None:
    assert usage_of(ANTHROPIC) == OURS
    assert usage_of(SimpleNamespace(**ANTHROPIC)) == OURS
    assert usage_of(SimpleNamespace(model_dump=lambda: ANTHROPIC)) == OURS
    assert usage_of(OURS) == OURS


def test_openai_input_includes_cached_tokens_and_ours_does_not() -> None:
    chat = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}}
    responses = {"input_tokens": 100, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 60}}
    assert usage_of(chat) == usage_of(responses) == {"input_tokens": 40, "cache_read_tokens": 60, "output_tokens": 7}


def test_cache_writes_that_litellm_names_beside_the_details_only() -> None:
    given_usage = {"prompt_tokens": 1110, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 1000}}
    outside = {"cache_creation_input_tokens": 100, "cache_read_input_tokens": 1000}
    expected = {"input_tokens": 10, "cache_write_tokens": 100, "cache_read_tokens": 1000, "output_tokens": 20}
    assert usage_of(given_usage | outside) == expected
    both = {"cached_tokens": 1000, "cache_creation_tokens": 100}
    assert usage_of(given_usage | outside | {"prompt_tokens_details": both}) == expected


def test_what_is_no_usage_is_named_with_what_would_be_one() -> None:
    with pytest.raises(InvalidEvent, match=r"the fields 'foo', 'bar'; expected input_tokens, .*or what an Anthropic"):
        usage_of({"foo": 1, "bar": 2, "input_tokens": 3})
    with pytest.raises(InvalidEvent, match="knows: nothing; expected"):
        usage_of(None)


def test_a_split_that_exceeds_its_total_and_nulls() -> None:
    odd = {"input_tokens": 1, "output_tokens": 0, "cache_creation_input_tokens": 5, "cache_read_input_tokens": None}
    split = odd | {"cache_creation": {"ephemeral_1h_input_tokens": 9}}
    assert usage_of(split) == {
        "input_tokens": 1,
        "cache_write_tokens": 5,
        "cache_write_1h_tokens": 5,
        "output_tokens": 0,
    }
    assert usage_of(odd | {"cache_creation": None})["cache_write_tokens"] == 5


@pytest.mark.parametrize(
    "bad",
    [
        None,
        {},
        [],
        "x",
        {"tokens": 1},
        {"input_tokens": -1, "output_tokens": 1},
        {"input_tokens": 1.5, "output_tokens": 1},
    ],
)
def test_what_is_no_usage_is_refused(bad: Any) -> None:
    with pytest.raises(InvalidEvent, match="usage"):
        usage_of(bad)
