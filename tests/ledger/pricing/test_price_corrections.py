"""Corrections of the price list: why each one is there, and what it changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from ledger import MemoryStore
from ledger.events import money
from ledger.importing.importer import import_source
from ledger.pricing.price_book import is_at_least
from ledger.pricing.price_corrections import CORRECTIONS
from tests.ledger.pricing.list_prices import BOOK, PROVIDERS_OF_BOOK, price

LONG: Final = {"input_tokens": 3, "cache_write_tokens": 286_510, "cache_write_1h_tokens": 10, "output_tokens": 228}


def test_sonnet_4_costs_twice_above_200k_tokens_while_it_had_a_longer_context() -> None:
    model, launch = "claude-sonnet-4-20250514", datetime(2025, 8, 12, tzinfo=UTC)
    usage = {"input_tokens": 200_000, "output_tokens": 1_000}
    assert price(model, usage, launch) == "0.615"
    assert price(model, usage | {"input_tokens": 200_001}, launch) == "1.222506"
    assert price(model, LONG, launch) == "2.154018"
    assert price(model, LONG | {"cache_read_tokens": 1_000_000}, launch) == "2.754018"
    assert price(model, LONG, launch, "batch") == "1.077009"
    assert price(model, LONG, datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC)) == "2.154018"


def test_real_calls_of_sonnet_4_above_200k_tokens_cost_what_the_api_asked(shared_data: Path) -> None:
    store = MemoryStore()
    import_source(store, "claude", shared_data / "claude-transcripts" / "episodic-memory")
    calls = [line for name in store.workflow_ids() for line in store.read(name) if "message_id" in line]
    calls = [line for line in calls if line["model"] == "claude-sonnet-4-20250514" and read_in(line["usage"]) > 200_000]
    assert len({line["message_id"] for line in calls}) >= 170
    for line in calls:
        get = line["usage"].get
        lasting = get("cache_write_1h_tokens", 0)
        brief = get("cache_write_tokens", 0) - lasting
        mtok = 6 * get("input_tokens", 0) + Decimal("7.5") * brief + 12 * lasting
        mtok += Decimal("0.6") * get("cache_read_tokens", 0) + Decimal("22.5") * get("output_tokens", 0)
        assert money.from_wire(line["cost_usd"]) == money.parse(str(mtok / 1_000_000))
        assert line["price_book"] == f"{BOOK.name}, anthropic"
        assert not is_at_least(line), "the price is known; a transcript alone does not show every call"


def read_in(usage: dict[str, int]) -> int:
    return sum(usage.get(bucket, 0) for bucket in ("input_tokens", "cache_write_tokens", "cache_read_tokens"))


@pytest.mark.parametrize("moment", [datetime(2025, 8, 11, 23, 59, 59, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)])
def test_sonnet_4_above_its_listed_context_at_another_time_is_a_lower_bound(moment: datetime) -> None:
    rates = BOOK.rates("claude-sonnet-4", moment)
    assert rates is not None
    assert rates.correction is None
    assert rates.is_lower_bound(LONG)
    assert not rates.is_lower_bound({"input_tokens": 200_000})
    assert rates.cost_nanousd(LONG) == 1_077_864_000


def test_every_correction_names_a_model_of_the_list_a_source_and_a_reason() -> None:
    assert len(CORRECTIONS) <= 12
    for correction in CORRECTIONS:
        provider = PROVIDERS_OF_BOOK[correction.provider]
        assert correction.model in {model.id for model in provider.models}
        assert correction.since < (correction.until or date.max)
        assert correction.source.startswith("https://")
        assert correction.reason
        rates = BOOK.rates(f"{correction.provider}/{correction.model}", datetime.combine(correction.since, time(), UTC))
        assert rates is not None
        assert rates.correction == correction
