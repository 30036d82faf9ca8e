"""Prices, pinned by hand from the list prices per million tokens that genai-prices carries."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ledger import money
from ledger.events import cost_observed
from ledger.pricing import GenaiPrices, price_event

BOOK = GenaiPrices()
DAY = datetime(2026, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        ({"input_tokens": 1_000_000}, "5.00"),
        ({"output_tokens": 1_000_000}, "25.00"),
        ({"cache_read_tokens": 1_000_000}, "0.50"),
        ({"cache_write_tokens": 1_000_000}, "6.25"),
        ({"cache_write_tokens": 1_000_000, "cache_write_1h_tokens": 1_000_000}, "10.00"),
        ({"cache_write_tokens": 1_000_000, "cache_write_1h_tokens": 400_000}, "7.75"),
        ({"input_tokens": 2, "cache_write_tokens": 3541, "cache_read_tokens": 15428, "output_tokens": 3}, "0.02993025"),
        ({}, "0.00"),
    ],
)
def test_opus_4_5_by_bucket_with_both_lifetimes_of_cache_writes(usage: dict[str, int], usd: str) -> None:
    price = BOOK.price("claude-opus-4-5-20251101", usage, DAY)
    assert price is not None
    assert money.to_wire(price) == usd


def test_sonnet_4_5_above_200k_tokens_is_priced_at_the_higher_tier() -> None:
    below = BOOK.price("claude-sonnet-4-5-20250929", {"input_tokens": 200_000}, DAY)
    above = BOOK.price("claude-sonnet-4-5-20250929", {"input_tokens": 200_001}, DAY)
    assert (below, above) == (600_000_000, 1_200_006_000)


@pytest.mark.parametrize("model", ["who-knows-1", "", "<synthetic>", "llama-at-home", "x" * 500])
def test_an_unknown_model_has_no_price(model: str) -> None:
    assert BOOK.price(model, {"output_tokens": 1}, DAY) is None


def test_a_priced_event_names_its_book_and_an_unpriced_one_stays_as_it_is() -> None:
    priced = price_event(BOOK, cost_observed("w", model="claude-opus-4-5", usage={"output_tokens": 1_000_000}))
    assert (priced.fields["cost_usd"], priced.fields["cost_source"]) == ("25.00", "priced")
    assert priced.fields["price_book"] == BOOK.name
    assert BOOK.name.startswith("genai-prices ")
    assert {"cost_usd", "cost_source", "price_book"} <= priced.derived
    for untouched in (
        cost_observed("w", model="who-knows-1", usage={"output_tokens": 1}),
        cost_observed("w", usage={"output_tokens": 1}),
        cost_observed("w", model="claude-opus-4-5", usage={"output_tokens": 1}, cost_usd=1),
    ):
        assert price_event(BOOK, untouched) is untouched
