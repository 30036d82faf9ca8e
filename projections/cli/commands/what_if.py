"""`what-if`: what the same usage would have cost under other prices or models, or without prompt caching."""

from __future__ import annotations

from typing import Final

import click
from rich.console import Console

from ledger.events import money
from projections.cli.options import data_option, history_option, import_option, json_option, prices, tag_rules
from projections.cli.output.console import console
from projections.cli.output.costs import model_name, shown_cost
from projections.cli.output.tables import Table
from projections.cli.output.text import plain, print_json
from projections.cli.report_options import asked_query, since_option, timezone_option, until_option, where_option
from projections.cli.session import exit_code, opened
from projections.documents.what_if import what_if_document
from projections.folding.spend import AMOUNTS
from projections.reports.spend_report import total_tokens
from projections.reports.timezones import zone_named
from projections.reports.what_if import OtherPrices, WhatIf, WhatIfLine, other_prices, what_if

__all__ = ["what_if_command"]

_COLUMNS: Final = ("model", "priced as", "tokens", "spent", "would cost", "difference")
_UNPRICED: Final = AMOUNTS.index("unpriced_events")


@click.command("what-if")
@click.option("--model", metavar="OTHER", help="Price all usage as this model's.")
@click.option("--map", "mapped", metavar="MODEL=OTHER", multiple=True, help="Price a model, or glob, as another one.")
@click.option(
    "--price",
    "given",
    metavar="MODEL=IN,OUT[,READ[,WRITE]]",
    multiple=True,
    help="Price a model, or glob, so, in USD per million tokens.",
)
@click.option("--no-cache", "uncached", is_flag=True, help="Price cached tokens as plain input: what caching saved.")
@where_option
@since_option
@until_option
@timezone_option
@json_option
@import_option
@history_option
@data_option
def what_if_command(
    model: str | None,
    mapped: tuple[str, ...],
    given: tuple[str, ...],
    uncached: bool,
    where: tuple[str, ...],
    since: str | None,
    until: str | None,
    timezone: str | None,
    as_json: bool,
) -> int:
    """Show what the same usage would have cost under other prices or models, or without prompt caching.

    Nothing is appended. Prices are those of each day; tiers above a context limit and fees for each call are left out.
    """
    zone, book = zone_named("--timezone", timezone), prices()
    query = asked_query(since, until, zone, where)
    other = other_prices(book, model=model, mapped=mapped, given=given, uncached=uncached)
    with opened(imports=True) as session:
        made = what_if(session.history, query, zone, other, book, rules=tag_rules())
        if as_json:
            print_json(what_if_document(made))
        elif made.lines:
            _print(console(), made, other)
        else:
            click.echo("nothing was spent")
        return exit_code(session.problems)


def _print(out: Console, made: WhatIf, other: OtherPrices) -> None:
    shown = Table(None, *_COLUMNS, right=_COLUMNS[2:], dropped=("tokens",))
    for line in made.compared:
        would, tokens = line.would_nanousd or 0, f"{total_tokens(line.amounts):,}"
        unknown = line.at_least and not would
        cells = (
            shown_cost(would, unpriced=False, at_least=line.at_least),
            "" if unknown else _difference(would - line.amounts[0]),
        )
        shown.add_row(model_name(line.model), plain(line.priced_as), tokens, _spent(line), *cells)
    spent, would = made.spent_nanousd, made.would_nanousd
    spent_bound, would_bound = (
        any(line.is_bound for line in made.compared),
        any(line.at_least for line in made.compared),
    )
    totals = ((spent, spent_bound), (would, would_bound))
    costs = [shown_cost(cost, unpriced=False, at_least=is_bound) for cost, is_bound in totals]
    shown.add_total("total", "", "", *costs, "" if would_bound and not would else _difference(would - spent))
    shown.print(out)
    for line in made.lines:
        if line.problem is not None:
            about = f"{_spent(line)} of {model_name(line.model)}, as {plain(line.priced_as)}"
            out.print(f"not in these sums: {about}: {line.problem}")
    for glob in made.unused:
        out.print(f"no usage is of a model {plain(glob)}")
    for glob in made.overridden:
        out.print(f"{plain(glob)} has no effect: a --price, or one before it, applies to all of its usage")
    if other.uncached:
        word = "saved" if would >= spent else "cost"
        out.print(f"prompt caching {word} about {money.shown(abs(would - spent), 2)}; context tiers are left out")
    elif spent_bound or would_bound:
        out.print(
            "≥: usage is incomplete or without a price; tiers above a context limit and fees are left out. "
            "The difference is about that much"
        )


def _spent(line: WhatIfLine) -> str:
    return shown_cost(line.amounts[0], unpriced=line.amounts[_UNPRICED] > 0, at_least=line.is_bound)


def _difference(nanousd: int) -> str:
    return f"{'+' if nanousd > 0 else '-' if nanousd < 0 else ''}{money.shown(abs(nanousd))}"
