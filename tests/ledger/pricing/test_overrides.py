"""Overrides: which of them applies, and that a price book can be handed to another process."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.config.select import price_book
from ledger.pricing.genai_book import GenaiPrices
from ledger.pricing.overrides import BOOK, Overridden

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = """
[[prices]]
model = "claude-opus-4-?"
service_tier = "batch"
output_usd_per_mtok = 1
[[prices]]
model = "claude-opus-*"
since = 2026-01-01
output_usd_per_mtok = 2
[[prices]]
model = "Claude-*"
service_tier = "standard"
output_usd_per_mtok = 3
"""


@pytest.fixture
def book(tmp_path: Path) -> Overridden:
    file = tmp_path / "costledger.toml"
    file.write_text(TEXT, encoding="utf-8")
    made = price_book(file)
    assert isinstance(made, Overridden)
    return made


@pytest.mark.parametrize(
    ("model", "moment", "tier", "number"),
    [
        ("claude-opus-4-5", NEW_YEAR, "batch", 1),
        ("claude-opus-4-5", NEW_YEAR, None, 2),
        ("claude-opus-4-5", NEW_YEAR, "standard", 2),
        ("claude-opus-4-5", NEW_YEAR - timedelta(microseconds=1), None, 3),
        ("claude-opus-4-5", NEW_YEAR - timedelta(microseconds=1), "priority", None),
        ("claude-opus-4-5-20251101", NEW_YEAR, "batch", 2),
        ("CLAUDE-HAIKU-4-5", NEW_YEAR, "default", 3),
        ("CLAUDE-HAIKU-4-5", NEW_YEAR, "batch", None),
        ("gpt-5", NEW_YEAR, None, None),
    ],
)
def test_the_first_that_matches_model_day_and_tier_holds(
    book: Overridden, model: str, moment: datetime, tier: str | None, number: int | None
) -> None:
    assert book.number(model, moment, tier) == number


def test_an_override_holds_whole_and_for_the_rest_the_book_does(book: Overridden) -> None:
    agreed = book.rates("claude-opus-4-5", NEW_YEAR)
    assert agreed is not None
    assert agreed.book == BOOK
    assert agreed.cost_nanousd({"output_tokens": 1_000_000}) == 2_000_000_000
    assert agreed.cost_nanousd({"input_tokens": 1}) is None, "a bucket that is not named has no price"
    listed = book.rates("gpt-5", NEW_YEAR)
    assert listed is not None
    assert listed == GenaiPrices().rates("gpt-5", NEW_YEAR)


def test_a_price_book_goes_to_another_process(book: Overridden) -> None:
    again: Overridden = pickle.loads(pickle.dumps(book))  # noqa: S301
    for model in ("claude-opus-4-5", "gpt-5", "nobodys"):
        assert again.rates(model, NEW_YEAR) == book.rates(model, NEW_YEAR)
