"""`blocks`: the windows in which plans limit usage, with the rate of the active one and what it comes to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final

import click
from rich.console import Console

from ledger.events import money, timestamps
from projections.cli.options import data_option, history_option, import_option, json_option, tag_rules
from projections.cli.output.console import console
from projections.cli.output.costs import line_cost, print_missing
from projections.cli.output.tables import Table
from projections.cli.output.text import duration, plain, print_json
from projections.cli.report_options import timezone_option, where_option
from projections.cli.session import exit_code, opened
from projections.documents.blocks import blocks_document
from projections.folding.spend import QUARTER_SECONDS
from projections.reports.blocks import RECENT_DAYS, Block, Window, blocks
from projections.reports.dimensions import parsed_where
from projections.reports.periods import minute_of
from projections.reports.timezones import zone_named

__all__ = ["blocks_command"]

_FIGURES: Final = ("total tokens", "cost (USD)")


@click.command("blocks")
@click.option(
    "--window", type=click.Choice(["5h", "7d"]), default="5h", show_default=True, help="Five hours, or a week."
)
@click.option("--recent", is_flag=True, help=f"Only those of the last {RECENT_DAYS} days.")
@click.option("--active", is_flag=True, help="Only the one of now.")
@where_option
@timezone_option
@json_option
@import_option
@history_option
@data_option
def blocks_command(
    window: Window, recent: bool, active: bool, where: tuple[str, ...], timezone: str | None, as_json: bool
) -> int:
    """Show the 5-hour windows in which plans limit usage, as ccusage does.

    A window begins with the full hour of the first activity after the one before. Costs are list prices: where a plan
    pays, they are what the API would have cost.
    """
    zone, rules = zone_named("--timezone", timezone), tag_rules()
    conditions = parsed_where("--where", where)
    with opened(imports=True) as session:
        now = timestamps.now()
        found = blocks(session.history, window, zone, now, where=conditions, rules=rules, recent=recent, active=active)
        if as_json:
            print_json(blocks_document(window, found, zone, now))
        elif found:
            _print(console(), found, zone, now)
        else:
            click.echo("no window is active" if active else "nothing was spent in this time")
        return exit_code(session.problems)


def _print(out: Console, found: Sequence[Block], zone: tzinfo | None, now: datetime) -> None:
    shown = Table(
        None,
        "from",
        "to",
        "models",
        *_FIGURES,
        right=_FIGURES,
        whole=("from", "to"),
        dropped=("models", "total tokens"),
    )
    for block in found:
        times = [minute_of(quarter * QUARTER_SECONDS, zone) for quarter in (block.start, block.end)]
        models = "\n".join(map(plain, sorted(block.spent.models)))
        shown.add_row(
            *times, models, f"{block.tokens:,}", line_cost(block.spent), style="bold" if block.is_active(now) else ""
        )
    shown.print(out)
    for block in found:
        if block.is_active(now):
            burn = block.burn(now)
            out.print(
                f"active, {duration(burn.seconds_left)} left: {money.shown(burn.per_hour)} per hour, "
                f"{burn.tokens_per_minute:,} tokens per minute; "
                f"{money.shown(burn.projected)} and {burn.projected_tokens:,} tokens at its end if that goes on"
            )
    print_missing(out, sum(block.cost for block in found), unknown=0, incomplete=any(b.spent.at_least for b in found))
    out.print("costs are list prices: where a plan pays, they are API-equivalent")
