"""Corrections: published prices where genai-prices has another one, or none.

A short list of facts, each with its day and its source. A correction applies to one provider's model, named as
genai-prices names it, and only to calls that read more than some input tokens, cached ones included.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

from ledger.pricing.rates import Correction, Rate, Rates

__all__ = ["CORRECTIONS", "VERSION", "changes_of", "corrected"]

VERSION: Final = "2026-11-28"
"""The day of the last change of this list; events name it with their price book."""


_LONG_CONTEXT_STARTS: Final = date(2025, 8, 12)
"""https://www.anthropic.com/news/1m-context"""
_LONG_CONTEXT_ENDS: Final = date(2026, 5, 1)
"""The first day after the 1M context of Sonnet 4 and 4.5: https://platform.claude.com/docs/en/release-notes/overview"""

CORRECTIONS: Final = (
    Correction(
        "anthropic",
        "claude-sonnet-4-0",
        _LONG_CONTEXT_STARTS,
        _LONG_CONTEXT_ENDS,
        200_000,
        Decimal(2),
        Decimal("1.5"),
        "https://docs.anthropic.com/en/docs/about-claude/pricing#long-context-pricing",
        "with the 1M context, a call above 200,000 input tokens cost twice for input and 1.5 times for output",
    ),
    Correction(
        "anthropic",
        "claude-sonnet-4-5",
        _LONG_CONTEXT_ENDS,
        None,
        200_000,
        Decimal(1),
        Decimal(1),
        "https://platform.claude.com/docs/en/models/sonnet-4-5/overview",
        "the 1M context ended on 2026-04-30 and its prices with it: there is one price, and clients charge it",
    ),
    Correction(
        "google",
        "claude-sonnet-4-5",
        _LONG_CONTEXT_ENDS,
        None,
        200_000,
        None,
        None,
        "https://platform.claude.com/docs/en/release-notes/overview",
        "whether Google Cloud still asks more above 200,000 input tokens is not published",
    ),
)


def corrected(rates: Rates, provider: str, model: str, day: date) -> Rates:
    """Return the rates of a provider's model with the correction of that day applied."""
    for correction in CORRECTIONS:
        if (
            (correction.provider, correction.model) == (provider, model)
            and correction.since <= day
            and (correction.until is None or day < correction.until)
        ):
            return _applied(rates, correction)
    return rates


def changes_of(provider: str, model: str) -> set[date]:
    """Return the days on which a correction of a provider's model begins, or applies no longer."""
    own = [each for each in CORRECTIONS if (each.provider, each.model) == (provider, model)]
    return {day for each in own for day in (each.since, each.until) if day is not None}


def _applied(rates: Rates, correction: Correction) -> Rates:
    buckets = {}
    for bucket, rate in rates.buckets.items():
        times = correction.output_times if bucket == "output_tokens" else correction.input_times
        tiers = tuple(tier for tier in rate.tiers if tier[0] < correction.above)
        if times not in (None, 1) and bucket.endswith("_tokens"):
            tiers += ((correction.above, (tiers[-1][1] if tiers else rate.usd) * times),)
        buckets[bucket] = Rate(rate.usd, tiers)
    unknown_above = correction.above if correction.input_times is None else None
    return replace(rates, buckets=buckets, unknown_above=unknown_above, correction=correction)
