"""`daily`, `weekly`, `monthly` and `session`: spend over time."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import tzinfo
from typing import Any, Final, TypeVar

import click

from ledger.errors import InvalidInput
from projections.cli.first_steps import print_first_steps
from projections.cli.options import data_option, history_option, import_option, json_option
from projections.cli.output.agents import UNNAMED_SUBAGENTS, is_unnamed
from projections.cli.output.console import console
from projections.cli.output.costs import print_missing, print_unpriced, shown_cost
from projections.cli.output.evidence import print_evidence
from projections.cli.output.tables import Id, Table
from projections.cli.output.text import csv_cell, plain, print_json
from projections.cli.parsing import day_range
from projections.cli.session import exit_code, opened
from projections.documents.spend import spend_document, spend_figures
from projections.folding.breakdown import UNATTRIBUTED
from projections.folding.spend import AMOUNTS, Amounts
from projections.history.store import SpendSum
from projections.reports.spend_report import (
    BY,
    PERIODS,
    By,
    Kind,
    Report,
    at_least,
    groups,
    last_activities,
    minute_of,
    quarters,
    report,
    spent_at_from,
    total_tokens,
    without_reading,
)
from projections.reports.timezones import zone_named

F = TypeVar("F", bound=Callable[..., Any])

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
_DROPPED: Final = (
    ("cache create", "cache read"),
    "models",
    ("input", "output"),
    "last activity",
    "total tokens",
    "workflow",
)
"""What a terminal that is too narrow goes without, step by step, before a name is broken."""


def _once(context: click.Context, parameter: click.Parameter, value: tuple[By, ...]) -> By | None:
    """An option that is given once at most; the last of several does not win unseen."""
    if len(value) > 1:
        raise click.BadParameter(f"give one of {', '.join(value)}", context, parameter)
    return value[0] if value else None


def _options(command: F) -> F:
    """The options that all reports share."""
    for option in (
        data_option,
        history_option,
        import_option,
        click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values."),
        json_option,
        click.option("--order", type=click.Choice(["asc", "desc"]), default="asc", help="Oldest first, or newest."),
        click.option("--breakdown", is_flag=True, help="Show each model below its line."),
        click.option("--timezone", metavar="ZONE", help="Days of this zone, such as Europe/Berlin [default: local]."),
        click.option("--until", metavar="DATE", help="The last day, or period: 2026-11-30, yesterday, last month."),
        click.option(
            "--since", metavar="DATE", help="The first day, or period: 2026-11-01, last week; 7d: the last 7 days."
        ),
        click.option(
            "--by", type=click.Choice(list(BY)), multiple=True, callback=_once, help="Split each line by this."
        ),
    ):
        command = option(command)
    return command


@click.command("daily")
@_options
def daily_command(**options: Any) -> int:
    """Show what was spent each day."""
    return _print_report("daily", **options)


@click.command("weekly")
@_options
def weekly_command(**options: Any) -> int:
    """Show what was spent each week, from Monday to Sunday (ISO 8601)."""
    return _print_report("weekly", **options)


@click.command("monthly")
@_options
def monthly_command(**options: Any) -> int:
    """Show what was spent each month."""
    return _print_report("monthly", **options)


@click.command("session")
@_options
def session_command(**options: Any) -> int:
    """Show what each session spent, the latest last."""
    return _print_report("session", **options)


def _print_report(
    kind: Kind,
    *,
    by: By | None,
    since: str | None,
    until: str | None,
    timezone: str | None,
    breakdown: bool,
    order: str,
    as_json: bool,
    as_csv: bool,
) -> int:
    if as_json and as_csv:
        raise InvalidInput("--json and --csv: give one of them")
    zone = zone_named("--timezone", timezone)
    first, last = quarters(*day_range(since, until, zone), zone)
    with opened(imports=True) as session:
        sums = session.history.spent(groups(kind, by), first=first, last=last, merged=kind == "session")
        unknown = without_reading(session.history, first, last)
        if by == "agent" and not (as_json or as_csv):
            sums = _with_unnamed_together(sums, groups(kind, by).index("agent"))
        latest = last_activities(session.history) if kind == "session" else {}
        made = report(kind, by, sums, zone, descending=order == "desc", unknown=unknown, latest=latest)
        dated = spent_at_from(session.history, first, last)
        if as_json:
            print_json(spend_document(kind, by, made, zone, dated, breakdown=breakdown))
        elif as_csv:
            _print_csv(kind, by, made, breakdown=breakdown)
        elif made.lines:
            _print_table(kind, by, made, zone, breakdown=breakdown and by != "model")
            print_evidence(console(), dated)
        elif unknown:
            print_missing(console(), 0, unknown=unknown, incomplete=False)
        elif session.history.ids(""):
            click.echo("nothing was spent" + " in this time" * bool(since or until))
        else:
            print_first_steps(session.where, shared=session.history.shared)
        return exit_code(session.problems)


def _with_unnamed_together(sums: Iterable[SpendSum], agent_at: int) -> Iterator[SpendSum]:
    """The sums, with sub-agents without a name as one agent."""
    for quarter, group, amounts in sums:
        agent = group[agent_at]
        if isinstance(agent, str) and is_unnamed(agent):
            group = (*group[:agent_at], UNNAMED_SUBAGENTS, *group[agent_at + 1 :])
        yield SpendSum(quarter, group, amounts)


def _label_names(kind: Kind, by: By | None) -> list[str]:
    period = [PERIODS[kind]] if kind in PERIODS else ["session_id", "adw_id", "last_activity"]
    return [*period, *([] if by is None else [by])]


def _csv_figures(amounts: Amounts) -> dict[str, Any]:
    """Return the columns of a line's figures; counts first, since earlier versions had them so."""
    found: dict[str, Any] = {**spend_figures(amounts)}
    return {name: found[name] for name in _CSV_FIGURES}


def _print_csv(kind: Kind, by: By | None, made: Report, *, breakdown: bool) -> None:
    """A line per period, or with `breakdown` per model of it; there is no total, so that a column can be added up."""
    labels = _label_names(kind, by)
    named = breakdown and by != "model"
    names = list(_csv_figures([0] * len(AMOUNTS)))
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([*labels, *(["model"] if named else []), *names])
    for line in made.lines:
        parts = sorted(line.models.items()) if named else [("", line.amounts)]
        for model, amounts in parts:
            names = [csv_cell(line.labels[name]) for name in labels]
            figures = _csv_figures(amounts)
            if not amounts[0] and figures["at_least"]:
                figures["cost_usd"] = ""  # the cost is unknown, and a column can still be added up
            figures["at_least"] = int(figures["at_least"])
            out.writerow([*names, *([csv_cell(model)] if named else []), *figures.values()])


def _print_table(kind: Kind, by: By | None, made: Report, zone: tzinfo | None, *, breakdown: bool) -> None:
    labels = _label_names(kind, by)
    columns = list(_COLUMNS) if by != "model" else [name for name in _COLUMNS if name != "models"]
    names = [_LABELS.get(name, name) for name in labels]
    blank = [""] * (len(labels) - 1)
    shown = Table(
        None,
        *names,
        *columns,
        right=tuple(name for name in columns if name != "models"),
        whole=("last activity", *([] if breakdown else ["date"])),
        dropped=_DROPPED,
    )
    for line in made.lines:
        about = [_label(line.labels[name], name) for name in labels]
        if kind == "session":
            about[labels.index("last_activity")] = minute_of(line.at, zone)
        shown.add_row(*about, *_cells(columns, line.models, line.amounts))
        if breakdown:
            for model, amounts in sorted(line.models.items(), key=lambda both: (-both[1][0], both[0])):
                shown.add_row(f"  {plain(model)}", *blank, *_cells(columns, {}, amounts), style="dim")
    shown.add_total("total", *blank, *_cells(columns, {}, made.total.amounts, is_bound=made.total.at_least))
    out, cost = console(), made.total.amounts[0]
    shown.print(out)
    print_unpriced(out, cost, made.unpriced)
    print_missing(out, cost, unknown=made.total.unknown, incomplete=made.total.is_partial)


def _label(value: str | int | None, name: str) -> str:
    if value is None:
        return UNATTRIBUTED
    if name in ("session_id", "adw_id"):
        return Id(plain(str(value)))
    return f"#{value}" if name == "issue" else plain(str(value))


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
