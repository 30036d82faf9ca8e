"""`history`, `show` and `explain`: read rows and reasons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from rich.text import Text

from ledger.events import money
from ledger.text import counted
from projections.applications.plan import Compared
from projections.cli.first_steps import print_first_steps
from projections.cli.options import (
    config_option,
    config_path,
    data_option,
    history_option,
    idle_after,
    import_option,
    json_option,
    tag_rules,
)
from projections.cli.output.console import BUDGET_STYLES, console, styled_status
from projections.cli.output.costs import (
    is_lower_bound,
    print_missing,
    print_unpriced,
    row_cost,
    shown_cost,
    unknown_rows,
    unpriced_of,
)
from projections.cli.output.row_csv import print_csv
from projections.cli.output.table_files import check_one_format, file_options, print_or_write
from projections.cli.output.tables import Brief, Id, Table
from projections.cli.output.text import (
    local_time,
    plain,
    print_json,
    project_names,
)
from projections.cli.row_filter import RowFilter, filter_options
from projections.cli.session import exit_code, opened
from projections.documents.rows import row_document
from projections.documents.totals import totals_document
from projections.folding.row import Row
from projections.history.idle import is_idle, is_moved, workflows_of
from projections.history.query import totals_of
from projections.reports.budgets import Budgets, BudgetStatus, budget_status, configured_budgets

_COLUMNS: Final = (
    *("workflow", "title", "project", "branch", "issue", "status", "cost", "stored", "budget", "basis"),
    *("tokens", "cached", "tool", "model", "last activity"),
)


@click.command("history")
@filter_options
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@file_options
@import_option
@json_option
@history_option
@config_option
@data_option
def history_command(as_json: bool, as_csv: bool, jsonl: bool, parquet: Path | None, **chosen: Any) -> int:
    """List all workflows and what they cost, the latest activity last."""
    check_one_format(as_json=as_json, as_csv=as_csv, jsonl=jsonl, parquet=parquet)
    wanted = RowFilter(**chosen)
    now, after, budgets = datetime.now(UTC), idle_after(), configured_budgets(config_path())
    with opened(imports=True) as session:
        every = session.history.rows()
        wanted.check(every)
        matching = wanted.matching(((found, is_idle(found, now, after)) for found in every), tag_rules())
        rows = wanted.limited(matching)
        copies = session.compared([found for found, _ in rows])
        titles = session.titles([found for found, _ in rows])
        workflows = (
            titled_row_document(one, budgets, copies.get(one.adw_id), titles.get(one.adw_id), idle=idle)
            for one, idle in rows
        )
        if jsonl or parquet:
            print_or_write(workflows, parquet)
        elif as_json:
            totals = totals_of(found for found, _ in matching)
            print_json(
                {"workflows": list(workflows), "total_count": totals.count, "analytics": totals_document(totals)}
            )
        elif as_csv:
            print_csv(rows, budgets)
        elif every and not rows:
            click.echo(f"no workflow matches these options; there are {len(every):,} in all")
        elif rows:
            _print_history(rows, copies, titles, budgets)
        else:
            print_first_steps(session.where, shared=session.history.shared)
        return exit_code(session.problems)


def titled_row_document(
    found: Row, budgets: Budgets, copy: Compared | None = None, title: str | None = None, *, idle: bool
) -> dict[str, Any]:
    """Return a row, with its title, which only the machine of its transcript has."""
    return {**row_document(found, budgets, idle=idle, copy=copy), "title": title}


def _print_history(
    rows: list[tuple[Row, bool]], copies: Mapping[str, Compared], titles: Mapping[str, str], budgets: Budgets
) -> None:
    projects = project_names(found.project for found, _ in rows)
    shown = Table(
        None,
        *_COLUMNS,
        right=("issue", "cost", "stored", "budget", "tokens", "cached"),
        whole=("status", "basis", "last activity"),
        cut=("title", "project", "branch", "model"),
        optional=("title", "project", "branch", "issue", "stored", "budget", "tool"),
        dropped=(
            *("cached", "basis", "tokens", "model", "branch", "issue", "budget", "status"),
            *("title", "tool", "project", "last activity"),
        ),
    )
    for found, idle in rows:
        project, copy = projects[found.project], copies.get(found.adw_id)
        shown.add_row(
            Id(found.adw_id),
            titles.get(found.adw_id) or (f"({project})" if titles and project else ""),
            project,
            plain(found.branch or ""),
            "" if found.issue_number is None else f"#{found.issue_number}",
            styled_status(found.status, idle=idle, moved=is_moved(found)),
            row_cost(found),
            "" if copy is None or not copy.differs_in_cost else _stored(copy),
            _budget(budget_status(found, budgets)),
            found.cost_basis or "none",
            f"{found.total_tokens:,}",
            f"{found.cache_efficiency_percent:.0f} %",
            plain(found.tool or ""),
            plain(found.model_used or ""),
            _minute(found.last_activity),
        )
    _print_with_total(shown, [found for found, _ in rows])


def _print_with_total(shown: Table, rows: list[Row]) -> None:
    cost, unpriced = sum(found.actual_cost_nanousd for found in rows), unpriced_of(rows)
    total = shown_cost(
        cost,
        unpriced=bool(unpriced),
        at_least=any(map(is_lower_bound, rows)),
        known=any(found.cost_basis is not None for found in rows),
    )
    count = workflows_of(rows)
    moved = [f"{len(rows) - count:,} moved"] if count < len(rows) else []
    named = ", ".join([*([counted(count, "workflow")] if count else []), *moved])
    sums = {"workflow": Brief(named, "total"), "cost": total}
    sums["tokens"] = f"{sum(found.total_tokens for found in rows):,}"
    shown.add_total(*(sums.get(name, "") for name in _COLUMNS))
    out = console()
    shown.print(out)
    print_unpriced(out, cost, unpriced)
    incomplete = any(found.cost_basis == "partial" and not found.unpriced_events for found in rows)
    print_missing(out, cost, unknown=unknown_rows(rows), incomplete=incomplete)


def _minute(moment: str | None) -> str:
    """A local time to the minute, whose short form has no year where that is this year."""
    shown = local_time(moment)[:-3]
    year = f"{datetime.now().astimezone():%Y-}"
    return Brief(shown, shown.removeprefix(year)) if shown.startswith(year) else shown


def _budget(found: BudgetStatus | None) -> str | Text:
    return "" if found is None else Text(found.in_short, style=BUDGET_STYLES[found.state])


def _stored(copy: Compared) -> str:
    return ("nothing" if copy.stored_nanousd is None else money.shown(copy.stored_nanousd)) + " (held)" * copy.held
