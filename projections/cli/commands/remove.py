"""`costledger remove`: forget a workflow, for now or for good."""

from __future__ import annotations

import click

from ledger.errors import InvalidInput
from ledger.maintenance.removal import put_back, removed_ledger
from ledger.text import counted
from projections.cli.options import data_option, history_option, json_option, workflow_argument
from projections.cli.output.text import print_json
from projections.cli.session import exit_code, opened
from projections.cli.workflow_ids import existing_id
from projections.documents.removals import put_back_document, removal_document
from projections.replay.removal import remove, replicas_of


@click.command("remove")
@workflow_argument
@click.option("--purge", is_flag=True, help="Erase its bytes; this cannot be undone.")
@click.option("--yes", is_flag=True, help="Erase them; without it, --purge only shows what it would erase.")
@click.option("--undo", is_flag=True, help="Put back what was removed and not purged.")
@json_option
@history_option
@data_option
def remove_command(workflow_id: str, purge: bool, yes: bool, undo: bool, as_json: bool) -> int:
    """Remove a workflow: its row and sums go, and no import brings it back.

    Its ledger is set aside in the data directory, and --undo puts it back. With --purge its bytes are erased from the
    ledger, caches, databases and spool of the data directory; what remains is the number of its events, its last hash,
    and digests of its ids. Replicas, backups and the logs it was read from are not touched.
    """
    if undo and purge:
        raise InvalidInput("--undo puts back what was removed; what was purged is gone")
    if undo:
        return _undo(workflow_id, as_json=as_json)
    with opened(up_to_date=False, shared_too=True) as session:
        aside = removed_ledger(session.data, workflow_id).exists()
        workflow_id = workflow_id if purge and aside else existing_id(workflow_id)
        if purge and not yes:
            return _print_plan(workflow_id, replicas_of(session.data, workflow_id))
        done = remove(session.ledgers, session.history, workflow_id, purge=purge)
        if as_json:
            print_json(removal_document(workflow_id, done))
            return 0
        events, digits = counted(done.tombstone.events, "event"), done.tombstone.hash[:12]
        if purge:
            click.echo(f"{workflow_id}: {events} erased, head {digits}…; no import brings them back")
        else:
            back = f"costledger remove --undo -- {workflow_id}"
            click.echo(f"{workflow_id}: {events} removed, head {digits}…; to put it back: {back}")
        for where in done.replicas:
            click.echo(f"{where} keeps its lines: a replica never deletes any")
        if session.history.shared:
            click.echo(f"{session.where} keeps its row: projectors make it of the replica's lines")
        for path in done.still_named_in:
            click.echo(f"{path} still names it or a session of it")
        if purge:
            click.echo("backups of the data directory and the logs that it was read from are as they were")
        return exit_code(session.problems)


def _undo(workflow_id: str, *, as_json: bool) -> int:
    with opened(up_to_date=False, shared_too=True) as session:
        put_back(session.ledgers, workflow_id)
    with opened(workflow_ids=[workflow_id]) as session:
        if as_json:
            print_json(put_back_document(workflow_id, session.history.row(workflow_id)))
        else:
            click.echo(f"{workflow_id} counts again")
        return exit_code(session.problems)


def _print_plan(workflow_id: str, replicas: list[str]) -> int:
    click.echo(f"would erase {workflow_id}: its ledger and what caches, databases and the spool have of it")
    for where in replicas:
        click.echo(f"{where} would keep its lines")
    click.echo(f"this cannot be undone: costledger remove --purge --yes -- {workflow_id}")
    return 0
