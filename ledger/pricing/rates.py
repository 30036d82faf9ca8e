"""Rates: what each bucket of a usage costs, and the exact arithmetic from tokens to nanodollars.

Rates are decimals in USD; the sum is a whole number over a power of ten and is rounded once, half to even. This file
uses no model, no price list and no clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Final, NamedTuple

from ledger.events import money
from ledger.events.fields import COUNT_MAX

__all__ = ["DIGEST_CHARACTERS", "UNITS", "Correction", "Rate", "Rates", "digest_of", "lowest"]

UNITS: Final = {
    "input_tokens": 1_000_000,
    "cache_write_tokens": 1_000_000,
    "cache_write_1h_tokens": 1_000_000,
    "cache_read_tokens": 1_000_000,
    "output_tokens": 1_000_000,
    "web_search_requests": 1,
    "requests": 1,
}
"""What a bucket's rate is per. `cache_write_tokens` are here the 5-minute ones; `requests` is a fee for each call."""

_COUNTED: Final = tuple(bucket for bucket in UNITS if bucket != "requests")

DIGEST_CHARACTERS: Final = 16
"""Of SHA-256: enough to distinguish rates, not to prove them; every priced line carries one."""


class Rate(NamedTuple):
    """USD per a bucket's unit.

    Attributes:
        tiers: `(input tokens, USD)`, ascending: the rate of all tokens of a call that read more input than that,
            cached input included.
    """

    usd: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def at(self, level: int) -> Decimal:
        """Return the rate of a call that read more than `level` input tokens, and not more than the next tier."""
        return next((usd for above, usd in reversed(self.tiers) if above <= level), self.usd)


@dataclass(frozen=True)
class Rates:
    """What a model costs at a moment.

    Attributes:
        book: the name and version of their list, and the providers whose rates they are.
        buckets: by the names of `UNITS`; one that is missing has no price.
        providers: whose rates these are, as the list names them; several: those that may have served the call.
        at_least: the true rates may be higher.
        unknown_above: of a call that read more input tokens, cached ones included, the true rates may be higher.
        correction: the correction of the list that was applied; see `ledger.pricing.price_corrections`.
        apart: tokens that the list prices otherwise than text, which `buckets` price: "input_audio", "output_image" …
    """

    book: str
    buckets: Mapping[str, Rate]
    providers: tuple[str, ...] = ()
    at_least: bool = False
    unknown_above: int | None = None
    correction: Correction | None = None
    apart: frozenset[str] = frozenset()

    @cached_property
    def digest(self) -> str:
        """16 hex digits that identify the rates: the same for equal rates, whichever list has them."""
        return digest_of(f"{name} {_spelled(self.buckets[name])}" for name in sorted(self.buckets))

    def cost_nanousd(self, usage: Mapping[str, int], *, one_call: bool = True) -> int | None:
        """Return what a usage costs, in nanodollars; None when that cannot be known.

        That is so when a bucket that was used has no rate; when the usage is of several calls, and the rates depend on
        how much each of them read; and when the cost exceeds the largest amount.

        Args:
            usage: in our disjoint buckets.
            one_call: the usage is that of a single call.
        """
        get = usage.get
        uncached, writes, reads = get("input_tokens", 0), get("cache_write_tokens", 0), get("cache_read_tokens", 0)
        lasting = min(get("cache_write_1h_tokens", 0), writes)
        read_in = uncached + writes + reads
        if not one_call and (self._fee or read_in > self._first_tier):
            return None
        total = self._fee
        counts = (uncached, writes - lasting, lasting, reads, get("output_tokens", 0), get("web_search_requests", 0))
        weights = self._levels[-1][1]
        for above, of_tier in self._levels[:-1]:
            if read_in > above:
                weights = of_tier
                break
        for count, weight in zip(counts, weights, strict=True):
            if count:
                if weight is None:
                    return None
                total += count * weight
        cost = _half_even(total, self._denominator)
        return cost if cost <= money.NANOUSD_MAX else None

    def least_nanousd(self, usage: Mapping[str, int]) -> int:
        """Return what a usage costs at least, of however many calls it is: at the lowest tier, without fees.

        A bucket without a rate costs nothing here.
        """
        writes = usage.get("cache_write_tokens", 0)
        lasting = min(usage.get("cache_write_1h_tokens", 0), writes)
        counts = dict(usage) | {"cache_write_tokens": writes - lasting, "cache_write_1h_tokens": lasting}
        total = 0
        for at, bucket in enumerate(_COUNTED):
            given = [weight for _, weights in self._levels if (weight := weights[at]) is not None]
            total += counts.get(bucket, 0) * min(given, default=0)
        return total // self._denominator

    def is_lower_bound(self, usage: Mapping[str, int], *, one_call: bool = True) -> bool:
        """Return whether what `cost_nanousd` answers may be less than the true cost."""
        if self.at_least or self.unknown_above is None or not one_call:
            return self.at_least
        get = usage.get
        read_in = get("input_tokens", 0) + get("cache_write_tokens", 0) + get("cache_read_tokens", 0)
        return read_in > self.unknown_above

    @cached_property
    def _decimals(self) -> int:
        """Of the finest rate: every other is a whole number of 10^-decimals USD too."""
        given = [usd for rate in self.buckets.values() for usd in (rate.usd, *(usd for _, usd in rate.tiers))]
        return max([0, *(-int(usd.as_tuple().exponent) for usd in given)])

    @cached_property
    def _denominator(self) -> int:
        return int(10**self._decimals)

    @cached_property
    def _levels(self) -> list[tuple[int, list[int | None]]]:
        """Highest first: the input tokens above which it applies, and what one of each bucket costs there.

        In nanodollars × denominator, in the order of `_COUNTED`; None where there is no rate.
        """
        thresholds = {above for rate in self.buckets.values() for above, _ in rate.tiers}
        return [
            (above, [self._weight(bucket, above) for bucket in _COUNTED])
            for above in sorted({-1, *thresholds}, reverse=True)
        ]

    def _weight(self, bucket: str, level: int) -> int | None:
        rate = self.buckets.get(bucket)
        if rate is None:
            return None
        return int(rate.at(level).scaleb(self._decimals)) * (money.NANOUSD_PER_USD // UNITS[bucket])

    @cached_property
    def _first_tier(self) -> int:
        """The input tokens up to which no tier applies, however many calls they are of."""
        return self._levels[-2][0] if len(self._levels) > 1 else 3 * COUNT_MAX

    @cached_property
    def _fee(self) -> int:
        return self._weight("requests", -1) or 0


def lowest(every: Sequence[Rates]) -> Rates:
    """Return the lowest rate of each bucket among several providers' rates: never above what any of them asks.

    A bucket for which one of them has no rate has the lowest of the others'. The rates are exact if all ask the same.
    """
    first = every[0]
    thresholds = sorted({above for rates in every for rate in rates.buckets.values() for above, _ in rate.tiers})
    buckets: dict[str, Rate] = {}
    for bucket in UNITS:
        given = [rates.buckets[bucket] for rates in every if bucket in rates.buckets]
        if not given or (bucket == "requests" and len(given) < len(every)):
            continue
        tiers: list[tuple[int, Decimal]] = []
        usd = last = min(rate.usd for rate in given)
        for above in thresholds:
            if (level := min(rate.at(above) for rate in given)) != last:
                tiers.append((above, level))
                last = level
        buckets[bucket] = Rate(usd, tuple(tiers))
    limits = [rates.unknown_above for rates in every if rates.unknown_above is not None]
    return Rates(
        first.book,
        buckets,
        providers=tuple(name for rates in every for name in rates.providers),
        at_least=any(rates.at_least or rates.digest != first.digest for rates in every),
        unknown_above=min(limits, default=None),
        correction=next((rates.correction for rates in every if rates.correction is not None), None),
    )


def digest_of(parts: Iterable[str]) -> str:
    """Return a short digest of some texts, in this order."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:DIGEST_CHARACTERS]


def _spelled(rate: Rate) -> str:
    """One spelling for equal rates: "3", or "3 >200000 6"."""
    tiers = "".join(f" >{above} {_plain(usd)}" for above, usd in rate.tiers)
    return f"{_plain(rate.usd)}{tiers}"


def _plain(usd: Decimal) -> str:
    return f"{usd.normalize():f}"


def _half_even(numerator: int, denominator: int) -> int:
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2))


class Correction(NamedTuple):
    """A published fact about calls that read more than `above` input tokens.

    Attributes:
        provider, model: as genai-prices names them.
        since, until: from this day on, and before that one, UTC; None: without an end.
        above: input tokens, cached ones included; of a call that read more, all tokens cost this much.
        input_times, output_times: the factors on the rates below, of every kind of input and of the output; None: the
            price is not published, so the rates below are a lower bound.
        source: where the fact is published.
        reason: why the list alone is wrong, in a sentence.
    """

    provider: str
    model: str
    since: date
    until: date | None
    above: int
    input_times: Decimal | None
    output_times: Decimal | None
    source: str
    reason: str
