"""`stale`: rows that may be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from ledger import money
from ledger.errors import CostledgerError
from ledger.register import SourceRegister
from ledger.sources import source
from ledger.sources.findings import Options
from projections.applications.doubts import doubts_of_copies
from projections.cli.context import data_option, history_option, json_option
from projections.cli.output import print_json
from projections.cli.session import exit_code, opened
from projections.cli.tables import Id, Table
from projections.cli.terminal import console, styled_status
from projections.stale import stale


@click.command("stale")
@click.option("--idle-hours", type=click.FloatRange(min=0), default=6.0, show_default=True, help="Running, but silent.")
@json_option
@history_option
@data_option
def stale_command(idle_hours: float, as_json: bool) -> int:
    """Rows that may be wrong, why, and what to do; `verify` proves, this suspects."""
    with opened() as session:
        rows, now = session.history.rows(), datetime.now(UTC)
        found = list(stale(rows, now=now, idle=timedelta(hours=idle_hours), changed_at=dict(_changed_at(session.data))))
        found += doubts_of_copies(rows, session.compared(rows), session.where_copied, now=now)
    if as_json:
        print_json([asdict(doubt) for doubt in found])
    elif found:
        shown = Table(
            None,
            "workflow",
            "status",
            "cost",
            "why",
            "next step",
            right=("cost",),
            whole=("status",),
            prose=("why", "next step"),
            dropped=("status",),
        )
        for doubt in found:
            status, cost = styled_status(doubt.status), money.shown(doubt.cost_nanousd)
            shown.add_row(Id(doubt.adw_id), status, cost, doubt.why, doubt.next_step)
        shown.print(console())
    else:
        click.echo("no row looks wrong")
    return exit_code(session.problems)


def _changed_at(data: Path) -> Iterator[tuple[str, datetime]]:
    """When the newest file of each workflow's remembered sources was written."""
    newest: dict[str, float] = {}
    for entry in SourceRegister(data).entries():
        try:
            parts = source(entry.kind).parts(Path(entry.path), Options(entry.workflow_id, entry.agent, entry.map))
        except CostledgerError:
            continue  # gone, and it takes nothing away
        for part in parts:
            newest[part.workflow_id] = max(newest.get(part.workflow_id, 0.0), part.written_at)
    for workflow_id, written_at in newest.items():
        if written_at:
            yield workflow_id, datetime.fromtimestamp(written_at, UTC)
