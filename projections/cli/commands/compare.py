"""`compare`: two periods or two values, and what the difference of their costs comes from."""

from __future__ import annotations

from datetime import date
from typing import Final

import click
from rich.console import Console

from ledger.events import money
from ledger.text import counted
from projections.cli.numbers import Whole
from projections.cli.options import data_option, history_option, import_option, json_option, tag_rules
from projections.cli.output.console import console
from projections.cli.output.costs import line_cost, print_missing
from projections.cli.output.groups import group_labels
from projections.cli.output.tables import Table
from projections.cli.output.text import plain, print_json
from projections.cli.parsing import day_range
from projections.cli.report_options import by_option, timezone_option, where_option
from projections.cli.session import exit_code, opened
from projections.documents.compare import compare_document
from projections.reports.compare import Comparison, Contribution, Side, compare, compared_by, others, sides
from projections.reports.dimensions import parsed_where, split_names
from projections.reports.spend_report import total_tokens
from projections.reports.timezones import zone_named

__all__ = ["compare_command"]

_LINES: Final = 10


@click.command("compare")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@by_option("Split the difference by these [default: model; of two models agent]")
@where_option
@timezone_option
@click.option(
    "-n", "limit", type=Whole(1), default=_LINES, show_default=True, help="So many lines; the others are one."
)
@json_option
@import_option
@history_option
@data_option
def compare_command(
    first: str,
    second: str,
    by: tuple[str, ...],
    where: tuple[str, ...],
    timezone: str | None,
    limit: int,
    as_json: bool,
) -> int:
    """Show by how much B cost more than A, and what that comes from.

    A and B are periods, such as 2026-10, 'last week' or 2026-11-01..2026-11-15, or values, such as template=sdlc.
    """
    zone, rules = zone_named("--timezone", timezone), tag_rules()

    def days(since: str, until: str) -> tuple[date | None, date | None]:
        return day_range(since, until, zone, names=("compare", "its end"))

    queries = sides(first, second, zone, days=days, where=parsed_where("--where", where))
    names = compared_by(first, split_names(by))
    with opened(imports=True) as session:
        made = compare(session.history, (first, second), queries, names, zone, rules=rules)
        if as_json:
            print_json(compare_document(made, zone, limit=limit))
        elif not (made.contributions or made.before.total.unknown or made.after.total.unknown):
            click.echo(f"nothing was spent in {first} and in {second}: there is nothing to compare")
        else:
            _print(console(), made, limit)
        return exit_code(session.problems)


def _print(out: Console, made: Comparison, limit: int) -> None:
    before, after = made.before, made.after
    names = _column_names(before.text, after.text)
    shown = Table(None, "", *names, "difference", right=(*names, "difference"))
    shown.add_row("cost", line_cost(before.total), line_cost(after.total), _signed(made.difference))
    shown.add_row("workflows", *_both(before.workflows, after.workflows))
    shown.add_row("per workflow", *map(_mean, (before, after)), _difference_of_means(before, after))
    shown.add_row("tokens", *_both(*(total_tokens(side.total.amounts) for side in (before, after))))
    shown.print(out)
    if before.workflows and made.difference:
        count, each = _signed(made.from_count), _signed(made.from_mean)
        out.print(f"{count} from the number of workflows, {each} from what each costs\n")
    _print_contributions(out, made, limit, names)
    incomplete = any(side.total.at_least for side in (before, after))
    print_missing(out, after.cost, unknown=before.total.unknown + after.total.unknown, incomplete=incomplete)


def _column_names(first: str, second: str) -> list[str]:
    """Return the names of the sides: of two values of one name the values, which leave more room."""
    (name, _, value), (other_name, _, other_value) = first.partition("="), second.partition("=")
    if name == other_name and value and other_value and value != other_value:
        first, second = value, other_value
    return [plain(first), plain(second)]


def _print_contributions(out: Console, made: Comparison, limit: int, names: list[str]) -> None:
    columns = (*names, "difference")
    shown = Table("The difference by " + " and ".join(made.by), *made.by, *columns, right=columns)
    blank, before, after = [""] * (len(made.by) - 1), made.before.total, made.after.total
    parts = made.contributions[:limit]
    for part, labels in zip(parts, group_labels(made.by, (part.group for part in parts)), strict=True):
        shown.add_row(*labels, *_cells(part))
    if rest := made.contributions[limit:]:
        shown.add_row(counted(len(rest), "other"), *blank, *_cells(others(rest)), style="dim")
    shown.add_total("total", *blank, line_cost(before), line_cost(after), _signed(made.difference))
    shown.print(out)


def _signed(nanousd: int) -> str:
    return f"{'+' if nanousd > 0 else ''}{money.shown(nanousd)}"


def _cells(part: Contribution) -> list[str]:
    lines = (part.before, part.after)
    is_unknown = not part.difference and any(line.at_least for line in lines)
    return [*(line_cost(line) if line.models else "" for line in lines), "" if is_unknown else _signed(part.difference)]


def _mean(side: Side) -> str:
    return "" if side.per_workflow is None else line_cost(side.total, side.per_workflow)


def _difference_of_means(before: Side, after: Side) -> str:
    if before.per_workflow is None or after.per_workflow is None:
        return ""
    return _signed(after.per_workflow - before.per_workflow)


def _both(before: int, after: int) -> list[str]:
    return [f"{before:,}", f"{after:,}", f"{after - before:+,}"]
