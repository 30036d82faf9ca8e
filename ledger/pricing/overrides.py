"""Overrides: the rates of `costledger.toml` before those of a price book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Final, Protocol

from ledger.pricing.price_book import PriceBook
from ledger.pricing.rates import Rate, Rates
from ledger.providers.service_tiers import service_tier_of

__all__ = ["BOOK", "AgreedRates", "Overridden"]

BOOK: Final = "costledger.toml"
"""What an event names as its price book; the digest identifies the rates in the file."""


class AgreedRates(Protocol):
    """Rates that were agreed for the models whose name a glob matches, as `costledger.toml` gives them."""

    @property
    def model(self) -> str:
        """A glob, compared without case: "claude-*"."""
        ...

    @property
    def since(self) -> date | None:
        """From this day on, UTC; None: always."""
        ...

    @property
    def service_tier(self) -> str | None:
        """Only calls served this way; None: all of them."""
        ...

    @property
    def rates(self) -> Mapping[str, Decimal]:
        """USD by bucket: per million tokens, or per web search."""
        ...


class Overridden:
    """A price book in which the first override that matches wins: a bucket that it does not name has no price."""

    def __init__(self, overrides: Sequence[AgreedRates], book: PriceBook) -> None:
        self.book = book
        self._overrides = [(override, _rates(override)) for override in overrides]

    def rates(self, model: str, moment: datetime | None, service_tier: str | None = None) -> Rates | None:
        """See `PriceBook.rates`."""
        number = self.number(model, moment, service_tier)
        return self.book.rates(model, moment, service_tier) if number is None else self._overrides[number - 1][1]

    def number(self, model: str, moment: datetime | None, service_tier: str | None = None) -> int | None:
        """Return the number, from 1, of the `[[prices]]` that applies to a model at a moment; None: none does."""
        day = (moment or datetime.now(UTC)).astimezone(UTC).date()
        tier = service_tier_of(service_tier)
        for number, (override, _) in enumerate(self._overrides, 1):
            if (
                fnmatchcase(model.lower(), override.model.lower())
                and (override.since is None or override.since <= day)
                and (override.service_tier is None or service_tier_of(override.service_tier) == tier)
            ):
                return number
        return None


def _rates(override: AgreedRates) -> Rates:
    return Rates(BOOK, {bucket: Rate(usd) for bucket, usd in override.rates.items()})
