"""Changed costs, as text and JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from ledger.events import money
from ledger.importing.import_report import ImportReport
from ledger.text import counted
from projections.applications.table import Writes
from projections.cli.output.console import console, styled_status
from projections.cli.output.tables import Id, Table
from projections.folding.cost_words import cost_before
from projections.history.store import CostChange
from projections.replay.refresh import Accepted, RefreshReport

__all__ = ["as_json_report", "print_accepted", "print_changes", "print_report"]


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


def print_report(report: RefreshReport, imported: ImportReport) -> None:
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
