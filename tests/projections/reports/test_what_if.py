"""The same usage under other prices: with its own prices it costs what it cost, and nothing is appended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInput
from ledger.events.event import cost_observed
from ledger.pricing.genai_book import GenaiPrices
from ledger.pricing.price_book import price_event
from ledger.storage.memory_store import MemoryStore
from projections.history.memory import MemoryHistory
from projections.replay.refresh import refresh
from projections.reports.spend_report import SpendQuery, spend_report
from projections.reports.what_if import OtherPrices, WhatIf, WhatIfLine, other_prices, what_if
from tests.conftest import SteppingClock

BOOK = GenaiPrices()
FLAT = ("claude-opus-4-5", "claude-haiku-4-5")
"""Without tiers, and each token's price is a whole number of nanodollars, so that no call's cost is rounded."""

calls = st.lists(
    st.fixed_dictionaries(
        {
            "model": st.sampled_from(FLAT),
            "at": st.integers(0, 20 * 24 * 60),
            "usage": st.fixed_dictionaries(
                {
                    "input_tokens": st.integers(0, 9_000),
                    "output_tokens": st.integers(1, 900),
                    "cache_read_tokens": st.integers(0, 15_000),
                    "cache_write_tokens": st.integers(0, 9_000),
                    "cache_write_1h_tokens": st.just(0),
                }
            ),
        }
    ),
    max_size=6,
)
"""All of them together read at most 200,000 tokens: above, a figure is a lower bound, as one call may have read all."""


def history_of(found: list[dict[str, Any]]) -> MemoryHistory:
    store, history = MemoryStore(clock=SteppingClock()), MemoryHistory()
    for number, call in enumerate(found):
        at = datetime(2026, 10, 20, tzinfo=UTC) + timedelta(minutes=call["at"])
        fields = {"model": call["model"], "usage": call.get("usage"), "cost_usd": call.get("cost_usd")}
        reading = cost_observed("w", message_id=f"m{number}", agent="a", observed_at=at, **fields)
        store.append([price_event(BOOK, reading)])
    refresh(store, history)
    return history


def asked(model: str | None = None, *, mapped: Any = (), price: Any = (), uncached: bool = False) -> OtherPrices:
    return other_prices(BOOK, model=model, mapped=mapped, given=price, uncached=uncached)


def made(history: MemoryHistory, prices: OtherPrices) -> WhatIf:
    return what_if(history, SpendQuery(), UTC, prices, BOOK)


def only(found: WhatIf) -> WhatIfLine:
    [line] = found.lines
    return line


@given(calls)
def test_under_its_own_prices_usage_costs_what_it_cost(found: list[dict[str, Any]]) -> None:
    history = history_of(found)
    same = made(history, asked(mapped=[f"{model}={model}" for model in FLAT]))
    assert [line.difference_nanousd for line in same.lines] == [0] * len(same.lines)
    assert not any(line.at_least for line in same.lines)
    assert same.spent_nanousd == spend_report(history, SpendQuery(), UTC).total.amounts[0]


@given(calls)
def test_a_model_and_its_prices_by_hand_come_to_the_same(found: list[dict[str, Any]]) -> None:
    history = history_of(found)
    by_model = made(history, asked("claude-haiku-4-5"))
    by_hand = made(history, asked(price=["claude-*=1,5,0.1,1.25"]))
    assert by_model.would_nanousd == by_hand.would_nanousd
    assert made(history, asked(mapped=["*=claude-haiku-4-5"])).lines == by_model.lines


@given(calls)
def test_without_the_cache_input_costs_its_plain_price(found: list[dict[str, Any]]) -> None:
    plain = [call | {"usage": dict(call["usage"])} for call in found]
    for call in plain:
        usage = call["usage"]
        usage["input_tokens"] += usage.pop("cache_read_tokens") + usage.pop("cache_write_tokens")
        del usage["cache_write_1h_tokens"]
    without = made(history_of(found), asked(uncached=True))
    assert without.would_nanousd == made(history_of(plain), asked(uncached=True)).spent_nanousd


def test_what_cannot_be_priced_is_left_out_of_both_sums_and_said() -> None:
    history = history_of(
        [
            {"model": "own", "at": 0, "usage": {"input_tokens": 1_000_000, "output_tokens": 1}},
            {"model": "reported", "at": 0, "cost_usd": "2"},
        ]
    )
    found = made(history, asked(price=["own=2,4"], model="claude-haiku-4-5"))
    assert (found.spent_nanousd, found.would_nanousd) == (0, 2_000_004_000)
    reported, own = found.lines
    assert (reported.problem, reported.would_nanousd) == ("no tokens are recorded", None)
    assert (own.priced_as, own.is_bound, own.at_least) == ("given prices", True, False)


def test_kinds_of_tokens_without_a_price_and_tiers_make_a_lower_bound() -> None:
    usage = {"input_tokens": 10, "output_tokens": 1, "cache_read_tokens": 7}
    history = history_of([{"model": "claude-opus-4-5", "at": 0, "usage": usage}])
    line = only(made(history, asked(price=["claude-*=2,4"])))
    assert (line.would_nanousd, line.at_least) == (24_000, True)
    large = {"input_tokens": 900_000, "output_tokens": 1}
    line = only(made(history_of([{"model": "claude-opus-4-5", "at": 0, "usage": large}]), asked("gemini-2.5-pro")))
    assert line.at_least, "one call of so many tokens would cost more for each than several"


def test_models_that_nothing_is_asked_of_are_as_they_were() -> None:
    usage = {"input_tokens": 10, "output_tokens": 1}
    history = history_of([{"model": model, "at": 0, "usage": usage} for model in FLAT])
    found = made(history, asked(mapped=["*opus*=claude-haiku-4-5"]))
    assert [(line.priced_as, line.difference_nanousd) for line in found.lines] == [
        ("claude-haiku-4-5", -60_000),
        ("as it was", 0),
    ]
    assert made(MemoryHistory(), asked(uncached=True)).lines == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "what if?"),
        ({"model": "no-such-model-9"}, "no price is known of"),
        ({"model": "claude-opus-*=claude-haiku-4-5"}, "give one model"),
        ({"mapped": ["x"]}, "give MODEL=OTHER"),
        ({"price": ["x=1"]}, "2 to 4 prices"),
        ({"price": ["x=1,2,3,4,5"]}, "2 to 4 prices"),
        ({"price": ["x=1,y"]}, "is not an amount"),
        ({"price": ["x=1,-2"]}, "negative"),
        ({"uncached": True, "model": "claude-haiku-4-5"}, "leave out other models"),
    ],
)
def test_what_is_no_question_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        asked(**options)
