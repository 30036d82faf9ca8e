"""`refresh` and `resync`: bring rows up to date."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from ledger import money
from ledger.importing import ImportReport
from ledger.register import SourceRegister
from ledger.words import counted
from ledger.workers import processes_at_hand
from projections.cli.context import config_option, data_option, history_option, json_option, prices
from projections.cli.output import print_json
from projections.cli.progress import progress_bar
from projections.cli.session import exit_code, log_changes, opened, tell
from projections.cli.tables import Id, Table
from projections.cli.terminal import console, styled_status
from projections.replay import Accepted, RefreshReport, refresh
from projections.rereading import resync_sources
from projections.store import CostChange

_insert_missing = click.option(
    "--insert-missing", is_flag=True, help="With --history: also insert rows that the application's table lacks."
)


@click.command("refresh")
@_insert_missing
@json_option
@history_option
@data_option
def refresh_command(as_json: bool, insert_missing: bool) -> int:
    """Replay the ledgers that changed since they were last read."""
    log_changes()
    with opened(up_to_date=False, insert_missing=insert_missing) as session:
        report = refresh(session.ledgers, session.history, processes=processes_at_hand())
    tell(report.problems)
    if as_json:
        print_json(as_json_report(report))
    else:
        click.echo(f"{counted(len(report.folded), 'workflow')} replayed, {report.unchanged:,} unchanged")
    return exit_code(report.problems)


@click.command("resync")
@click.argument("workflow_id", metavar="[ID]", required=False)
@click.option("--force", is_flag=True, help="Show pure replay, also for running workflows.")
@_insert_missing
@json_option
@history_option
@config_option
@data_option
def resync_command(workflow_id: str | None, force: bool, insert_missing: bool, as_json: bool) -> int:
    """Read the sources again, append what is new, and replay: one workflow, or all ended ones.

    With --force every row shows pure replay, and rows that no ledger stands behind are removed.
    """
    with (
        opened(up_to_date=False, insert_missing=insert_missing) as session,
        progress_bar("reading sources") as progress,
    ):
        done = resync_sources(
            session.ledgers,
            session.history,
            SourceRegister(session.data),
            workflow_id=workflow_id,
            force=force,
            prices=prices(),
            progress=progress,
        )
    report, imported = done.report, done.imported
    tell(report.problems)
    for name, error in imported.problems:
        click.echo(f"costledger: {name}: {error}", err=True)
    if as_json:
        print_json(as_json_report(report) | {"appended": imported.appended, "skipped": len(imported.skipped)})
    else:
        _print(report, imported)
    return exit_code(report.problems) or (1 if imported.problems else 0)


def as_json_report(report: RefreshReport) -> dict[str, Any]:
    return {
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
        old = "no row" if one.old_nanousd is None else money.shown(one.old_nanousd)
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
            old = "no row" if change.old_nanousd is None else money.shown(change.old_nanousd)
            shown.add_row(Id(change.adw_id), old, money.shown(change.new_nanousd), styled_status(change.status))
        shown.print(console())
