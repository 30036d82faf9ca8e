"""Rates in whole nanodollars: the same as decimals, and a digest that only the rates decide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache

from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import money
from ledger.pricing.rates import Rate, Rates, digest_of
from tests.ledger.pricing.list_prices import BOOK, DAY, counts


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


def _is_whose(name: str) -> str | None:
    try:
        return get_snapshot().find_provider_model(name, None, None, None)[0].id
    except LookupError:
        return None
