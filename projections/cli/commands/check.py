"""`check`: what was spent of the budget."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ledger.errors import UnknownWorkflow
from ledger.text import counted
from projections.cli.options import (
    complete_workflow,
    config_option,
    config_path,
    data_option,
    history_option,
    json_option,
    tag_rules,
)
from projections.cli.output.costs import row_in_words
from projections.cli.output.text import print_json
from projections.cli.session import CommandSession, exit_code, opened
from projections.cli.workflow_ids import whole_id
from projections.documents.budgets import budgets_document, check_document
from projections.folding.row import Row
from projections.reports.budgets import BudgetState, BudgetStatus, budget_status, configured_budgets, of_running
from projections.reports.period_budgets import PeriodBudgetStatus, budgets_now

__all__ = ["check_command", "periods_now", "print_problems"]

_FINDING = 3
_WITHOUT_BUDGET = (
    "there is no budget of a period, and no running workflow has one; `costledger start ID --budget-usd 5` gives it "
    "one, or [budgets] in costledger.toml: see docs/budgets.md"
)


@click.command("check")
@click.argument("workflow_id", metavar="[ID]", required=False, shell_complete=complete_workflow)
@json_option
@history_option
@config_option
@data_option
def check_command(workflow_id: str | None, as_json: bool) -> int:
    """Check what was spent of budgets: a workflow's, or all that count now; exit code 3 when one is over.

    Those that count now are of this day, week and month, and of the running workflows. From the shares of `[budgets]
    warn_at` on (80 % by default) it also warns on stderr. Budgets are set by `start --budget-usd`, or in
    costledger.toml.
    """
    if workflow_id is not None:
        return _check_workflow(whole_id(workflow_id), as_json=as_json)
    with opened() as session:
        periods = periods_now(session)
        budgets = configured_budgets(config_path())
        found = of_running(session.history, budgets)
        failed = exit_code(session.problems)
    if as_json:
        print_json(budgets_document(periods, found, budgets))
    elif not found and not periods:
        click.echo(_WITHOUT_BUDGET)
    for one in periods:
        _print(one.title, one.status, as_json=as_json)
    print_problems(periods)
    for row, budget in found:
        _print(row.adw_id, budget, as_json=as_json)
    is_over = any(one.state is BudgetState.OVER for one in (*(one.status for one in periods), *(b for _, b in found)))
    return _FINDING if is_over else failed


def _check_workflow(workflow_id: str, *, as_json: bool) -> int:
    with opened(workflow_ids=[workflow_id]) as session:
        row = session.history.row(workflow_id)
        if row is None and not session.problems:
            raise UnknownWorkflow(workflow_id, session.where)
        failed = exit_code(session.problems)
    budget = None if row is None else budget_status(row, configured_budgets(config_path()))
    if as_json:
        print_json(None if row is None else check_document(row, budget))
    if row is not None and budget is not None:
        _print(row.adw_id, budget, as_json=as_json)
    elif row is not None and not as_json:
        click.echo(f"{row.adw_id}: {row_in_words(row)} spent; no budget is set for it{_unpriced(row)}")
    return _FINDING if budget is not None and budget.state is BudgetState.OVER else failed


def periods_now(session: CommandSession) -> list[PeriodBudgetStatus]:
    """Return what was spent of each budget of a period by now."""
    return budgets_now(session.history, configured_budgets(config_path()), rules=tag_rules())


def print_problems(periods: Sequence[PeriodBudgetStatus]) -> None:
    """Report on stderr which budgets nothing can count for."""
    for one in periods:
        if one.problem is not None:
            click.echo(f"costledger: the budget of {one.title} counts nothing: {one.problem}", err=True)


def _unpriced(row: Row) -> str:
    return f"; the tokens of {counted(row.unpriced_events, 'meter')} have no price" if row.unpriced_events else ""


def _print(title: str, budget: BudgetStatus, *, as_json: bool) -> None:
    if not as_json:
        click.echo(f"{title}: {budget}")
    if (warning := budget.warning) is not None:
        click.echo(f"costledger: {title} {warning}", err=True)
