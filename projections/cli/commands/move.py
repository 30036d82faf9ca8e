"""`costledger move`: let a workflow, or one of its sessions, count in another workflow."""

from __future__ import annotations

import click

from ledger.events import money
from projections.cli.options import data_option, history_option, json_option, workflow_argument
from projections.cli.output.text import print_json
from projections.cli.session import exit_code, opened
from projections.cli.workflow_ids import existing_id, new_or_existing_id
from projections.documents.moves import move_document
from projections.folding.cost_words import row_cost
from projections.folding.moves import moved_from, moved_to
from projections.replay.move import move


@click.command("move")
@workflow_argument
@click.option("--to", "other", required=True, metavar="OTHER", help="The workflow to count in, new or not.")
@click.option("--session", "session_id", metavar="SESSION", help="Move only this session of it.")
@click.option("--agent", help="The agent's name there [default: as it is].")
@click.option("--reason", help="Why; it stays in the ledger.")
@json_option
@history_option
@data_option
def move_command(
    workflow_id: str, other: str, session_id: str | None, agent: str | None, reason: str | None, as_json: bool
) -> int:
    """Let a workflow count in another one, with all that is still to come: to rename, merge or regroup.

    Nothing is copied: one event in its ledger names the other workflow, and no day's total changes. The last move
    counts. Moving it to itself ends a move.
    """
    workflow_id, other = existing_id(workflow_id), new_or_existing_id(other)
    with opened(workflow_ids=[workflow_id]) as session:
        receipt = move(session.ledgers, workflow_id, to=other, session_id=session_id, agent=agent, reason=reason)
    with opened(workflow_ids=list(dict.fromkeys([workflow_id, other]))) as session:
        if as_json:
            print_json(move_document(workflow_id, other, session_id, agent, receipt))
            return exit_code(session.problems)
        what = f"session {session_id} of {workflow_id}" if session_id else workflow_id
        again = "counts in {} already" if receipt is None else "counts in {} now"
        click.echo(f"{what} {again.format('its own row' if other == workflow_id else other)}")
        for row in map(session.history.row, dict.fromkeys([workflow_id, other])):
            if row is not None:
                notes = [f"{_amount(nanousd)}from {name}" for name, nanousd in moved_from(row).items()]
                notes += [f"{_amount(nanousd)}moved to {name}" for name, nanousd in moved_to(row).items()]
                click.echo(f"{row.adw_id}: {', '.join([row_cost(row), *notes])}")
        return exit_code(session.problems)


def _amount(nanousd: int) -> str:
    return f"{money.shown(nanousd)} " if nanousd else ""  # nothing, unpriced or unknown
