"""`history`, `show` and `explain`: read rows and reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
import orjson
from rich.table import Table
from rich.text import Text

from ledger import clock, money
from ledger.errors import InvalidInput, UnknownWorkflow
from ledger.events import Line
from ledger.reader import LedgerReader
from projections.cli.context import data_option, history_option, json_option, store, workflow_argument
from projections.cli.output import console, local_time, place, plain, print_json, short_ids, styled_status, table
from projections.cli.session import Session, exit_code, opened
from projections.cli.unpriced import print_unpriced, unpriced_of
from projections.explain import Step, steps
from projections.fold import fold, initial
from projections.workflow_history import Row, row

_BASIS = {
    "reported": "reported: every dollar was reported by the provider or its CLI",
    "priced": "priced: some part was priced from tokens",
    "partial": "partial: at least this; some usage has no price or is known to be incomplete",
    None: "no reading yet",
}
_EMPTY = "no workflows in {data} yet; `costledger import adw PATH` reads agents' output, `costledger demo` shows how"


@click.command("history")
@click.option("--status", type=click.Choice(["running", "completed", "failed", "cancelled"]), help="Only these.")
@click.option("--limit", type=click.IntRange(min=1), help="The last so many.")
@json_option
@history_option
@data_option
def history_command(status: str | None, limit: int | None, as_json: bool) -> int:
    """All workflows and what they cost, the latest last."""
    with opened() as session:
        rows = [found for found in session.history.rows() if status in (None, found.status)]
        rows = sorted(rows, key=lambda found: (found.updated_at, found.adw_id))[-(limit or 0) :]
        if as_json:
            print_json([as_json_row(found) for found in rows])
        elif rows:
            _print_history(rows)
        else:
            click.echo(_EMPTY.format(data=session.data))
        return exit_code(session.problems)


def as_json_row(found: Row) -> dict[str, Any]:
    """A row with its breakdowns as objects."""
    parsed = {name: orjson.loads(getattr(found, name)) for name in ("cost_breakdown", "token_breakdown")}
    return asdict(found) | parsed


_NARROW_COLUMNS = 110
"""Below this width the history leaves out what `show` tells too."""


def _print_history(rows: list[Row]) -> None:
    out = console()
    narrow = out.width < _NARROW_COLUMNS
    columns = ("workflow", "issue", "status", "cost", "basis", "tokens")
    more = () if narrow else ("cached", "model", "updated")
    shown = table(
        None, *columns, *more, right=("issue", "cost", "tokens", "cached"), whole=("status", "basis", "updated")
    )
    for found in rows:
        cells: list[str | Text] = [
            found.adw_id,
            "" if found.issue_number is None else f"#{found.issue_number}",
            styled_status(found.status),
            money.shown(found.actual_cost_nanousd),
            found.cost_basis or "none",
            f"{found.total_tokens:,}",
            f"{found.cache_efficiency_percent:.0f} %",
            found.model_used or "",
            local_time(found.updated_at)[:-3],
        ]
        shown.add_row(*cells[: len(columns) + len(more)])
    shown.add_section()
    cost = sum(found.actual_cost_nanousd for found in rows)
    total = money.shown(cost)
    tokens = f"{sum(found.total_tokens for found in rows):,}"
    shown.add_row(f"{len(rows):,} workflows", "", "", Text(total, style="bold"), "", tokens)
    out.print(shown)
    print_unpriced(out, cost, unpriced_of(rows))


@click.command("show")
@workflow_argument
@click.option("--as-of", metavar="TIME|SEQ", help="What the ledger said then: a time, or an event's number.")
@json_option
@history_option
@data_option
def show_command(workflow_id: str, as_of: str | None, as_json: bool) -> int:
    """One workflow: its cost, where it came from, and how far it can be trusted."""
    with opened(workflow_ids=[workflow_id]) as session:
        found = _row_as_of(session, workflow_id, as_of) if as_of else session.history.row(workflow_id)
        if found is None:
            if session.problems:
                return exit_code(session.problems)
            raise UnknownWorkflow(workflow_id, session.data)
        if as_json:
            print_json(as_json_row(found))
        else:
            _print_row(found)
        return exit_code(session.problems)


def _row_as_of(session: Session, workflow_id: str, as_of: str) -> Row:
    reader, state = session.ledgers.read(workflow_id), initial(workflow_id)
    head = reader.head
    for line in _until(reader, as_of):
        fold(state, line)
        head = reader.head
    if not head.seq:
        raise InvalidInput(f"ledger {workflow_id!r} has nothing as early as {as_of}")
    return row(state, head)


def _until(reader: LedgerReader, as_of: str) -> Iterator[Line]:
    """The lines up to a seq, or recorded up to a time; a time without a zone is the local one's."""
    if as_of.isascii() and as_of.isdigit():
        seq = int(as_of)
        return (line for line in reader if line["seq"] <= seq)
    try:
        moment = clock.parse(datetime.fromisoformat(as_of).astimezone())
    except (ValueError, OverflowError):
        raise InvalidInput(f"--as-of {as_of!r}: give an event's number or a time such as 2026-11-23T18:33") from None
    return (line for line in reader if line["recorded_at"] <= moment)


def _print_row(found: Row) -> None:
    cost, out = orjson.loads(found.cost_breakdown), console()
    issue = "" if found.issue_number is None else f" · issue #{found.issue_number}"
    template = f" · {found.workflow_template}" if found.workflow_template else ""
    out.print(Text.assemble((found.adw_id, "bold"), issue, plain(template), " · ", styled_status(found.status)))
    total = money.shown(found.actual_cost_nanousd)
    out.print(Text.assemble("cost    ", (total, "bold"), f"  ({_BASIS[found.cost_basis]})"))
    print_unpriced(out, found.actual_cost_nanousd, unpriced_of([found]), indent=" " * 8)
    out.print(
        f"tokens  {found.total_tokens:,} = input {found.input_tokens:,} + cache writes {found.cached_tokens:,} + "
        f"cache reads {found.cache_hit_tokens:,} ({found.cache_efficiency_percent:.1f} % of input) + "
        f"output {found.output_tokens:,}"
    )
    took = "" if found.duration_seconds is None else f", {found.duration_seconds:,} s"
    out.print(f"time    {local_time(found.start_time) or 'unknown'} to {local_time(found.end_time) or 'now'}{took}")
    out.print(f"ledger  {found.event_count:,} events, head {found.ledger_hash[:12]}…")
    if found.error_message:
        out.print(f"error   {plain(found.error_message)}")
    tokens = orjson.loads(found.token_breakdown)
    for by, title in (("by_agent", "agent"), ("by_model", "model")):
        if cost[by]:
            shown = table(None, title, "cost", "tokens", right=("cost", "tokens"))
            for name, text in sorted(cost[by].items(), key=lambda part: -float(part[1])):
                counts = tokens[by].get(name, {})
                used = sum(count for bucket, count in counts.items() if bucket not in _NOT_ADDED)
                sign, usd = ("-", text[1:]) if text.startswith("-") else ("", text)
                shown.add_row(name, sign + money.shown(money.from_wire(usd)), f"{used:,}")
            out.print(shown)
    for doubt in cost.get("possible_double_counting", []):
        out.print(Text.assemble(("possible double counting", "yellow"), f": {doubt}"))
    if cost.get("unread_events"):
        unread = f"{cost['unread_events']:,} events"
        out.print(Text.assemble((unread, "yellow"), " are of a kind this version does not know; upgrade to count them"))


_NOT_ADDED = ("cache_write_1h_tokens", "web_search_requests")


@click.command("explain")
@workflow_argument
@json_option
@history_option
@data_option
def explain_command(workflow_id: str, as_json: bool) -> int:
    """Each event that moved a workflow's cost: from what to what, why, and where it was read."""
    store().read(workflow_id)  # one that is not there is told once, here
    with opened(workflow_ids=[workflow_id]) as session:
        reader = session.ledgers.read(workflow_id)
        moved = list(steps(reader))
        found = session.history.row(workflow_id)
        if as_json:
            print_json([asdict(step) for step in moved])
            return exit_code(session.problems)
        _print_steps(workflow_id, moved, reader.head.seq)
        ledger_says = moved[-1].to_nanousd if moved else 0
        if found is not None and found.actual_cost_nanousd != ledger_says:
            held = money.shown(found.actual_cost_nanousd)
            click.echo(f"The row shows {held}: somebody stored that, and a running row's cost never falls.")
        return exit_code(session.problems)


def _print_steps(workflow_id: str, moved: list[Step], events: int) -> None:
    click.echo(f"{workflow_id}: {len(moved):,} of {events:,} events moved its cost")
    console().print(steps_table(moved, place))


def steps_table(moved: list[Step], spelled: Callable[[str | None, int | None], str]) -> Table:
    """Steps as a table that fits a narrow terminal: what, why and where stand below each other."""
    shown = table(None, "seq", "when", "from", "to", "meter, why, read from", right=("seq", "from", "to"))
    for step in moved:
        shown.add_row(
            f"{step.seq}",
            local_time(step.observed_at or step.recorded_at),
            money.shown(step.from_nanousd),
            money.shown(step.to_nanousd),
            Text.assemble(f"{short_ids(step.meter)}\n{plain(step.why)}\n", (spelled(step.file, step.line), "dim")),
        )
    return shown
