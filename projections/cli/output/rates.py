"""Rates, as text and JSON."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from ledger.events import timestamps
from ledger.pricing.price_corrections import VERSION
from ledger.pricing.rates import UNITS, Correction, Rates

__all__ = ["rates_json", "usd_text"]


def rates_json(
    model: str, moment: datetime, service_tier: str | None, rates: Rates, number: int | None
) -> dict[str, Any]:
    """Return the rates of a model as JSON."""
    return {
        "model": model,
        "at": timestamps.to_wire(moment),
        "service_tier": service_tier or "standard",
        "price_book": rates.book,
        "price_digest": rates.digest,
        "override": number,
        "providers": list(rates.providers),
        "at_least": rates.at_least,
        "at_least_above_input_tokens": rates.unknown_above,
        "correction": None if rates.correction is None else _correction(rates.correction),
        "rates": {
            bucket: {
                "usd": usd_text(rate.usd),
                "per": UNITS[bucket],
                "tiers": [{"above_input_tokens": above, "usd": usd_text(usd)} for above, usd in rate.tiers],
            }
            for bucket, rate in rates.buckets.items()
        },
    }


def _correction(correction: Correction) -> dict[str, Any]:
    return {
        "version": VERSION,
        "since": correction.since.isoformat(),
        "until": None if correction.until is None else correction.until.isoformat(),
        "above_input_tokens": correction.above,
        "reason": correction.reason,
        "source": correction.source,
    }


def usd_text(usd: Decimal, decimals: int = 2) -> str:
    """Return a rate with at least so many decimals and no more zeros."""
    text = f"{usd.normalize():f}"
    whole, _, given = text.partition(".")
    return f"{whole}.{given.ljust(decimals, '0')}"
