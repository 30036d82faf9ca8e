"""`salvage`: keep what still verifies of a damaged ledger."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import click

from ledger.errors import DamagedLedger, NothingToSalvage
from ledger.events import money
from ledger.maintenance.salvage import LeftOut, Salvage, salvage, salvaged_before
from ledger.text import counted
from projections.cli.options import data_option, history_option, json_option, workflow_argument
from projections.cli.output.console import console
from projections.cli.output.tables import Table
from projections.cli.output.text import plain, print_json
from projections.cli.session import CommandSession, exit_code, opened, report_problems
from projections.cli.workflow_ids import whole_id
from projections.folding.cost_words import row_cost
from projections.replay.refresh import refresh

_LEFT_OUT_SHOWN_MAX: Final = 20
"""A ledger that was appended to itself has as many as it has lines."""


@click.command("salvage")
@workflow_argument
@json_option
@history_option
@data_option
def salvage_command(workflow_id: str, as_json: bool) -> int:
    """Make a new ledger of the lines that still verify; the damaged file stays in the same folder."""
    workflow_id = whole_id(workflow_id)
    with opened(up_to_date=False) as session:
        before = session.history.row(workflow_id)
        done = _salvaged(session, workflow_id)
        session.history.forget(workflow_id)
        report = refresh(session.ledgers, session.history, workflow_ids=[workflow_id], pure=True, reason="salvage")
        after = session.history.row(workflow_id)
    report_problems(report.problems)
    old, new = ("unknown" if row is None else row_cost(row) for row in (before, after))
    if as_json:
        costs = {"old_cost": before, "new_cost": after}
        shown = {name: None if row is None else money.to_wire(row.actual_cost_nanousd) for name, row in costs.items()}
        print_json({**asdict(done), **shown})
        return exit_code(report.problems)
    click.echo(
        f"{counted(done.kept, 'event')} recovered, {counted(len(done.left_out), 'line')} left out; "
        f"the damaged file is {done.damaged}"
    )
    _print(done.left_out)
    click.echo(f"its row showed {old}, and shows {new} now")
    return exit_code(report.problems)


def _salvaged(session: CommandSession, workflow_id: str) -> Salvage:
    """The salvage done now, or the one that ended before it came to the row: no row was folded from its ledger yet.

    Raises:
        NothingToSalvage, and what else `salvage` raises.
    """
    try:
        return salvage(session.ledgers, workflow_id)
    except NothingToSalvage:
        checkpoint = session.history.checkpoints({workflow_id}).get(workflow_id)
        if checkpoint is None:
            raise
        try:
            session.ledgers.read(workflow_id, checkpoint=checkpoint)
        except DamagedLedger:
            done = salvaged_before(session.ledgers, workflow_id, checkpoint)
            if done is not None:
                click.echo("costledger: it was salvaged before, and its row was not replayed yet", err=True)
                return done
        raise


def _print(left_out: list[LeftOut]) -> None:
    if not left_out:
        return
    shown = Table(
        "left out", "line", "byte", "bytes", "why", right=("line", "byte", "bytes"), prose=("why",), dropped=("bytes",)
    )
    for lost in left_out[:_LEFT_OUT_SHOWN_MAX]:
        shown.add_row(f"{lost.line:,}", f"{lost.byte:,}", f"{lost.size_bytes:,}", plain(lost.problem))
    shown.print(console())
    if len(left_out) > _LEFT_OUT_SHOWN_MAX:
        click.echo(f"… and {len(left_out) - _LEFT_OUT_SHOWN_MAX:,} more; --json lists them all")
