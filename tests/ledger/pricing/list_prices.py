"""The list prices that the tests ask for."""

from __future__ import annotations

from datetime import UTC, datetime

from genai_prices.data_snapshot import get_snapshot
from hypothesis import strategies as st

from ledger.events import money
from ledger.pricing.genai_book import GenaiPrices

BOOK = GenaiPrices()


DAY = datetime(2026, 1, 10, tzinfo=UTC)


PROVIDERS_OF_BOOK = {provider.id: provider for provider in get_snapshot().providers}


OPUS, SONNET = "claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929"


def price(model: str, usage: dict[str, int], moment: datetime = DAY, tier: str | None = None) -> str | None:
    rates = BOOK.rates(model, moment, tier)
    cost = None if rates is None else rates.cost_nanousd(usage)
    return None if cost is None else money.to_wire(cost)


counts = st.one_of(st.just(0), st.integers(0, 400_000), st.integers(0, 10**12))
