"""`check`: what was spent of the budget."""

from __future__ import annotations

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
)
from projections.cli.output.costs import row_in_words
from projections.cli.output.text import print_json
from projections.cli.session import exit_code, opened
from projections.cli.workflow_ids import whole_id
from projections.documents.budgets import check_document
from projections.folding.row import Row
from projections.reports.budgets import BudgetState, BudgetStatus, budget_status, configured_budgets

_FINDING = 3
_WITHOUT_BUDGET = (
    "no running workflow has a budget; `costledger start ID --budget-usd 5` gives it one, "
    "or [budgets] in costledger.toml: see docs/budgets.md"
)


@click.command("check")
@click.argument("workflow_id", metavar="[ID]", required=False, shell_complete=complete_workflow)
@json_option
@history_option
@config_option
@data_option
def check_command(workflow_id: str | None, as_json: bool) -> int:
    """Check what a workflow has spent of its budget, or each running one that has one; exit code 3 when one is over.

    From the shares of `[budgets] warn_at` on (80 % by default) it also warns on stderr. Budgets are set by
    `start --budget-usd`, or in costledger.toml.
    """
    budgets = configured_budgets(config_path())
    workflow_id = None if workflow_id is None else whole_id(workflow_id)
    with opened(workflow_ids=None if workflow_id is None else [workflow_id]) as session:
        rows = [row for row in session.history.rows() if row.status == "running"]
        if workflow_id is not None:
            row = session.history.row(workflow_id)
            if row is None and not session.problems:
                raise UnknownWorkflow(workflow_id, session.where)
            rows = [] if row is None else [row]
        found = [(row, budget_status(row, budgets)) for row in rows]
        if workflow_id is None:
            found = [(row, budget) for row, budget in found if budget is not None]
        failed = exit_code(session.problems)
    if as_json:
        checked = [check_document(row, budget) for row, budget in found]
        print_json(checked if workflow_id is None else checked[0] if checked else None)
    elif not found and workflow_id is None:
        click.echo(_WITHOUT_BUDGET if rows else "no workflow is running")
    for row, budget in found:
        _print(row, budget, as_json=as_json)
    over = any(budget is not None and budget.state is BudgetState.OVER for _, budget in found)
    return _FINDING if over else failed


def _print(row: Row, budget: BudgetStatus | None, *, as_json: bool) -> None:
    if budget is None:
        if not as_json:
            tokens = (
                f"; the tokens of {counted(row.unpriced_events, 'meter')} have no price" if row.unpriced_events else ""
            )
            click.echo(f"{row.adw_id}: {row_in_words(row)} spent; no budget is set for it{tokens}")
        return
    if not as_json:
        click.echo(f"{row.adw_id}: {budget}")
    if (warning := budget.warning) is not None:
        click.echo(f"costledger: {row.adw_id} {warning}", err=True)
