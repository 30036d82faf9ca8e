"""The prices of all models that the workflows have used, and what the list is that they are from."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

import click

from ledger.installation import upgrade_hint
from ledger.pricing.overrides import Overridden
from ledger.pricing.price_book import PriceBook, newest_dated_price
from ledger.pricing.price_corrections import VERSION
from ledger.pricing.rates import Rates
from projections.cli.options import config_path
from projections.cli.output.console import console
from projections.cli.output.rates import rates_json, usd_text
from projections.cli.output.tables import Table
from projections.cli.output.text import plain, print_json
from projections.cli.session import exit_code, opened
from projections.folding.models_used import models_used

__all__ = ["print_prices_in_use"]

_SHOWN: Final = {
    "input": "input_tokens",
    "cache write": "cache_write_tokens",
    "write 1 h": "cache_write_1h_tokens",
    "cache read": "cache_read_tokens",
    "output": "output_tokens",
}


def print_prices_in_use(book: PriceBook, moment: datetime, service_tier: str | None, *, as_json: bool) -> int:
    """Print what each used model costs now, the unpriced ones too; the exit code."""
    with opened() as session:
        models = sorted(set().union(*map(models_used, session.history.rows())))
        found = {model: book.rates(model, moment, service_tier) for model in models}
        numbers = {
            model: book.number(model, moment, service_tier) if isinstance(book, Overridden) else None
            for model in models
        }
        if as_json:
            print_json(_as_json(found, numbers, moment, service_tier))
        elif models:
            _print(found, numbers, moment)
        else:
            click.echo(f"no workflow in {session.where} names a model yet; `costledger prices MODEL` shows one's price")
            _print_list(moment)
        return exit_code(session.problems)


def _as_json(
    found: dict[str, Rates | None], numbers: dict[str, int | None], moment: datetime, service_tier: str | None
) -> dict[str, Any]:
    return {
        "models": [
            {"model": model, "rates": None}
            if rates is None
            else rates_json(model, moment, service_tier, rates, numbers[model])
            for model, rates in found.items()
        ],
        "list": _list_name(),
        "newest_dated_price": _day(newest_dated_price(moment)),
        "corrections": VERSION,
        "update": upgrade_hint("genai-prices"),
    }


def _print(found: dict[str, Rates | None], numbers: dict[str, int | None], moment: datetime) -> None:
    shown = Table(
        None,
        *("model", "price of", *_SHOWN),
        right=tuple(_SHOWN),
        dropped=("write 1 h", "cache write", "price of", "cache read"),
    )
    for model, rates in found.items():
        if rates is None:
            shown.add_row(plain(model), "unpriced", *[""] * len(_SHOWN))
            continue
        number = numbers[model]
        whose = " or ".join(rates.providers) if number is None else f"[[prices]] number {number}"
        least = "\u2265 " if rates.at_least else ""
        cells = [rates.buckets.get(bucket) for bucket in _SHOWN.values()]
        shown.add_row(
            plain(model), plain(whose), *("" if rate is None else f"{least}{usd_text(rate.usd)}" for rate in cells)
        )
    shown.print(console())
    click.echo(f"USD per 1M tokens at {moment.astimezone():%Y-%m-%d %H:%M}; tiers: costledger prices MODEL")
    _print_list(moment)
    click.echo("price again what is recorded: costledger reprice --reason TEXT")
    if any(rates is None for rates in found.values()):
        click.echo(f"unpriced: in no list; [[prices]] in {config_path() or 'costledger.toml'} can name a price")


def _print_list(moment: datetime) -> None:
    """Which list the prices are from, and how to update it."""
    newest = _day(newest_dated_price(moment))
    click.echo(f"list: {_list_name()}, newest dated price {newest}, corrections {VERSION}")
    click.echo(f"update the list: {upgrade_hint('genai-prices')}")


def _list_name() -> str:
    from importlib.metadata import version

    return f"genai-prices {version('genai-prices')}"


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
