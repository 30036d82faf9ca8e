"""No command: the picture of today, on a machine without data after an import of the logs that are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from ledger.config.locate import DataDirectory
from ledger.events import money
from ledger.importing.source_registry import SourceRegister
from ledger.sources import source
from ledger.storage.origin import misplaced
from ledger.text import counted
from projections.applications.suspects import suspects_of_copies
from projections.cli.commands.check import periods_now, print_problems
from projections.cli.first_steps import default_folders, print_first_steps
from projections.cli.options import config_path, idle_after, located_data, prices
from projections.cli.output.console import console
from projections.cli.output.costs import (
    in_words,
    is_lower_bound,
    model_name,
    print_missing,
    print_unpriced,
    row_cost,
    shown_cost,
    unknown_rows,
    unpriced_of,
)
from projections.cli.output.evidence import print_evidence
from projections.cli.output.tables import Id, Table
from projections.cli.output.text import local_time, plain, print_json, project_names
from projections.cli.session import CommandSession, exit_code, opened
from projections.documents.budgets import check_document, period_budget_document
from projections.documents.findings import finding_document
from projections.documents.spend import dated_document, unpriced_document
from projections.documents.types import usd
from projections.folding.breakdown import UNATTRIBUTED
from projections.folding.cost_words import known_row_cost
from projections.folding.row import Row
from projections.history.idle import is_idle, is_moved, workflows_of
from projections.history.suspects import Suspect, stale
from projections.reports.attention import Attention
from projections.reports.budgets import BudgetState, BudgetStatus, configured_budgets, near_or_over
from projections.reports.overview import GROUPS, WINDOW_DAYS, Figure, Overview, first_quarter, overview
from projections.reports.period_budgets import PeriodBudgetStatus, spent_most
from projections.reports.periods import quarters
from projections.reports.spend_report import Report, SpendQuery, spend_report

__all__ = ["today"]

_RUNNING_MAX: Final = 10
_FINDINGS_MAX: Final = 5
_MODELS_MAX: Final = 8
"""Lines of a list that leave room for the rest of the picture on one screen; `--json` has all."""

_LONGEST: Final = max(WINDOW_DAYS)
_WINDOWS: Final = {1: "today", 7: "7 days", 30: "30 days"}
_DATA_NAMED_BY: Final = {
    "caller": "named by --data",
    "environment": "named by COSTLEDGER_DATA",
    "configuration": "named by costledger.toml",
    "project": "of the project in {project}",
    "user": "your own, the same from every folder",
}


@dataclass(slots=True)
class _Picture:
    """Everything that is shown.

    Attributes:
        idle: open workflows without activity.
        suspects: rows that need attention, and why.
        budgets: the workflows near or over their budgets.
        periods: what was spent of the budgets of this day, week and month.
        dated: what of today is dated by evidence.
        agents: a folder `agents` here that is an ADW project's and was not imported.
    """

    day: date
    data: DataDirectory
    rows: list[Row]
    spent: Report
    overview: Overview
    running: list[Row] = field(default_factory=list)
    idle: list[Row] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    budgets: list[tuple[Row, BudgetStatus]] = field(default_factory=list)
    periods: list[PeriodBudgetStatus] = field(default_factory=list)
    dated: dict[str, int] = field(default_factory=dict)
    agents: Path | None = None


def today(*, as_json: bool) -> int:
    """Print what was spent (local time), what runs, what is idle, and what needs attention."""
    with opened(imports=True) as session:
        picture = _picture(session)
        wrong = misplaced(session.data)
        if as_json:
            errors = [f"{problem.workflow_id}: {problem.error}" for problem in session.problems]
            print_json(_as_json(picture, session) | {"errors": errors + ([] if wrong is None else [str(wrong)])})
            return exit_code(session.problems)
        if wrong is not None:
            click.echo(f"costledger: {wrong}", err=True)
        if picture.rows:
            _print(picture, session)
        else:
            print_first_steps(session.where, shared=session.history.shared)
            _print_agents(console(), picture)
            console().print(_where(picture, session))
        return exit_code(session.problems)


def _picture(session: CommandSession) -> _Picture:
    rows, history = session.history.rows(), session.history
    day = datetime.now().astimezone().date()
    now, after = datetime.now(UTC), idle_after()
    first, last = quarters(day, day, None)
    spent = spend_report(history, SpendQuery(first=first, last=last), None)
    sums = history.spent(GROUPS, first=first_quarter(day), last=last)
    made = _Picture(day, located_data(), rows, spent, overview(day, rows, sums))
    for found in rows:
        if found.status == "running" and not is_moved(found):
            (made.idle if is_idle(found, now, after) else made.running).append(found)
    made.suspects = list(_suspects(session, rows, now))
    made.budgets = _budgets(rows, day)
    made.periods = periods_now(session)
    made.dated = dict(spent.dated)
    made.agents = _agents_here(session)
    return made


def _suspects(session: CommandSession, rows: list[Row], now: datetime) -> Iterator[Suspect]:
    yield from stale(rows, now=now, lookups=Attention(prices(), session.ledgers))
    yield from suspects_of_copies(rows, session.compared(rows), session.where_copied, now=now)


def _budgets(rows: list[Row], day: date) -> list[tuple[Row, BudgetStatus]]:
    """The workflows near or over their budgets that are open or were active in the longest time shown."""
    budgets, oldest = configured_budgets(config_path()), date.fromordinal(day.toordinal() - _LONGEST).isoformat()
    recent = [row for row in rows if row.status == "running" or (row.last_activity or "") >= oldest]
    return near_or_over(recent, budgets)


def _agents_here(session: CommandSession) -> Path | None:
    """The folder `agents` of this folder, if it is an ADW project's that no import has read."""
    agents = Path("agents")
    if not agents.is_dir() or not source("adw").identify(agents):
        return None
    here = {str(path.absolute()) for path in (agents, Path())}
    read = any(entry.kind == "adw" and entry.path in here for entry in SourceRegister(session.data).entries())
    return None if read else agents


def _as_json(picture: _Picture, session: CommandSession) -> dict[str, Any]:
    spent, made = picture.spent, picture.overview
    return {
        "date": picture.day.isoformat(),
        "spent_usd": money.to_wire(spent.total.amounts[0]),
        "at_least": spent.total.at_least,
        "unpriced": unpriced_document(spent.unpriced),
        "last_7_days": _figure_json(made.spent[7]),
        "last_30_days": _figure_json(made.spent[30]),
        "by_tool": {
            tool: _windows_json(made.by_tool.get(tool)) | {"in_all": _figure_json(ever)}
            for tool, ever in made.ever_by_tool.items()
        },
        "by_model": {model: _windows_json(figures) for model, figures in made.by_model.items()},
        "in_all": {
            "workflows": workflows_of(picture.rows),
            "cost_usd": money.to_wire(made.ever.nanousd),
            "at_least": made.ever.at_least,
            "unpriced": unpriced_document(unpriced_of(picture.rows)),
        },
        "running": [
            {
                "adw_id": found.adw_id,
                "cost_usd": usd(known_row_cost(found)),
                "at_least": is_lower_bound(found),
                "cost_basis": found.cost_basis,
                "unpriced_events": found.unpriced_events,
            }
            for found in picture.running
        ],
        "idle": len(picture.idle),
        "findings": [finding_document(found) for found in picture.suspects],
        "budgets": [check_document(row, budget) for row, budget in picture.budgets],
        "period_budgets": [period_budget_document(found) for found in picture.periods],
        "spent_at_from_usd": dated_document(picture.dated),
        "data": {"path": str(picture.data.path.absolute()), "named_by": picture.data.named_by, "rows": session.where},
        "looked_in": {kind: [str(folder) for folder in folders] for kind, folders in default_folders().items()},
        "adw_project": None if picture.agents is None else str(picture.agents.absolute()),
    }


def _figure_json(figure: Figure) -> dict[str, Any]:
    return {
        "cost_usd": money.to_wire(figure.nanousd),
        "at_least": figure.at_least,
        "unpriced": figure.unpriced,
        "tokens": figure.tokens,
    }


def _windows_json(figures: Mapping[int, Figure] | None) -> dict[str, Any]:
    names = {1: "today", 7: "last_7_days", 30: "last_30_days"}
    return {name: _figure_json(figures[days] if figures else Figure()) for days, name in names.items()}


def _print(picture: _Picture, session: CommandSession) -> None:
    out, spent, made = console(), picture.spent, picture.overview
    unpriced = unpriced_of(picture.rows)
    has_reading = any(found.cost_basis is not None for found in picture.rows)
    ever = in_words(made.ever.nanousd, unpriced=bool(unpriced), at_least=made.ever.at_least, known=has_reading)
    today_usd = in_words(spent.total.amounts[0], unpriced=bool(spent.unpriced), at_least=spent.total.at_least)
    workflows = counted(workflows_of(picture.rows), "workflow")
    out.print(f"{picture.day:%A, %d %B %Y}: spent {today_usd}; in all {ever} in {workflows}")
    print_unpriced(out, 0, unpriced)
    incomplete = any(found.cost_basis == "partial" for found in picture.rows)
    print_missing(out, made.ever.nanousd, unknown=unknown_rows(picture.rows), incomplete=incomplete)
    _print_tools(out, made)
    _print_models(out, made)
    _print_running(out, picture, session)
    _print_budgets(out, picture)
    _print_suspects(out, picture)
    print_evidence(out, picture.dated)
    if picture.idle:
        out.print(f"{counted(len(picture.idle), 'open workflow')} without activity: costledger history --status idle")
    _print_agents(out, picture)
    out.print(_where(picture, session))
    out.print("more: costledger history · show ID · explain ID · daily · verify")


def _cells(figures: Mapping[int, Figure] | None) -> list[str]:
    return [_cell(figures[days]) if figures else "" for days in WINDOW_DAYS]


def _cell(figure: Figure) -> str:
    """A figure in a table; nothing where nothing was spent."""
    return "" if figure == Figure() else shown_cost(figure.nanousd, unpriced=figure.unpriced, at_least=figure.at_least)


def _print_tools(out: Console, made: Overview) -> None:
    columns = ("tool", *_WINDOWS.values(), "in all")
    shown = Table("Spent by tool", *columns, right=columns[1:], dropped=("in all",))
    for tool, ever in made.ever_by_tool.items():
        shown.add_row(plain(tool), *_cells(made.by_tool.get(tool)), _cell(ever))
    total = [shown_cost(each.nanousd, unpriced=each.unpriced, at_least=each.at_least) for each in made.spent.values()]
    shown.add_total("all tools", *total, _cell(made.ever))
    shown.print(out)


def _print_models(out: Console, made: Overview) -> None:
    if not made.by_model:
        out.print(f"nothing in the last {_LONGEST} days; costledger monthly shows what was before\n")
        return
    columns = ("model", *_WINDOWS.values(), "tokens, 30 days")
    shown = Table("Spent by model", *columns, right=columns[1:], dropped=("tokens, 30 days",))
    models = [(name, figures) for name, figures in made.by_model.items() if not _is_nothing(name, figures)]
    for model, figures in models[:_MODELS_MAX]:
        shown.add_row(model_name(model), *_cells(figures), f"{figures[_LONGEST].tokens:,}")
    shown.print(out)
    _print_rest(out, len(models) - _MODELS_MAX, "costledger monthly --by model")


def _is_nothing(model: str, figures: Mapping[int, Figure]) -> bool:
    """Whether a line would only repeat that some usage is unknown: it names no model, and has no figure."""
    return model == UNATTRIBUTED and not any(each.nanousd or each.tokens for each in figures.values())


def _print_running(out: Console, picture: _Picture, session: CommandSession) -> None:
    if not picture.running:
        return
    latest = sorted(picture.running, key=lambda row: (row.last_activity or "", row.adw_id), reverse=True)[:_RUNNING_MAX]
    titles, projects = session.titles(latest), project_names(found.project for found in latest)
    shown = Table(
        "Running now",
        *("workflow", "title", "project", "cost so far", "last activity"),
        right=("cost so far",),
        whole=("last activity",),
        cut=("title",),
        optional=("title", "project"),
        dropped=("project", "title"),
    )
    for found in latest:
        title, last = titles.get(found.adw_id, ""), local_time(found.last_activity)[:-3]
        shown.add_row(Id(found.adw_id), title, projects[found.project], row_cost(found), last)
    shown.print(out)
    _print_rest(out, len(picture.running) - _RUNNING_MAX, "costledger history --status running")


def _print_budgets(out: Console, picture: _Picture) -> None:
    print_problems(picture.periods)
    periods = spent_most(picture.periods)
    if not periods and not picture.budgets:
        return
    columns = ("budget of", "spent", "budget", "share", "left")
    shown = Table("Near or over the budget", *columns, right=columns[1:], dropped=("share",))
    for one in periods:
        shown.add_row(plain(one.title), *_budget_cells(one.status))
    for row, budget in picture.budgets[:_FINDINGS_MAX]:
        shown.add_row(Id(row.adw_id), *_budget_cells(budget))
    shown.print(out)
    _print_rest(out, len(picture.budgets) - _FINDINGS_MAX, "costledger check")


def _budget_cells(budget: BudgetStatus) -> list[str]:
    over = budget.state is BudgetState.OVER
    bound = ("≥ " if over else "≤ ") if budget.at_least else ""
    left = f"{bound}{money.shown(abs(budget.left_nanousd))} {'over' if over else 'left'}"
    share = "" if budget.percent is None else f"{budget.percent} %"
    spent = shown_cost(budget.spent_nanousd, unpriced=budget.unpriced > 0, at_least=budget.at_least)
    return [spent, money.shown(budget.budget_nanousd), share, left]


def _print_suspects(out: Console, picture: _Picture) -> None:
    if not picture.suspects:
        return
    shown = Table("Needs attention", "workflow", "cost", "why", right=("cost",), prose=("why",))
    for found in picture.suspects[:_FINDINGS_MAX]:
        shown.add_row(Id(found.adw_id), row_cost(found.row), found.why)
    shown.print(out)
    _print_rest(out, len(picture.suspects) - _FINDINGS_MAX, "costledger stale")


def _print_rest(out: Console, count: int, command: str) -> None:
    if count > 0:
        out.print(f"  and {count:,} more: {command}\n")


def _print_agents(out: Console, picture: _Picture) -> None:
    if picture.agents is not None:
        out.print("agents/ in this folder is an ADW project's: costledger import adw agents")


def _where(picture: _Picture, session: CommandSession) -> str:
    """Where the data lies, and what named it."""
    path, named_by = picture.data
    origin = _DATA_NAMED_BY[named_by].format(project=path.absolute().parent)
    rows = "" if session.where == str(path) else f"; the rows in {session.where}"
    return f"data: {path.absolute()} ({origin}){rows}"
