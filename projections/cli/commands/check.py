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
    """What a workflow has spent of its budget, or each running one that has one; exit code 3 when one is over.

    From the shares of `[budgets] warn_at` on (80 % by default) it also warns on stderr. Budgets are set by
    `start --budget-usd`, or in costledger.toml.
    """
    budgets = configured_budgets(config_path())
    workflow_id = None if workflow_id is None else whole_id(workflow_id)
    with opened(workflow_ids=None if workflow_id is None else [workflow_id]) as session:
        found = [row for row in session.history.rows() if row.status == "running"]
        if workflow_id is not None:
            row = session.history.row(workflow_id)
            if row is None and not session.problems:
                raise UnknownWorkflow(workflow_id, session.where)
            found = [] if row is None else [row]
        standings = [(row, budget_status(row, budgets)) for row in found]
        if workflow_id is None:
            standings = [(row, stands) for row, stands in standings if stands is not None]
        failed = exit_code(session.problems)
    if as_json:
        told = [check_document(row, stands) for row, stands in standings]
        print_json(told if workflow_id is None else told[0] if told else None)
    elif not standings and workflow_id is None:
        click.echo(_WITHOUT_BUDGET if found else "no workflow is running")
    for row, stands in standings:
        _say(row, stands, as_json=as_json)
    over = any(stands is not None and stands.state is BudgetState.OVER for _, stands in standings)
    return _FINDING if over else failed


def _say(row: Row, stands: BudgetStatus | None, *, as_json: bool) -> None:
    if stands is None:
        if not as_json:
            tokens = (
                f"; the tokens of {counted(row.unpriced_events, 'meter')} have no price" if row.unpriced_events else ""
            )
            click.echo(f"{row.adw_id}: {row_in_words(row)} spent; no budget is set for it{tokens}")
        return
    if not as_json:
        click.echo(f"{row.adw_id}: {stands}")
    if (warning := stands.warning) is not None:
        click.echo(f"costledger: {row.adw_id} {warning}", err=True)
