"""Prices, pinned by hand from the list prices per million tokens that genai-prices carries."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.pricing.genai_book import GenaiPrices, rates_of_price
from ledger.pricing.rates import Rate, Rates
from tests.ledger.pricing.list_prices import BOOK, DAY, OPUS, PROVIDERS_OF_BOOK, SONNET, counts, price


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        ({"input_tokens": 1_000_000}, "5.00"),
        ({"output_tokens": 1_000_000}, "25.00"),
        ({"cache_read_tokens": 1_000_000}, "0.50"),
        ({"cache_write_tokens": 1_000_000}, "6.25"),
        ({"cache_write_tokens": 1_000_000, "cache_write_1h_tokens": 1_000_000}, "10.00"),
        ({"cache_write_tokens": 1_000_000, "cache_write_1h_tokens": 400_000}, "7.75"),
        ({"web_search_requests": 3}, "0.03"),
        ({"input_tokens": 2, "cache_write_tokens": 3541, "cache_read_tokens": 15428, "output_tokens": 3}, "0.02993025"),
        ({}, "0.00"),
    ],
)
def test_opus_4_5_by_bucket_with_both_lifetimes_of_cache_writes(usage: dict[str, int], usd: str) -> None:
    assert price(OPUS, usage) == usd


@pytest.mark.parametrize("bucket", ["input_tokens", "cache_write_tokens", "cache_read_tokens"])
def test_sonnet_4_5_above_200k_tokens_is_priced_at_the_higher_tier_whole(bucket: str) -> None:
    usd = {"input_tokens": ("0.60", "1.200006"), "cache_write_tokens": ("0.75", "1.5000075")}
    below, above = usd.get(bucket, ("0.06", "0.1200006"))
    assert price(SONNET, {bucket: 200_000}) == below
    assert price(SONNET, {bucket: 200_001}) == above


LATE: Final = datetime(2026, 11, 28, tzinfo=UTC)


def test_sonnet_4_5_has_one_price_since_its_longer_context_ended() -> None:
    usage = {"input_tokens": 6, "cache_write_tokens": 1_591, "cache_write_1h_tokens": 314, "cache_read_tokens": 230_000}
    usage |= {"output_tokens": 131}
    last = datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC)
    for moment, usd in ((last, "0.154329"), (last + timedelta(seconds=1), "0.07765575"), (LATE, "0.07765575")):
        assert price(SONNET, usage, moment) == usd
        rates = BOOK.rates(SONNET, moment)
        assert rates is not None
        assert not rates.is_lower_bound(usage)
    vertex = BOOK.rates(f"vertex_ai/{SONNET}", LATE)
    assert vertex is not None
    assert (vertex.cost_nanousd(usage), vertex.is_lower_bound(usage)) == (77_655_750, True)


def test_a_name_that_several_sell_has_the_lowest_price_as_a_lower_bound() -> None:
    rates = BOOK.rates("glm-5", LATE)
    assert rates is not None
    assert set(rates.providers) == {"zai", "zhipuai"}
    assert rates.book == f"{BOOK.name}, lowest of zhipuai and zai"
    assert rates.at_least
    zai = BOOK.rates("zai/glm-5", LATE)
    assert zai is not None
    assert (zai.at_least, zai.book) == (False, f"{BOOK.name}, zai")
    assert price("zai/glm-5", {"output_tokens": 1_000_000}, LATE) == "3.20"


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "gpt-5", "gemini-2.5-pro", "grok-4.5", "deepseek-chat"])
def test_the_name_of_a_closed_model_has_its_makers_price(model: str) -> None:
    rates = BOOK.rates(model, LATE)
    assert rates is not None
    assert (len(rates.providers), rates.at_least) == (1, False)


@given(st.data(), counts, counts, counts, counts)
def test_the_lowest_price_of_several_is_above_that_of_none(
    data: st.DataObject, uncached: int, writes: int, reads: int, output: int
) -> None:
    model = data.draw(st.sampled_from(sold_by_several()))
    usage = {
        "input_tokens": uncached,
        "cache_write_tokens": writes,
        "cache_read_tokens": reads,
        "output_tokens": output,
    }
    rates = BOOK.rates(model, LATE)
    assert rates is not None
    ours = rates.cost_nanousd(usage)
    theirs = [own for provider in rates.providers if (own := own_price(provider, model, usage)) is not None]
    assert ours is not None or not theirs or max(theirs) > 10**18
    if ours is not None:
        assert all(ours <= own for own in theirs)
        if not rates.at_least:
            assert set(theirs) <= {ours}


@cache
def sold_by_several() -> list[str]:
    names = set(BOOK.names())
    return sorted(name for name in names if (found := BOOK.rates(name, LATE)) is not None and len(found.providers) > 1)


def own_price(provider: str, model: str, usage: dict[str, int]) -> int | None:
    info = PROVIDERS_OF_BOOK[provider].find_model(model.lower())
    return None if info is None else rates_of_price("own", info.get_prices(LATE)).cost_nanousd(usage)


def test_a_glob_says_whose_price_a_name_has() -> None:
    book = GenaiPrices({"glm-*": "zai", "GPT-OSS*": "groq", "*": "azure"})
    again: GenaiPrices = pickle.loads(pickle.dumps(book))  # noqa: S301
    for each in (book, again):
        assert each.rates("GLM-5", LATE) == BOOK.rates("zai/glm-5", LATE)
        assert each.rates("zhipuai/glm-5", LATE) == BOOK.rates("zhipuai/glm-5", LATE), "a provider is named already"
        assert each.rates("gpt-oss-120b", LATE) == BOOK.rates("groq/gpt-oss-120b", LATE)


def test_the_tier_is_chosen_by_all_input_and_holds_for_the_output_too() -> None:
    at_the_edge = {
        "input_tokens": 1,
        "cache_write_tokens": 99_999,
        "cache_read_tokens": 100_000,
        "output_tokens": 1_000,
    }
    assert price(SONNET, {"output_tokens": 300_000}) == "4.50", "output alone reaches no tier"
    below, above = price(SONNET, at_the_edge), price(SONNET, at_the_edge | {"cache_read_tokens": 100_001})
    assert (below, above) == ("0.41999925", "0.8324991")


def test_sonnet_4_6_lost_its_tier_on_13_march_2026() -> None:
    midnight = datetime(2026, 3, 13, tzinfo=UTC)
    usage = {"input_tokens": 1_000_000}
    assert price("claude-sonnet-4-6", usage, midnight - timedelta(microseconds=1)) == "6.00"
    assert price("claude-sonnet-4-6", usage, midnight) == "3.00"
    in_rome = midnight.astimezone(datetime.strptime("+0100", "%z").tzinfo)
    assert price("claude-sonnet-4-6", usage, in_rome) == "3.00", "days are UTC's"


def test_deepseek_is_cheaper_from_half_past_four_on() -> None:
    evening = datetime(2026, 1, 10, 16, 30, tzinfo=UTC)
    assert price("deepseek-chat", {"output_tokens": 1_000_000}, evening - timedelta(microseconds=1)) == "1.10"
    assert price("deepseek-chat", {"output_tokens": 1_000_000}, evening) == "0.55"


WINTER = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("model", "tier", "moment", "usd"),
    [
        ("gpt-5", None, WINTER, "10.00"),
        ("gpt-5", "default", WINTER, "10.00"),
        ("gpt-5", "priority", WINTER, "20.00"),
        ("gpt-5", "flex", WINTER, "5.00"),
        ("gpt-5", "batch", WINTER, "5.00"),
        ("gpt-5", "priority", DAY, None),  # the book knows these rates from a later day on
        ("gpt-5", "batch", DAY, None),
        ("claude-opus-5", "fast", WINTER, "50.00"),
        (OPUS, "standard", WINTER, "25.00"),
        (OPUS, "batch", WINTER, "12.50"),
        (OPUS, "batch", DAY, "12.50"),  # by the documented rule, half of standard
        ("claude-3-haiku-20240307", "batch", DAY, "0.625"),
        (OPUS, "priority", WINTER, None),  # committed capacity: no price by the token
        (OPUS, "tea", WINTER, None),
    ],
)
def test_a_way_of_serving_has_its_own_rates_or_none(model: str, tier: str | None, moment: datetime, usd: str) -> None:
    assert price(model, {"output_tokens": 1_000_000}, moment, tier) == usd


def test_a_batch_halves_tokens_of_every_kind_and_tier_and_no_search() -> None:
    usage = {"input_tokens": 200_001, "cache_write_tokens": 9, "cache_write_1h_tokens": 4, "output_tokens": 7}
    whole, half = price(SONNET, usage), price(SONNET, usage, tier="batch")
    assert whole is not None
    assert half is not None
    assert Decimal(whole) == 2 * Decimal(half)
    assert price(SONNET, {"web_search_requests": 1}, tier="batch") == "0.01"


@pytest.mark.parametrize("model", ["who-knows-1", "", "<synthetic>", "llama-at-home", "x" * 500])
def test_an_unknown_model_has_no_price(model: str) -> None:
    assert price(model, {"output_tokens": 1}) is None


def test_a_bucket_without_a_rate_is_never_free() -> None:
    assert price("claude-3-haiku-20240307", {"input_tokens": 4}) == "0.000001"
    assert price("claude-3-haiku-20240307", {"input_tokens": 4, "web_search_requests": 1}) is None
    assert price("devstral-small:free", {"input_tokens": 4}) is None, "the book names no rate at all"


def test_a_sum_of_several_calls_has_no_price_where_each_call_counts() -> None:
    sonnet, opus = BOOK.rates(SONNET, DAY), BOOK.rates(OPUS, DAY)
    assert sonnet is not None
    assert opus is not None
    with_fee = Rates("b", {"input_tokens": Rate(Decimal(3)), "requests": Rate(Decimal("0.006"))})
    assert sonnet.cost_nanousd({"input_tokens": 200_000}, one_call=False) == 600_000_000
    assert sonnet.cost_nanousd({"input_tokens": 200_001}, one_call=False) is None
    assert opus.cost_nanousd({"input_tokens": 10_000_000}, one_call=False) == 50_000_000_000
    assert with_fee.cost_nanousd({"input_tokens": 1}) == 6_003_000, "a call, and a token"
    assert with_fee.cost_nanousd({"input_tokens": 1}, one_call=False) is None


def test_more_than_any_amount_can_be_has_no_price() -> None:
    assert price(OPUS, {"output_tokens": 2**63 - 1}) is None
