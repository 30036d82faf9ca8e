"""The price book that a configuration asks for."""

from __future__ import annotations

from pathlib import Path

from ledger.pricing.genai_book import GenaiPrices
from ledger.pricing.price_book import PriceBook

__all__ = ["price_book"]


def price_book(config: Path | None, data: Path | None = None) -> PriceBook:
    """Return the prices in use: those that a configuration file names, and for all else genai-prices.

    Args:
        data: the data directory, where rates are stored for other processes.

    Raises:
        InvalidConfig: the file cannot be used.
    """
    if config is None:
        return GenaiPrices(folder=data)
    from ledger.config.schema import load
    from ledger.pricing.overrides import Overridden

    loaded = load(config)
    return Overridden(loaded.prices, GenaiPrices(loaded.providers, data))
