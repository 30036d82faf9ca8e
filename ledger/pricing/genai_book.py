"""The list prices of genai-prices, as rates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.pricing.price_corrections import VERSION, changes_of, corrected
from ledger.pricing.rates import Rate, Rates, lowest
from ledger.pricing.stored_rates import StoredRates
from ledger.providers.model_names import is_of_its_maker, provider_of, spellings
from ledger.providers.service_tiers import service_tier_of

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider, StartDateConstraint, TimeOfDateConstraint

__all__ = ["GenaiPrices", "rates_of_price"]

_NAMED_MAX: Final = 4
"""Of providers, in the name of a book."""


_CACHED_RATES_MAX: Final = 4096
"""By model, tier and day; finding them takes about 0.1 ms, and a log repeats the same on many lines."""


_BUCKETS: Final = {
    "input_tokens": "input_mtok",
    "cache_write_tokens": "cache_write_mtok",
    "cache_write_1h_tokens": "cache_write_1h_mtok",
    "cache_read_tokens": "cache_read_mtok",
    "output_tokens": "output_mtok",
    "web_search_requests": "web_searches_kcount",
    "requests": "requests_kcount",
}
"""The names that genai-prices gives the rates of our buckets."""


_TEXT: Final = {"input": "input_mtok", "output": "output_mtok"}
"""The rates of text, by the side that they are of."""


_INSTEAD: Final = {
    "cache_write_tokens": "input_tokens",
    "cache_write_1h_tokens": "cache_write_tokens",
    "cache_read_tokens": "input_tokens",
}
"""A book that has no rate of its own for these means that they cost what those do."""


class GenaiPrices:
    """The prices that the installed `genai-prices` package carries, and the corrections over them.

    A name that several providers sell under prices of their own has the lowest of these, as a lower bound.

    Args:
        providers: the provider whose prices apply to a name without one, by a glob of the name: "glm-*"; the first
            match counts.
        folder: where rates are stored for other processes, which then need not load the list; None: nowhere.
    """

    def __init__(self, providers: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        self._providers, self._folder = dict(providers or {}), folder
        self._stored = None if folder is None else StoredRates(folder, self._providers)
        self._found = lru_cache(maxsize=_CACHED_RATES_MAX)(self._find)
        self._on = lru_cache(maxsize=_CACHED_RATES_MAX)(self._rates_on)
        self._at = lru_cache(maxsize=_CACHED_RATES_MAX)(self._rates_at)

    @cached_property
    def name(self) -> str:
        """What events call this book; each rate's own book names its provider, too."""
        from importlib.metadata import version  # here: it takes 20 ms, and most commands price nothing

        return f"genai-prices {version('genai-prices')} + corrections {VERSION}"

    def __reduce__(self) -> tuple[type[GenaiPrices], tuple[dict[str, str], Path | None]]:
        """Pickle without the caches: another process fills its own."""
        return GenaiPrices, (self._providers, self._folder)

    def rates(self, model: str, moment: datetime | None, service_tier: str | None = None) -> Rates | None:
        """See `PriceBook.rates`."""
        when, tier = (moment or datetime.now(UTC)).astimezone(UTC), service_tier_of(service_tier)
        of_day = self._on(model, when.date(), tier)
        if of_day is not None:
            return of_day[0]
        return self._at(model, when.date(), when.time().replace(second=0, microsecond=0), tier)

    def names(self) -> Iterator[str]:
        """Yield the models that have a price, as the book spells them."""
        from genai_prices.data_snapshot import get_snapshot

        for provider in get_snapshot().providers:
            for model in provider.models:
                yield model.id

    def _find(self, model: str) -> tuple[_Listed, ...]:
        provider = provider_of(model, self._providers)
        return _listed(f"{provider}/{model}" if provider else model)

    def _rates_on(self, model: str, day: date, service_tier: str | None) -> tuple[Rates | None] | None:
        """Return the rates of a whole day, in a tuple; None for a model whose rates change within a day."""
        if self._stored is not None and (stored := self._stored.find(model, service_tier, day)) is not None:
            return stored
        found = self._found(model)
        if any(listed.by_minute for listed in found):
            return None
        rates = self._at(model, day, time.min, service_tier)
        if self._stored is not None:
            self._stored.add(model, service_tier, _days_around(day, found), rates)
        return (rates,)

    def _rates_at(self, model: str, day: date, minute: time, service_tier: str | None) -> Rates | None:
        when = datetime.combine(day, minute, UTC)
        found = [_rates_of(self.name, listed, when, service_tier) for listed in self._found(model)]
        every = [rates for rates in found if rates is not None]
        if not every:
            return None
        rates = every[0] if len(every) == 1 else lowest(every)
        return replace(rates, book=f"{self.name}, {_named(rates)}")


class _Listed(NamedTuple):
    """A model in the list of a provider, and whether its price depends on the time of day."""

    provider: Provider
    info: ModelInfo
    by_minute: bool


def _named(rates: Rates) -> str:
    """Whose rates these are."""
    several = len(rates.providers)
    names = " and ".join(rates.providers) if several <= _NAMED_MAX else f"{several} providers"
    return f"lowest of {names}" if rates.at_least else names


def _listed(model: str) -> tuple[_Listed, ...]:
    """The lists that have a model: one where the name includes its provider, else those of all who sell it."""
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    for provider_id, name in spellings(model):
        try:
            provider, info = snapshot.find_provider_model(name, None, provider_id, None)
        except LookupError:
            continue
        every = [(provider, info)]
        if provider_id is None and not is_of_its_maker(provider.id, name):
            every += [
                (other, own)
                for other in snapshot.providers
                if other.id != provider.id and (own := other.find_model(name.lower())) is not None
            ]
        return tuple(_Listed(provider, info, _depends_on_time(info)) for provider, info in every)
    return ()


def _constraints(info: ModelInfo) -> list[StartDateConstraint | TimeOfDateConstraint]:
    priced = info.prices if isinstance(info.prices, list) else []
    every = [price.constraint for price in priced] + [variant.constraint for variant in info.price_variants or ()]
    return [constraint for constraint in every if constraint is not None]


def _depends_on_time(info: ModelInfo) -> bool:
    from genai_prices.types import StartDateConstraint

    return not all(isinstance(constraint, StartDateConstraint) for constraint in _constraints(info))


def _days_around(day: date, found: Iterable[_Listed]) -> tuple[date, date]:
    """Return from which day on, and until which one, the rates are those of a day; none depend on the time of day."""
    changes = {date.min, date.max}
    for provider, info, _ in found:
        changes |= {getattr(constraint, "start_date", day) for constraint in _constraints(info)}
        changes |= changes_of(provider.id, info.id)
    return max(change for change in changes if change <= day), min(change for change in changes if change > day)


def _rates_of(book: str, listed: _Listed, when: datetime, service_tier: str | None) -> Rates | None:
    provider, info, _ = listed

    def rates_from(price: ModelPrice) -> Rates:
        """Return the rates of one price, corrected."""
        plain = replace(rates_of_price(book, price), providers=(provider.id,))
        plain = replace(plain, unknown_above=_unknown_above(plain, info))
        return corrected(plain, provider.id, info.id, when.date())

    if service_tier is None:
        return rates_from(info.get_prices(when))
    for context in _contexts(service_tier):
        if _has_variant(provider, info, when, context):
            return rates_from(info.get_prices(when, context))
    if service_tier == "batch" and provider.id == "anthropic":
        return _halved(rates_from(info.get_prices(when)))
    return None


def _unknown_above(rates: Rates, info: ModelInfo) -> int | None:
    """The listed context, if no rate is listed for a call above it: a longer context has often had a higher price."""
    window = info.context_window
    if window is None or any(above >= window for rate in rates.buckets.values() for above, _ in rate.tiers):
        return None
    return window


def _contexts(service_tier: str) -> list[dict[str, str]]:
    """What genai-prices calls a way of serving: OpenAI's and Google's tiers, Anthropic's speed, batches."""
    if service_tier == "batch":
        return [{"processing": "batch"}]
    return [{"service_tier": service_tier}, {"speed": service_tier}]


def _has_variant(provider: Provider, info: ModelInfo, when: datetime, context: dict[str, str]) -> bool:
    """Whether the book has rates of their own for a way of serving; without them it would answer the standard ones."""
    if not any(info is model for model in provider.models):
        return False  # found through another provider, whose ways of serving are its own
    return any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(when))
        for variant in info.price_variants or ()
    )


def rates_of_price(book: str, price: ModelPrice) -> Rates:
    """Return a price of genai-prices as rates per bucket."""
    from genai_prices.types import TieredPrices

    buckets: dict[str, Rate] = {}
    for bucket, name in _BUCKETS.items():
        given = price.__dict__.get(name)
        per_thousand = name.endswith("_kcount")
        if isinstance(given, TieredPrices):
            buckets[bucket] = Rate(given.base, tuple((tier.start, tier.price) for tier in given.tiers))
        elif given is not None:
            buckets[bucket] = Rate(given.scaleb(-3) if per_thousand else given)
        elif (instead := _INSTEAD.get(bucket)) in buckets:
            buckets[bucket] = buckets[instead]
    apart = [
        f"{side}_{kind}"
        for side, text in _TEXT.items()
        for kind in ("audio", "image", "video")
        if price.__dict__.get(f"{side}_{kind}_mtok") not in (None, price.__dict__.get(text))
    ]
    return Rates(book, buckets, apart=frozenset(apart))


def _halved(rates: Rates) -> Rates:
    """Message Batches cost half of the standard price, for tokens of every kind, cached ones too; searches are none.

    https://docs.anthropic.com/en/docs/build-with-claude/batch-processing#pricing
    """
    half = Decimal("0.5")
    halves = {
        bucket: Rate(rate.usd * half, tuple((above, usd * half) for above, usd in rate.tiers))
        for bucket, rate in rates.buckets.items()
        if bucket.endswith("_tokens")
    }
    return replace(rates, buckets=dict(rates.buckets) | halves)
