"""Prices, pinned by hand from the list prices per million tokens that genai-prices carries."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from ledger import MemoryStore
from ledger.events import money
from ledger.events.event import Event, cost_observed, event
from ledger.importing.importer import import_source
from ledger.pricing.genai_book import GenaiPrices, rates_of_price
from ledger.pricing.price_book import is_at_least, price_event, priced_from
from ledger.pricing.price_corrections import CORRECTIONS
from ledger.pricing.rates import Rate, Rates, digest_of
from ledger.providers.model_names import PROVIDERS

BOOK = GenaiPrices()
DAY = datetime(2026, 1, 10, tzinfo=UTC)
PROVIDERS_OF_BOOK = {provider.id: provider for provider in get_snapshot().providers}
OPUS, SONNET = "claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929"


def price(model: str, usage: dict[str, int], moment: datetime = DAY, tier: str | None = None) -> str | None:
    rates = BOOK.rates(model, moment, tier)
    cost = None if rates is None else rates.cost_nanousd(usage)
    return None if cost is None else money.to_wire(cost)


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


counts = st.one_of(st.just(0), st.integers(0, 400_000), st.integers(0, 10**12))
LATE: Final = datetime(2026, 11, 28, tzinfo=UTC)
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


def test_a_lower_bound_makes_its_reading_partial_and_says_that_the_price_did() -> None:
    usage = {"input_tokens": 200_001, "output_tokens": 1}
    bound = price_event(BOOK, call_of(usage))
    exact = price_event(BOOK, call_of({"input_tokens": 200_000}))
    assert (bound.fields["cost_usd"], bound.fields["partial"]) == ("1.00003", True)
    assert "partial" in bound.derived, "another price book makes no other event of it"
    assert is_at_least(bound.fields)
    assert "partial" not in exact.fields
    assert not is_at_least(exact.fields)
    given_so = price_event(BOOK, call_of(usage, partial=True))
    assert "partial" not in given_so.derived
    assert not is_at_least(given_so.fields), "its source reported it so"
    several = price_event(BOOK, cost_observed("w", model=OPUS, usage=usage))
    assert "partial" not in several.fields, "of how many calls?"


def call_of(usage: dict[str, int], *, partial: bool | None = None) -> Event:
    return cost_observed("w", model=OPUS, usage=usage, message_id="m1", partial=partial)


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


@cache
def models() -> list[str]:
    """The names that are one provider's, with that provider's prices."""
    return sorted(
        name
        for name in set(BOOK.names())
        if _is_whose(name) is not None and (rates := BOOK.rates(name, DAY)) is not None and len(rates.providers) == 1
    )


@given(st.data(), counts, counts, counts, counts, st.integers(0, 3), st.sampled_from([1, 2, 10**6]))
def test_our_whole_numbers_are_the_librarys_decimals(
    data: st.DataObject, uncached: int, writes: int, reads: int, output: int, searches: int, part: int
) -> None:
    model = data.draw(st.sampled_from(models()))
    moment = datetime(2024, 6, 1, tzinfo=UTC) + timedelta(minutes=data.draw(st.integers(0, 1_300_000)))
    rates = BOOK.rates(model, moment)
    assert rates is not None
    usage = {
        "input_tokens": uncached,
        "cache_write_tokens": writes,
        "cache_write_1h_tokens": writes // part,
        "cache_read_tokens": reads,
        "output_tokens": output,
        "web_search_requests": searches,
    }
    ours = rates.cost_nanousd(usage)
    if rates.correction is not None and uncached + writes + reads > rates.correction.above:
        return  # here the list is known to be wrong
    if ours is None:
        used = {bucket for bucket, count in usage.items() if count}
        assert used - rates.buckets.keys() or output > 10**9
        return
    theirs = Usage(
        input_tokens=uncached + writes + reads,
        cache_write_tokens=writes,
        cache_write_1h_tokens=writes // part,
        cache_read_tokens=reads,
        output_tokens=output,
        web_searches=searches,
    )
    assert ours == money.parse(calc_price(theirs, model, genai_request_timestamp=moment).total_price)


decimals = st.decimals(0, 1000, places=12, allow_nan=False)


@given(st.dictionaries(st.sampled_from(["input_tokens", "output_tokens"]), decimals), st.integers(0, 10**9))
def test_a_digest_is_that_of_the_rates_whatever_the_list_is_called_and_however_they_are_spelled(
    usd: dict[str, Decimal], count: int
) -> None:
    one = Rates("one 1", {bucket: Rate(rate) for bucket, rate in usd.items()})
    same = Rates("two 2", {bucket: Rate(rate.normalize()) for bucket, rate in reversed(usd.items())})
    assert one.digest == same.digest
    usage = dict.fromkeys(usd, count)
    assert one.cost_nanousd(usage) == same.cost_nanousd(usage)
    for bucket in usd:
        dearer = dict(one.buckets) | {bucket: Rate(usd[bucket] + Decimal("1e-12"))}
        tiered = dict(one.buckets) | {bucket: Rate(usd[bucket], ((200_000, usd[bucket]),))}
        assert len({one.digest, Rates("one 1", dearer).digest, Rates("one 1", tiered).digest}) == 3


def test_the_digest_that_the_format_describes() -> None:
    rates = Rates(
        "b", {"output_tokens": Rate(Decimal("15.00"), ((200_000, Decimal("22.50")),)), "requests": Rate(Decimal(0))}
    )
    assert rates.digest == digest_of(["output_tokens 15 >200000 22.5", "requests 0"])


def test_a_priced_event_names_its_book_and_rates_and_an_unpriced_one_stays_as_it_is() -> None:
    usage = {"output_tokens": 1_000_000}
    priced = price_event(BOOK, cost_observed("w", model="claude-opus-4-5", usage=usage))
    rates = BOOK.rates("claude-opus-4-5", None)
    assert rates is not None
    price = {"cost_usd": "25.00", "cost_source": "priced", "price_book": rates.book, "price_digest": rates.digest}
    assert rates.book == f"{BOOK.name}, anthropic"
    assert priced.fields == {"model": "claude-opus-4-5", "usage": usage} | price
    assert priced.derived == price.keys()
    whole = {"type": "cost_observed", "workflow_id": "w", **priced.fields}
    assert event(whole, derived=priced.derived) == priced, "it is as valid as one made from all its fields"
    assert BOOK.name.startswith("genai-prices ")
    for untouched in (
        cost_observed("w", model="who-knows-1", usage=usage),
        cost_observed("w", usage=usage),
        cost_observed("w", model="claude-opus-4-5", usage=usage, cost_usd=1),
        cost_observed("w", model=SONNET, usage={"input_tokens": 200_001}, observed_at=DAY),  # of how many calls?
        cost_observed("w", model=OPUS, usage=usage, service_tier="priority", message_id="m"),
    ):
        assert price_event(BOOK, untouched) is untouched


def test_what_was_priced_from_several_rates_names_them_together() -> None:
    a, b = BOOK.rates(OPUS, DAY), BOOK.rates(SONNET, DAY)
    assert a is not None
    assert b is not None
    assert priced_from([a, a])["price_digest"] == a.digest
    assert priced_from([a, b]) == priced_from([b, a, b])
    assert priced_from([a, b])["price_book"] == a.book == b.book
    assert priced_from([a, b])["price_digest"] not in (a.digest, b.digest)


@pytest.mark.parametrize(
    ("model", "plain"),
    [
        ("anthropic/claude-opus-4-5", "claude-opus-4-5"),
        ("openai/gpt-5.5", "gpt-5.5"),
        ("gemini/gemini-2.5-pro", "gemini-2.5-pro"),
        ("vertex_ai/claude-sonnet-4-5@20250929", SONNET),
        ("azure/gpt-4o", "gpt-4o"),
    ],
)
def test_a_provider_before_the_name_of_a_model_leaves_its_price(model: str, plain: str) -> None:
    usage = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
    assert price(model, usage) == price(plain, usage) is not None


@pytest.mark.parametrize("gateway", ["", "bedrock/", "bedrock/converse/"])
@pytest.mark.parametrize(("where", "usd"), [("us.", "3.30"), ("eu.", "3.30"), ("global.", "3.00"), ("", "3.30")])
def test_bedrocks_ids_have_the_price_of_where_they_run(gateway: str, where: str, usd: str) -> None:
    assert price(f"{gateway}{where}anthropic.{SONNET}-v1:0", {"input_tokens": 1_000_000}) == usd


@pytest.mark.parametrize("before", sorted(PROVIDERS))
def test_a_name_behind_a_provider_costs_what_that_provider_asks_for_it(before: str) -> None:
    for model in PROVIDERS_OF_BOOK[PROVIDERS[before]].models:
        costs_what_its_provider_asks(before, model.id)


def costs_what_its_provider_asks(before: str, name: str) -> None:
    provider = PROVIDERS_OF_BOOK[PROVIDERS[before]]
    found = BOOK.rates(f"{before}/{name}", DAY)
    try:
        _, info = get_snapshot().find_provider_model(name, None, provider.id, None)
    except LookupError:
        assert found is None
        return
    assert found is not None
    assert (found.book, found.providers) == (f"{BOOK.name}, {provider.id}", (provider.id,))
    if found.correction is None:
        assert found.buckets == rates_of_price(BOOK.name, info.get_prices(DAY)).buckets
    if provider.find_model(name) is not None and _is_whose(name) == provider.id:
        alone = BOOK.rates(name, DAY)
        assert alone is not None
        assert found == alone or len(alone.providers) > 1, "and what it costs without, where no other may be meant"


def _is_whose(name: str) -> str | None:
    try:
        return get_snapshot().find_provider_model(name, None, None, None)[0].id
    except LookupError:
        return None


@given(
    st.text(alphabet="abcxyz_-.", max_size=12).filter(lambda before: before not in PROVIDERS),
    st.sampled_from(sorted(BOOK.names())),
)
def test_nothing_is_taken_off_a_name_but_providers(before: str, name: str) -> None:
    if _is_whose(f"{before}/{name}") is None:
        assert BOOK.rates(f"{before}/{name}", DAY) is None
