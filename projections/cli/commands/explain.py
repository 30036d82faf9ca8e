"""`costledger explain`: each event that moved the cost of a workflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from ledger.errors import DamagedLedger, UnknownWorkflow
from ledger.events import money
from ledger.text import counted
from projections.cli.numbers import Whole
from projections.cli.options import (
    credentials_option,
    data_option,
    history_option,
    json_option,
    replica_option,
    workflow_argument,
)
from projections.cli.output.console import console
from projections.cli.output.costs import print_unpriced, unpriced_of
from projections.cli.output.tables import Table
from projections.cli.output.text import (
    batches,
    local_time,
    location,
    plain,
    print_json_list,
    short_ids,
)
from projections.cli.session import exit_code, opened
from projections.cli.workflow_ids import whole_id
from projections.cli.workflow_lines import workflow_lines
from projections.documents.steps import moves_document, step_document
from projections.folding.explain import OTHER_STEPS, Step, steps
from projections.folding.moves import moved_from, moved_to
from projections.folding.row import Row
from projections.projector.row_lines import RowLines

__all__ = ["steps_table"]


@click.command("explain")
@workflow_argument
@click.option("--after", type=Whole(0), default=0, metavar="SEQ", help="Only those after this event.")
@click.option("--limit", type=Whole(1), metavar="N", help="So many of them at most [default: all].")
@replica_option("--from")
@credentials_option
@json_option
@history_option
@data_option
def explain_command(
    workflow_id: str, after: int, limit: int | None, replica_name: str | None, credentials: str | None, as_json: bool
) -> int:
    """List each event that moved a workflow's cost: from what to what, why, and where it was read.

    A row that projectors fold from several hosts' ledgers is explained from the chains of all of them, in the shared
    engine that --from names.
    """
    workflow_id = whole_id(workflow_id)
    with opened(workflow_ids=[workflow_id]) as session:
        if any(isinstance(problem.error, UnknownWorkflow | DamagedLedger) for problem in session.problems):
            return exit_code(session.problems)
        with workflow_lines(session, workflow_id, replica_name, credentials) as lines:
            asked, found = _Steps(lines, after, limit), session.history.row(workflow_id)
            if as_json:
                print_json_list(
                    "steps", (step_document(step) for step in asked), lambda: asked.rest(found, workflow_id)
                )
                return exit_code(session.problems)
            out = console()
            for batch in batches(asked):
                steps_table(batch, location, out).print(out)
        _print_sum(workflow_id, asked, found, out)
        return exit_code(session.problems)


class _Steps:
    """The steps that are asked for, one at a time. Iterate once; the attributes are set by then.

    Attributes:
        count: how many of them moved the cost.
        cost_nanousd: the workflow's cost after the last of them.
        next: `--after` of those that follow; None when none do.
        read: the number of events that were read for them.
    """

    def __init__(self, lines: RowLines, after: int, limit: int | None) -> None:
        self.lines, self.after, self.limit = lines, after, limit
        self.count = self.cost_nanousd = 0
        self.next: int | None = None
        self.read = 0

    def __iter__(self) -> Iterator[Step]:
        found, last = steps(self.lines.typed_chunks(), after=self.after), self.after
        for step in islice(found, self.limit):
            self.count += step.type not in OTHER_STEPS
            self.cost_nanousd, last = step.to_nanousd or 0, step.seq
            yield step
        following = None if self.limit is None else next(found, None)
        if following is not None:
            self.next = last
        self.read = self.lines.head.seq if following is None else following.seq

    @property
    def are_all(self) -> bool:
        """Return whether no step comes before or after them."""
        return not self.after and self.next is None

    def rest(self, row: Row | None, workflow_id: str) -> dict[str, Any]:
        """Return the fields of the document after the steps."""
        return {"adw_id": workflow_id, "event_count": self.read, "next": self.next, **moves_document(row)}


def _print_sum(workflow_id: str, asked: _Steps, found: Row | None, out: Console) -> None:
    """Print what the steps above are, and what the row has in addition."""
    head = asked.lines.head
    if asked.are_all:
        click.echo(f"{workflow_id}: {asked.count:,} of {counted(head.seq, 'event')} moved its cost")
    else:
        after = f" after number {asked.after:,}" if asked.after else ""
        of = f"; it has {counted(head.seq, 'event')}" if asked.after > head.seq else ""
        click.echo(f"{workflow_id}: {counted(asked.count, 'event')}{after} moved its cost{of}")
    if asked.next is not None:
        click.echo(f"the next ones: costledger explain --after {asked.next} --limit {asked.limit} -- {workflow_id}")
    if found is None or not asked.are_all:
        return
    print_unpriced(out, found.actual_cost_nanousd, unpriced_of([found]))
    came, went = moved_from(found), moved_to(found)
    for name, nanousd in came.items():
        click.echo(f"and {money.shown(nanousd)} was moved here from {name}: costledger explain -- {name}")
    for name, nanousd in went.items():
        click.echo(f"{money.shown(nanousd)} of it counts in {name}: costledger explain -- {name}")
    own = asked.cost_nanousd + sum(came.values()) - sum(went.values())
    # A row that was written since, from more lines, differs for that reason.
    if found.ledger_hash == head.hash and found.actual_cost_nanousd != own:
        shown = money.shown(found.actual_cost_nanousd)
        click.echo(f"The row shows {shown}: another program stored that, and a running row's cost never falls.")


_LONG_IDS_COLUMNS: Final = 120
"""From this width on a meter's ids are shown whole: they are in sentences, which fold."""


def steps_table(moved: list[Step], spelled: Callable[[str | None, int | None], str], out: Console) -> Table:
    """Return steps as a table that fits a narrow terminal: what, why and where, one below the other."""
    reason = "meter, why, read from"
    shown = Table(
        None,
        *("seq", "when", "from", "to", reason),
        right=("seq", "from", "to"),
        whole=("when",),
        prose=(reason,),
        dropped=("when", "from", "seq"),
    )
    for step in moved:
        accepted = step.type in OTHER_STEPS
        meter = step.meter if out.width >= _LONG_IDS_COLUMNS else short_ids(step.meter)
        shown.add_row(
            f"{step.seq}",
            local_time(step.observed_at or step.recorded_at),
            "" if accepted else "nothing" if step.from_nanousd is None else money.shown(step.from_nanousd),
            "" if accepted else money.shown(step.to_nanousd),
            Text.assemble(f"{plain(meter)}\n{plain(step.why)}\n", (plain(spelled(step.file, step.line)), "dim")),
        )
    return shown
