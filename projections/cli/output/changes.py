"""Changed costs, as text and JSON."""

from __future__ import annotations

import click

from ledger.events import money
from ledger.importing.import_report import ImportReport
from ledger.text import counted
from projections.cli.output.console import console, styled_status
from projections.cli.output.tables import Id, Table
from projections.folding.cost_words import cost_before
from projections.history.store import CostChange
from projections.replay.refresh import Accepted, RefreshReport

__all__ = ["print_accepted", "print_changes", "print_report"]


def print_report(report: RefreshReport, imported: ImportReport) -> None:
    """Print what a resync did."""
    click.echo(
        f"{counted(imported.appended, 'event')} appended from the sources of "
        f"{counted(len(imported.workflows), 'workflow')}; "
        f"{counted(len(report.folded), 'workflow')} replayed, {len(report.changes):,} changed"
    )
    print_changes(report.changes)
    print_accepted(report.accepted)


def print_accepted(accepted: list[Accepted]) -> None:
    """Print the rows that a ledger decided although it lost something, a line each."""
    for one in accepted:
        click.echo(
            f"{one.workflow_id}: its ledger no longer holds what its row was folded from ({one.problem}); "
            f"accepted as it is: {cost_before(one.old_nanousd)} before, {money.shown(one.new_nanousd)} now"
        )


def print_changes(changes: list[CostChange]) -> None:
    """Print the old and the new cost of each row that changed."""
    if changes:
        figures = ("old cost", "new cost")
        shown = Table(None, "workflow", *figures, "status", right=figures, whole=("status",), dropped=("status",))
        for change in changes:
            old = cost_before(change.old_nanousd)
            shown.add_row(Id(change.adw_id), old, money.shown(change.new_nanousd), styled_status(change.status))
        shown.print(console())
