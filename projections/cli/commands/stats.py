"""`stats`: what workflows cost, by template or anything else, and what failed and repeated runs wasted."""

from __future__ import annotations

from typing import Final

import click
from rich.console import Console

from projections.cli.first_steps import print_first_steps
from projections.cli.numbers import Whole
from projections.cli.options import data_option, history_option, import_option, json_option, tag_rules
from projections.cli.output.console import console
from projections.cli.output.costs import line_cost, print_missing
from projections.cli.output.groups import group_labels
from projections.cli.output.tables import Table
from projections.cli.output.text import print_json
from projections.cli.report_options import (
    asked_query,
    by_option,
    since_option,
    timezone_option,
    until_option,
    where_option,
)
from projections.cli.session import exit_code, opened
from projections.documents.stats import stats_document
from projections.reports.dimensions import split_names
from projections.reports.stats import Stats, StatsReport, stats
from projections.reports.timezones import zone_named

__all__ = ["stats_command"]

_COUNTS: Final = ("workflows", "runs")
_COSTS: Final = ("cost (USD)", "mean", "median", "p90", "p95", "max", "per run", "failed", "repeated", "wasted")
_DROPPED: Final = (
    ("p90",),
    ("per run",),
    ("failed", "repeated"),
    ("runs",),
    ("p95",),
    ("max",),
    ("mean",),
    ("workflows",),
)


@click.command("stats")
@by_option("Statistics for each of these [default: template]")
@where_option
@since_option
@until_option
@timezone_option
@click.option("-n", "limit", type=Whole(1), help="Only so many lines.")
@json_option
@import_option
@history_option
@data_option
def stats_command(
    by: tuple[str, ...],
    where: tuple[str, ...],
    since: str | None,
    until: str | None,
    timezone: str | None,
    limit: int | None,
    as_json: bool,
) -> int:
    """Show what workflows cost: the mean, the median, the highest, and what was wasted.

    Wasted is what failed workflows and repeated runs cost, those before the last run of their workflow.
    """
    zone, rules = zone_named("--timezone", timezone), tag_rules()
    query = asked_query(since, until, zone, where, split_names(by) or ("template",))
    with opened(imports=True) as session:
        made = stats(session.history, query, zone, rules=rules)
        if as_json:
            print_json(stats_document(made, zone, limit=limit))
        elif made.lines:
            _print(console(), made, limit)
        elif session.history.ids(""):
            click.echo("nothing was spent on this")
        else:
            print_first_steps(session.where, shared=session.history.shared)
        return exit_code(session.problems)


def _print(out: Console, made: StatsReport, limit: int | None) -> None:
    by = made.query.by
    shown = Table(None, *by, *_COUNTS, *_COSTS, right=(*_COUNTS, *_COSTS), dropped=_DROPPED)
    lines = made.lines[:limit]
    for one, names in zip(lines, group_labels(by, (one.group for one in lines)), strict=True):
        shown.add_row(*names, *_cells(one))
    shown.add_total("total", *[""] * (len(by) - 1), *_cells(made.total))
    shown.print(out)
    if limit is not None and len(made.lines) > limit:
        out.print(f"  and {len(made.lines) - limit:,} more\n")
    total = made.total.sums
    print_missing(out, made.total.cost, unknown=total.unknown, incomplete=any(one.sums.at_least for one in made.lines))


def _cells(one: Stats) -> list[str]:
    quantiles = [one.quantile(percent) for percent in (50, 90, 95, 100)]
    wasted = [sum(one.failed), sum(one.repeated), one.wasted]
    figures = [one.mean, *quantiles, one.per_run]
    shown = [line_cost(one.sums, figure) for figure in figures]
    shown += [line_cost(one.sums, figure) if figure else "" for figure in wasted]
    return [f"{len(one.costs):,}", f"{one.runs:,}", line_cost(one.sums), *shown]
