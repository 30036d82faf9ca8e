"""`refresh` and `resync`: bring rows up to date."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import click

from ledger.events import money
from ledger.importing.importer import ImportReport
from ledger.importing.source_registry import SourceRegister
from ledger.storage.parallel import processes_at_hand
from ledger.text import counted
from projections.applications.table import Writes
from projections.cli.options import complete_workflow, config_option, data_option, history_option, json_option, prices
from projections.cli.output.console import console, styled_status
from projections.cli.output.progress import progress_bar
from projections.cli.output.tables import Id, Table
from projections.cli.output.text import print_json
from projections.cli.session import exit_code, log_changes, opened, report_writes, tell
from projections.cli.workflow_ids import whole_id
from projections.folding.cost_words import cost_before
from projections.history.store import CostChange
from projections.replay.dry_run import tried_out
from projections.replay.refresh import Accepted, RefreshReport, refresh
from projections.replay.resync import merged, resync_sources


@click.command("refresh")
@json_option
@history_option
@data_option
def refresh_command(as_json: bool) -> int:
    """Replay the ledgers that changed since they were last read."""
    log_changes()
    with opened(up_to_date=False) as session:
        report = refresh(session.ledgers, session.history, processes=processes_at_hand())
        copied = session.write_copies(pure=False, reason="refresh")
        report.changes = merged(report.changes, copied)
    tell(report.problems)
    if as_json:
        print_json(as_json_report(report, copied if session.application else None))
    else:
        done = f"{counted(len(report.folded), 'workflow')} replayed, {report.unchanged:,} unchanged"
        rows = counted(len(copied.rows), "row")
        click.echo(f"{done}, {rows} of {session.where_copied} changed" if session.application else done)
    return exit_code(report.problems)


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

    With --force every row shows pure replay, and rows that no ledger stands behind are removed.
    """
    workflow_id = None if workflow_id is None else whole_id(workflow_id)
    with opened(up_to_date=False, reads=dry_run) as session, progress_bar("reading sources") as progress:
        tried = tried_out(session.ledgers, session.history) if dry_run else nullcontext(session)
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
    tell(report.problems)
    for name, error in imported.problems:
        click.echo(f"costledger: {name}: {error}", err=True)
    if as_json:
        counts = {"appended": imported.appended, "skipped": len(imported.skipped), "dry_run": dry_run}
        print_json(as_json_report(report, done.copied) | counts)
    elif dry_run:
        _print_preview(report, imported)
    else:
        _print(report, imported)
    return exit_code(report.problems) or (1 if imported.problems else 0)


def _print_preview(report: RefreshReport, imported: ImportReport) -> None:
    for change in report.changes:
        exact = f"${money.to_wire(change.old_nanousd)}" if change.old_nanousd else cost_before(0)
        old = "no row" if change.old_nanousd is None else exact
        click.echo(f"{change.adw_id}: {old} → ${money.to_wire(change.new_nanousd)}")
    appends = f"; the sources hold {counted(imported.appended, 'new event')}" if imported.appended else ""
    click.echo(f"{counted(len(report.changes), 'cost')} would change{appends}; nothing was changed")


def as_json_report(report: RefreshReport, copied: Writes | None) -> dict[str, Any]:
    """A report as JSON.

    Args:
        copied: what was written to the application's table; None without one.
    """
    application = None
    if copied is not None:
        backup = None if copied.backup is None else str(copied.backup)
        application = {"rows": copied.rows, "waiting": copied.waiting, "backup": backup}
    return {
        "application": application,
        "resynced_count": len(report.folded),
        "workflows": report.folded,
        "unchanged": report.unchanged,
        "changes": [
            {
                "adw_id": change.adw_id,
                "old_cost": None if change.old_nanousd is None else float(money.to_wire(change.old_nanousd)),
                "new_cost": float(money.to_wire(change.new_nanousd)),
                "status": change.status,
                "reason": change.reason,
            }
            for change in report.changes
        ],
        "accepted": [asdict(accepted) for accepted in report.accepted],
        "errors": [f"{problem.workflow_id}: {problem.error}" for problem in report.problems],
    }


def _print(report: RefreshReport, imported: ImportReport) -> None:
    click.echo(
        f"{counted(imported.appended, 'event')} appended from the sources of "
        f"{counted(len(imported.workflows), 'workflow')}; "
        f"{counted(len(report.folded), 'workflow')} replayed, {len(report.changes):,} changed"
    )
    print_changes(report.changes)
    print_accepted(report.accepted)


def print_accepted(accepted: list[Accepted]) -> None:
    """Rows that a ledger decided although it lost something, a line each."""
    for one in accepted:
        old = "no row" if one.old_nanousd is None else cost_before(one.old_nanousd)
        click.echo(
            f"{one.workflow_id}: its ledger no longer holds what its row was folded from ({one.problem}); "
            f"accepted as it stands: {old} before, {money.shown(one.new_nanousd)} now"
        )


def print_changes(changes: list[CostChange]) -> None:
    """Old and new cost of each row that changed."""
    if changes:
        figures = ("old cost", "new cost")
        shown = Table(None, "workflow", *figures, "status", right=figures, whole=("status",), dropped=("status",))
        for change in changes:
            old = "no row" if change.old_nanousd is None else cost_before(change.old_nanousd)
            shown.add_row(Id(change.adw_id), old, money.shown(change.new_nanousd), styled_status(change.status))
        shown.print(console())
