"""`receipt`: what a workflow cost, for a pull request."""

from __future__ import annotations

import click

from ledger.errors import UnknownWorkflow
from projections.cli.options import (
    config_option,
    config_path,
    data_option,
    history_option,
    json_option,
    workflow_argument,
)
from projections.cli.output.text import duration, print_json
from projections.cli.session import exit_code, opened
from projections.cli.workflow_ids import whole_id
from projections.documents.cost_receipt import receipt_document, receipt_markdown
from projections.documents.rows import row_document
from projections.reports.budgets import configured_budgets


@click.command("receipt")
@workflow_argument
@json_option
@history_option
@config_option
@data_option
def receipt_command(workflow_id: str, as_json: bool) -> int:
    """Print what a workflow cost as Markdown, for a pull request: by agent and model, with the ledger's hash."""
    workflow_id = whole_id(workflow_id)
    with opened(workflow_ids=[workflow_id]) as session:
        row = session.history.row(workflow_id)
        if row is None:
            if session.problems:
                return exit_code(session.problems)
            raise UnknownWorkflow(workflow_id, session.where)
        found = row_document(row, configured_budgets(config_path()), idle=False)
        receipt = receipt_document(found, session.history.spend(workflow_id))
        if as_json:
            print_json(receipt)
        else:
            took = "" if row.duration_seconds is None else duration(row.duration_seconds)
            click.echo(receipt_markdown(receipt, row, took), nl=False)
        return exit_code(session.problems)
