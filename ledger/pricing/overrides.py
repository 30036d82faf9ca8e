"""Overrides: the rates of `costledger.toml` before those of a price book."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from ledger.pricing.price_book import PriceBook
from ledger.pricing.rates import Rate, Rates
from ledger.providers.service_tiers import STANDARD_TIERS

if TYPE_CHECKING:
    from ledger.config.schema import PriceOverride

__all__ = ["BOOK", "Overridden"]

BOOK: Final = "costledger.toml"
"""What an event names as its price book; the digest says which rates stood there."""


class Overridden:
    """A price book in which the first override that matches wins, whole: what it does not name has no price."""

    def __init__(self, overrides: Sequence[PriceOverride], book: PriceBook) -> None:
        self.book = book
        self._overrides = [(override, _rates(override)) for override in overrides]

    def rates(self, model: str, moment: datetime | None, service_tier: str | None = None) -> Rates | None:
        """See `PriceBook.rates`."""
        number = self.number(model, moment, service_tier)
        return self.book.rates(model, moment, service_tier) if number is None else self._overrides[number - 1][1]

    def number(self, model: str, moment: datetime | None, service_tier: str | None = None) -> int | None:
        """Which `[[prices]]` of the file holds for a model at a moment, from 1; None: the book does."""
        day = (moment or datetime.now(UTC)).astimezone(UTC).date()
        tier = _named(service_tier)
        for number, (override, _) in enumerate(self._overrides, 1):
            if (
                fnmatchcase(model.lower(), override.model.lower())
                and (override.since is None or override.since <= day)
                and (override.service_tier is None or _named(override.service_tier) == tier)
            ):
                return number
        return None


def _named(service_tier: str | None) -> str:
    """One name for each way of serving."""
    return "standard" if service_tier is None or service_tier in STANDARD_TIERS else service_tier


def _rates(override: PriceOverride) -> Rates:
    return Rates(BOOK, {bucket: Rate(usd) for bucket, usd in override.rates.items()})
