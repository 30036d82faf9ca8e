from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.pricing.genai_book import GenaiPrices
from projections.cli.output.rates import rates_json, usd_text

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.decimals(0, 10**6, places=12), st.integers(1, 6))
def test_a_rate_is_exact_with_its_least_decimals_and_no_more_zeros(usd: Decimal, decimals: int) -> None:
    text = usd_text(usd, decimals)
    assert Decimal(text) == usd
    given_decimals = text.partition(".")[2]
    assert len(given_decimals) >= decimals
    assert len(given_decimals) == decimals or not text.endswith("0")


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "gpt-5"])
def test_rates_as_json_are_those_of_the_book(model: str) -> None:
    rates = GenaiPrices().rates(model, MOMENT)
    assert rates is not None
    shown = rates_json(model, MOMENT, None, rates, None)
    assert (shown["model"], shown["service_tier"], shown["price_digest"]) == (model, "standard", rates.digest)
    assert {name: Decimal(rate["usd"]) for name, rate in shown["rates"].items()} == {
        name: rate.usd for name, rate in rates.buckets.items()
    }
    for name, rate in rates.buckets.items():
        tiers = [(one["above_input_tokens"], Decimal(one["usd"])) for one in shown["rates"][name]["tiers"]]
        assert tiers == list(rate.tiers)
