"""`forecast`: the burn rate of what runs, and what this month comes to."""

from __future__ import annotations

from typing import Final

import click
from rich.console import Console

from ledger.events import money, timestamps
from projections.cli.options import data_option, history_option, idle_after, import_option, json_option, tag_rules
from projections.cli.output.console import console
from projections.cli.output.costs import in_words, line_cost, print_missing, print_unpriced
from projections.cli.output.tables import Id, Table
from projections.cli.output.text import plain, print_json, project_names
from projections.cli.report_options import timezone_option, where_option
from projections.cli.session import exit_code, opened
from projections.documents.forecast import forecast_document
from projections.reports.dimensions import parsed_where
from projections.reports.forecast import Forecast, forecast
from projections.reports.spend_report import merged
from projections.reports.timezones import zone_named

__all__ = ["forecast_command"]

_COLUMNS: Final = ("workflow", "issue", "template", "project", "last hour", "per hour")


@click.command("forecast")
@where_option
@timezone_option
@json_option
@import_option
@history_option
@data_option
def forecast_command(where: tuple[str, ...], timezone: str | None, as_json: bool) -> int:
    """Show what runs spends per hour, and what this month comes to.

    The burn rate is that of the last hour, or since a workflow's start. The projection goes on with the mean of the
    four weeks before today, weekdays and weekends apart, and has a range.
    """
    zone, rules = zone_named("--timezone", timezone), tag_rules()
    conditions = parsed_where("--where", where)
    with opened(imports=True) as session:
        now, after = timestamps.now(), idle_after()
        made = forecast(session.history, zone, now, where=conditions, rules=rules, idle_after=after)
        if as_json:
            print_json(forecast_document(made, zone))
        else:
            _print(console(), made)
        return exit_code(session.problems)


def _print(out: Console, made: Forecast) -> None:
    total, projected = made.month.total, made.projected
    so_far = in_words(total.amounts[0], unpriced=bool(made.month.unpriced), at_least=total.at_least)
    if projected is None:
        out.print(f"{made.today:%B %Y}: {so_far} so far; a projection needs a complete day with a price")
    else:
        between, least = "", "at least " * total.at_least
        if projected.low_nanousd is not None and projected.high_nanousd is not None:
            between = f" ({money.shown(projected.low_nanousd, 2)} to {money.shown(projected.high_nanousd, 2)})"
        out.print(f"{made.today:%B %Y}: {so_far} so far, {least}{money.shown(projected.nanousd, 2)} projected{between}")
        out.print(projected.method)
    print_unpriced(out, total.amounts[0], made.month.unpriced)
    print_missing(out, total.amounts[0], unknown=total.unknown, incomplete=total.is_partial)
    if made.burns:
        _print_burns(out, made)
    else:
        out.print("nothing runs now")


def _print_burns(out: Console, made: Forecast) -> None:
    projects = project_names(burn.row.project for burn in made.burns)
    shown = Table(
        "Running now",
        *_COLUMNS,
        right=("last hour", "per hour"),
        optional=("issue", "template", "project"),
        dropped=("template", "project", "issue"),
    )
    for burn in made.burns:
        row = burn.row
        issue = "" if row.issue_number is None else f"#{row.issue_number}"
        template = plain(row.workflow_template or "")
        shown.add_row(
            Id(row.adw_id),
            issue,
            template,
            projects[row.project],
            line_cost(burn.spent),
            line_cost(burn.spent, burn.per_hour_nanousd),
        )
    every = merged([burn.spent for burn in made.burns])
    shown.add_total("total", *[""] * 4, line_cost(every, made.per_hour_nanousd))
    shown.print(out)
