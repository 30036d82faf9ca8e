"""`prices`: what a model costs, and by which price list."""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Final

import click
from rich.text import Text

from ledger.errors import UnknownModel
from ledger.pricing.genai_book import GenaiPrices
from ledger.pricing.overrides import Overridden
from ledger.pricing.price_book import PriceBook
from ledger.pricing.rates import UNITS, Rates
from projections.cli.completions import complete_model
from projections.cli.options import config_option, config_path, data_option, history_option, json_option, prices
from projections.cli.output.console import console
from projections.cli.output.rates import rates_json, usd_text
from projections.cli.output.tables import Table
from projections.cli.output.text import plain, print_json
from projections.cli.parsing import moment_option

_LABELS: Final = {
    "input_tokens": "input",
    "cache_write_tokens": "cache write, 5 min",
    "cache_write_1h_tokens": "cache write, 1 h",
    "cache_read_tokens": "cache read",
    "output_tokens": "output",
    "web_search_requests": "web search",
    "requests": "each call",
}
_NEAR_MAX: Final = 5

__all__ = ["prices_command"]


@click.command("prices")
@click.argument("model", required=False, shell_complete=complete_model)
@moment_option("--at", "When: a time or a day, local if it names no zone [default: now].")
@click.option("--service-tier", help="How the provider serves the call, e.g. batch [default: the standard way].")
@json_option
@history_option
@config_option
@data_option
def prices_command(model: str | None, at: datetime | None, service_tier: str | None, as_json: bool) -> int:
    """Show what MODEL costs per million tokens, at a moment, and by which price list.

    Without MODEL: all models that the workflows have used, with whose prices they are, and how to update the list.
    """
    book, moment = prices(), at or datetime.now(UTC)
    if model is None:
        from projections.cli.prices_in_use import print_prices_in_use

        return print_prices_in_use(book, moment, service_tier, as_json=as_json)
    rates = book.rates(model, moment, service_tier)
    if rates is None:
        raise UnknownModel(model, _near(model, book, moment, service_tier), service_tier)
    number = book.number(model, moment, service_tier) if isinstance(book, Overridden) else None
    if as_json:
        print_json(rates_json(model, moment, service_tier, rates, number))
    else:
        _print(model, moment, service_tier, rates, number)
    return 0


def _near(model: str, book: PriceBook, moment: datetime, service_tier: str | None) -> list[str]:
    """Names like this one that do have a price."""
    inner = book.book if isinstance(book, Overridden) else book
    names = sorted(set(inner.names())) if isinstance(inner, GenaiPrices) else []
    own = model.lower().rpartition("/")[2]
    alike = dict.fromkeys(
        near for spelled in (own, model.lower()) for near in get_close_matches(spelled, names, n=4 * _NEAR_MAX)
    )
    return [name for name in alike if book.rates(name, moment, service_tier) is not None][:_NEAR_MAX]


def _print(model: str, moment: datetime, service_tier: str | None, rates: Rates, number: int | None) -> None:
    where = f"{config_path()}, [[prices]] number {number}" if number is not None else rates.book
    out = console()
    out.print(
        Text.assemble((plain(model), "bold"), f" at {moment.astimezone():%Y-%m-%d %H:%M}, {service_tier or 'standard'}")
    )
    out.print(f"from {where}; digest {rates.digest}")
    thresholds = sorted({above for rate in rates.buckets.values() for above, _ in rate.tiers})
    above = [f"above {threshold:,}" for threshold in thresholds]
    shown = Table(None, "bucket", "USD", *above, "per", right=("USD", *above), whole=("bucket", "per"))
    every = [usd for rate in rates.buckets.values() for usd in (rate.usd, *(usd for _, usd in rate.tiers))]
    decimals = max((len(usd_text(usd).partition(".")[2]) for usd in every), default=2)
    for bucket in UNITS:
        if bucket in rates.buckets:
            rate = rates.buckets[bucket]
            tiers = dict(rate.tiers)
            per = "1M tokens" if UNITS[bucket] > 1 else "one"
            steps = [usd_text(tiers[threshold], decimals) if threshold in tiers else "" for threshold in thresholds]
            shown.add_row(_LABELS[bucket], usd_text(rate.usd, decimals), *steps, per)
    shown.print(out)
    for note in _notes(rates):
        out.print(plain(note))
    if thresholds:
        out.print("above: of a call that read more input tokens than that, cached ones included, all tokens cost so")


def _notes(rates: Rates) -> list[str]:
    """Return notes about these rates."""
    notes = []
    if (correction := rates.correction) is not None:
        until = "" if correction.until is None else f" until {correction.until}"
        notes.append(f"corrected from {correction.since}{until}: {correction.reason} ({correction.source})")
    if rates.at_least:
        named = ", ".join(rates.providers)
        notes.append(f"at least: the lowest rates of {named}; a provider before the name, or [providers], decides")
    if rates.unknown_above is not None:
        notes.append(
            f"at least, for a call that read more than {rates.unknown_above:,} input tokens: no list has its rate"
        )
    return notes
