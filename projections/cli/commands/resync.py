"""`costledger resync`: read the sources again and replay."""

from __future__ import annotations

from contextlib import nullcontext

import click

from ledger.events import money
from ledger.importing.import_report import ImportReport
from ledger.importing.source_registry import SourceRegister
from ledger.text import counted
from projections.cli.options import complete_workflow, config_option, data_option, history_option, json_option, prices
from projections.cli.output.changes import print_report
from projections.cli.output.progress import progress_bar
from projections.cli.output.text import print_json
from projections.cli.session import exit_code, opened, report_problems, report_writes
from projections.cli.workflow_ids import whole_id
from projections.documents.changes import resync_document
from projections.folding.cost_words import cost_before
from projections.replay.dry_run import copied
from projections.replay.refresh import RefreshReport
from projections.replay.resync import resync_sources

__all__ = []


@click.command("resync")
@click.argument("workflow_id", metavar="[ID]", required=False, shell_complete=complete_workflow)
@click.option("--force", is_flag=True, help="Show pure replay, also for running workflows.")
@click.option("--dry-run", is_flag=True, help="Change nothing; list each cost that would change.")
@json_option
@history_option
@config_option
@data_option
def resync_command(workflow_id: str | None, force: bool, dry_run: bool, as_json: bool) -> int:
    """Read the sources again, append what is new, and replay: one workflow, or all ended ones.

    With --force every row shows pure replay, and rows without a ledger are removed.
    """
    workflow_id = None if workflow_id is None else whole_id(workflow_id)
    with opened(up_to_date=False, reads=dry_run) as session, progress_bar("reading sources") as progress:
        tried = copied(session.ledgers, session.history) if dry_run else nullcontext(session)
        with tried as on:
            done = resync_sources(
                on.ledgers,
                on.history,
                SourceRegister(session.data),
                workflow_id=workflow_id,
                force=force,
                prices=prices(),
                progress=progress,
                application=session.application,
                preview=dry_run,
            )
        if session.application is not None and done.copied is not None:
            report_writes(session.application, done.copied)
    report, imported = done.report, done.imported
    report_problems(report.problems)
    for name, error in imported.problems:
        click.echo(f"costledger: {name}: {error}", err=True)
    if as_json:
        print_json(resync_document(done, dry_run=dry_run))
    elif dry_run:
        _print_preview(report, imported)
    else:
        print_report(report, imported)
    return exit_code(report.problems) or (1 if imported.problems else 0)


def _print_preview(report: RefreshReport, imported: ImportReport) -> None:
    for change in report.changes:
        old = f"${money.to_wire(change.old_nanousd)}" if change.old_nanousd else cost_before(None)
        click.echo(f"{change.adw_id}: {old} → ${money.to_wire(change.new_nanousd)}")
    appends = f"; the sources hold {counted(imported.appended, 'new event')}" if imported.appended else ""
    click.echo(f"{counted(len(report.changes), 'cost')} would change{appends}; nothing was changed")
