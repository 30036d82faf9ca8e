"""`spend`, `top`, `daily`, `weekly`, `monthly` and `session`: what was spent, when and on what.

All of them ask the one query of `projections.reports.spend_report`.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from ledger.text import counted
from projections.cli.first_steps import print_first_steps
from projections.cli.numbers import Whole
from projections.cli.options import data_option, history_option, import_option, json_option, tag_rules
from projections.cli.output.agents import UNNAMED_SUBAGENTS, is_unnamed
from projections.cli.output.console import console
from projections.cli.output.costs import print_missing, print_unpriced, shown_cost
from projections.cli.output.evidence import print_evidence
from projections.cli.output.groups import group_labels
from projections.cli.output.table_files import check_one_format, file_options, print_or_write
from projections.cli.output.tables import Table
from projections.cli.output.text import csv_cell, plain, print_json
from projections.cli.report_options import (
    asked_query,
    by_option,
    since_option,
    timezone_option,
    until_option,
    where_option,
)
from projections.cli.session import CommandSession, exit_code, opened
from projections.documents.spend import PERIODS, Period, spend_document, spend_figures
from projections.folding.spend import AMOUNTS, Amounts
from projections.reports.dimensions import Value, split_names
from projections.reports.periods import day_of, minute_of
from projections.reports.spend_report import (
    SESSIONS,
    Line,
    Report,
    at_least,
    sessions_by_activity,
    spend_report,
    total_tokens,
)
from projections.reports.timezones import zone_named

F = TypeVar("F", bound=Callable[..., Any])

_PERIOD_COLUMNS: Final[dict[Period, str]] = {"day": "date", "week": "week", "month": "month"}
_SESSION_COLUMNS: Final = ("session_id", "adw_id", "last_activity")
_LABELS: Final = {"session_id": "session", "adw_id": "workflow", "last_activity": "last activity"}
"""Columns that people know by another name than programs."""

_FIGURES: Final = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache create": "cache_write_tokens",
    "cache read": "cache_read_tokens",
}
_COLUMNS: Final = ("models", *_FIGURES, "total tokens", "cost (USD)")
_CSV_FIGURES: Final = (*AMOUNTS[1:-1], "total_tokens", "cost_usd", "at_least")
_LINES: Final = 200
"""Of a table that is not of days, weeks or months; a longer one helps nobody, and files have all lines."""
_DROPPED: Final = (
    ("cache create", "cache read"),
    "models",
    ("input", "output"),
    "last activity",
    "total tokens",
    "workflow",
)
"""What a terminal that is too narrow goes without, step by step, before a name is broken."""


def _options(command: F) -> F:
    """The options that all reports share."""
    for option in (
        data_option,
        history_option,
        import_option,
        file_options,
        click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values."),
        json_option,
        click.option("--breakdown", is_flag=True, help="Show each model below its line."),
        timezone_option,
        until_option,
        since_option,
        where_option,
    ):
        command = option(command)
    return command


_split_option: Final = by_option("Split each line by these")
_order_option: Final = click.option(
    "--order", type=click.Choice(["asc", "desc"]), default="asc", help="Oldest first, or newest."
)


_limit_option: Final = click.option(
    "-n",
    "limit",
    type=Whole(1),
    help=f"Only so many lines; the others are one. [default: {_LINES} in a table without --per]",
)


@click.command("spend")
@by_option("A line for each of these")
@click.option("--per", type=click.Choice(["day", "week", "month"]), help="And for each of these periods.")
@_limit_option
@_order_option
@_options
def spend_command(per: Period | None, **options: Any) -> int:
    """Show what was spent, on what and when: split by anything, filtered by anything, the highest cost first."""
    return _print_report(per or "all", **options)


@click.command("top")
@by_option("What cost most [default: workflow]")
@click.option("-n", "limit", type=Whole(1), default=10, show_default=True, help="So many; the others are one line.")
@_options
def top_command(by: tuple[str, ...], **options: Any) -> int:
    """Show what cost most."""
    return _print_report("all", by=by or ("workflow",), order="asc", **options)


@click.command("daily")
@_split_option
@_order_option
@_options
def daily_command(**options: Any) -> int:
    """Show what was spent each day."""
    return _print_report("day", **options)


@click.command("weekly")
@_split_option
@_order_option
@_options
def weekly_command(**options: Any) -> int:
    """Show what was spent each week, from Monday to Sunday (ISO 8601)."""
    return _print_report("week", **options)


@click.command("monthly")
@_split_option
@_order_option
@_options
def monthly_command(**options: Any) -> int:
    """Show what was spent each month."""
    return _print_report("month", **options)


@click.command("session")
@_split_option
@click.option("-n", "limit", type=Whole(1), help=f"Only so many, the latest. [default: {_LINES} in a table]")
@_order_option
@_options
def session_command(**options: Any) -> int:
    """Show what each session spent, the latest last."""
    return _print_report("session", **options)


def _print_report(
    period: Period,
    *,
    by: tuple[str, ...],
    where: tuple[str, ...],
    since: str | None,
    until: str | None,
    timezone: str | None,
    breakdown: bool,
    order: str,
    as_json: bool,
    as_csv: bool,
    jsonl: bool,
    parquet: Path | None,
    limit: int | None = None,
) -> int:
    check_one_format(as_json=as_json, as_csv=as_csv, jsonl=jsonl, parquet=parquet)
    zone, rules = zone_named("--timezone", timezone), tag_rules()
    query = replace(asked_query(since, until, zone, where, _split(period, by)), per=PERIODS[period])
    with opened(imports=True) as session:
        for_programs = as_json or as_csv or jsonl or parquet is not None
        shown_as = None if for_programs else _with_unnamed_together
        is_cut, down = limit is None and query.per is None and not for_programs, order == "desc"
        limit = _LINES if is_cut else limit
        made = spend_report(session.history, query, zone, rules=rules, descending=down, shown_as=shown_as, limit=limit)
        if period == "session":
            made = sessions_by_activity(session.history, made, descending=down, limit=limit)
        if as_csv:
            _print_csv(period, made, zone, breakdown=breakdown, limit=limit)
        elif for_programs:
            found = spend_document(period, made, zone, breakdown=breakdown, limit=limit)
            print_json(found) if as_json else print_or_write(found["lines"], parquet)
        elif made.lines:
            _print_table(period, made, zone, breakdown=breakdown and "model" not in query.by, limit=limit)
            print_evidence(console(), made.dated)
            if is_cut and made.after(limit)[0]:
                click.echo("-n shows more lines, and --csv all of them")
        else:
            _print_nothing(session, made, "in this time" if since or until else "", "on this" if where else "")
        return exit_code(session.problems)


def _print_nothing(session: CommandSession, made: Report, *asked: str) -> None:
    """Say why there are no lines."""
    if unknown := made.total.unknown:
        print_missing(console(), 0, unknown=unknown, incomplete=False)
    elif session.history.ids(""):
        click.echo(" ".join(["nothing was spent", *filter(None, asked)]))
    else:
        print_first_steps(session.where, shared=session.history.shared)


def _split(period: Period, by: Iterable[str]) -> tuple[str, ...]:
    """Return the dimensions of a report's lines."""
    names = split_names(by)
    return (*SESSIONS, *(name for name in names if name not in SESSIONS)) if period == "session" else tuple(names)


def _with_unnamed_together(name: str, value: Value) -> Value:
    """Return the agent that is shown: sub-agents without a name are one."""
    unnamed = name == "agent" and isinstance(value, str) and is_unnamed(value)
    return UNNAMED_SUBAGENTS if unnamed else value


def _label_names(period: Period, made: Report) -> list[str]:
    """Return the columns that tell lines apart."""
    if period == "session":
        return [*_SESSION_COLUMNS, *made.query.by[len(SESSIONS) :]]
    return [*([_PERIOD_COLUMNS[period]] if period in _PERIOD_COLUMNS else []), *made.query.by]


def _labels(period: Period, line: Line, last_activity: str) -> list[Value]:
    """Return the values of these columns."""
    if period == "session":
        return [*line.group[: len(SESSIONS)], last_activity, *line.group[len(SESSIONS) :]]
    return [*([] if line.period is None else [line.period]), *line.group]


def _csv_figures(amounts: Amounts) -> dict[str, Any]:
    """Return the columns of a line's figures; counts first, since earlier versions had them so."""
    found: dict[str, Any] = {**spend_figures(amounts)}
    return {name: found[name] for name in _CSV_FIGURES}


def _print_csv(period: Period, made: Report, zone: tzinfo | None, *, breakdown: bool, limit: int | None) -> None:
    """A line per group, or with `breakdown` per model of it; there is no total, so that a column can be added up."""
    named = breakdown and "model" not in made.query.by
    names = list(_csv_figures([0] * len(AMOUNTS)))
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([*_label_names(period, made), *(["model"] if named else []), *names])
    for line in made.lines[:limit]:
        parts = sorted(line.models.items()) if named else [("", line.amounts)]
        labels = _labels(period, line, day_of(line.quarter, zone).isoformat())
        for model, amounts in parts:
            figures = _csv_figures(amounts)
            if not amounts[0] and figures["at_least"]:
                figures["cost_usd"] = ""  # the cost is unknown, and a column can still be added up
            figures["at_least"] = int(figures["at_least"])
            out.writerow([*map(csv_cell, labels), *([csv_cell(model)] if named else []), *figures.values()])


def _print_table(period: Period, made: Report, zone: tzinfo | None, *, breakdown: bool, limit: int | None) -> None:
    labels = _label_names(period, made)
    columns = list(_COLUMNS) if "model" not in made.query.by else [name for name in _COLUMNS if name != "models"]
    blank = [""] * (len(labels) - 1)
    shown = Table(
        None,
        *([_LABELS.get(name, name) for name in labels] or [""]),
        *columns,
        right=tuple(name for name in columns if name != "models"),
        whole=("last activity", *([] if breakdown else ["date"])),
        dropped=_DROPPED,
    )
    lines = made.lines[:limit]
    cells = group_labels(labels, (_labels(period, line, minute_of(line.at, zone)) for line in lines))
    for line, about in zip(lines, cells, strict=True):
        shown.add_row(*(about or ["all"]), *_cells(columns, line.models, line.amounts))
        if breakdown:
            for model, amounts in sorted(line.models.items(), key=lambda both: (-both[1][0], both[0])):
                shown.add_row(f"  {plain(model)}", *blank, *_cells(columns, {}, amounts), style="dim")
    count, rest = made.after(limit)
    if count:
        name = counted(count, "earlier" if period == "session" else "other")
        shown.add_row(name, *blank, *_cells(columns, {}, rest.amounts, is_bound=rest.at_least), style="dim")
    shown.add_total("total", *blank, *_cells(columns, {}, made.total.amounts, is_bound=made.total.at_least))
    out, cost = console(), made.total.amounts[0]
    shown.print(out)
    print_unpriced(out, cost, made.unpriced)
    print_missing(out, cost, unknown=made.total.unknown, incomplete=made.total.is_partial)


def _cells(
    columns: Sequence[str], models: dict[str, Amounts], amounts: Amounts, *, is_bound: bool = False
) -> list[str]:
    cells = {name: f"{amounts[AMOUNTS.index(field)]:,}" for name, field in _FIGURES.items()} | {
        "models": "\n".join(plain(name) for name in sorted(models)),
        "total tokens": f"{total_tokens(amounts):,}",
        "cost (USD)": shown_cost(
            amounts[0], unpriced=amounts[AMOUNTS.index("unpriced_events")] > 0, at_least=is_bound or at_least(amounts)
        ),
    }
    return [cells[name] for name in columns]
