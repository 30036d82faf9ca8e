"""`salvage`: keep what still verifies of a damaged ledger."""

from __future__ import annotations

from dataclasses import asdict

import click

from ledger import money
from ledger.salvage import salvage
from ledger.words import counted
from projections.cli.context import data_option, history_option, json_option, workflow_argument
from projections.cli.output import console, plain, print_json
from projections.cli.session import opened
from projections.cli.tables import Table
from projections.replay import refresh


@click.command("salvage")
@workflow_argument
@json_option
@history_option
@data_option
def salvage_command(workflow_id: str, as_json: bool) -> int:
    """Make a new ledger of the lines that still verify; the damaged file is kept beside it."""
    with opened(up_to_date=False) as session:
        before = session.history.row(workflow_id)
        done = salvage(session.ledgers, workflow_id)
        session.history.forget(workflow_id)
        refresh(session.ledgers, session.history, workflow_ids=[workflow_id], pure=True, reason="salvage")
        after = session.history.row(workflow_id)
    old, new = (money.shown(None if row is None else row.actual_cost_nanousd) for row in (before, after))
    if as_json:
        print_json({**asdict(done), "cost_before": old, "cost_after": new})
        return 0
    click.echo(
        f"{counted(done.kept, 'event')} kept, {counted(len(done.left_out), 'line')} left out; "
        f"the damaged file is {done.damaged}"
    )
    shown = Table(
        "left out", "line", "byte", "bytes", "why", right=("line", "byte", "bytes"), prose=("why",), dropped=("bytes",)
    )
    for lost in done.left_out:
        shown.add_row(f"{lost.line:,}", f"{lost.byte:,}", f"{lost.size_bytes:,}", plain(lost.problem))
    shown.print(console())
    click.echo(f"its row showed {old}, and shows {new} now")
    return 0
