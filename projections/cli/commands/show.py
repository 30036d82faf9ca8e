"""`costledger show`: one workflow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from operator import add
from typing import Final, Literal

import click
import orjson
from rich.console import Console
from rich.text import Text

from ledger.errors import InvalidInput, UnknownWorkflow
from ledger.events import money, timestamps
from ledger.events.event import Line
from ledger.storage.line import EMPTY
from ledger.text import counted
from projections.cli.commands.history import titled_row_document
from projections.cli.options import (
    config_option,
    config_path,
    credentials_option,
    data_option,
    history_option,
    idle_after,
    json_option,
    replica_option,
    tag_rules,
    workflow_argument,
)
from projections.cli.output.agents import agent_name
from projections.cli.output.console import BUDGET_STYLES, console, styled_status
from projections.cli.output.costs import print_unpriced, row_cost, shown_cost, unpriced_of
from projections.cli.output.tables import Table
from projections.cli.output.text import (
    duration,
    local_time,
    plain,
    print_json,
)
from projections.cli.parsing import moment_named
from projections.cli.session import exit_code, opened
from projections.cli.workflow_ids import whole_id
from projections.cli.workflow_lines import workflow_lines
from projections.folding.breakdown import UNATTRIBUTED
from projections.folding.fold import fold, initial
from projections.folding.moves import moved_from, moved_to
from projections.folding.row import HELD, Row, row, spend
from projections.folding.spend import AMOUNTS, Amounts, Spend
from projections.history.idle import is_idle, is_moved, open_seconds
from projections.projector.row_lines import RowLines
from projections.reports.budgets import Budgets, budget_status, configured_budgets
from projections.reports.spend_report import total_tokens
from projections.reports.tags import TAGGED_BY, tags_of

__all__ = []

_SEQ_DIGITS: Final = 18

_BASIS = {
    "reported": "reported: every dollar was given by a provider, a tool or a person; none was priced from tokens",
    "priced": "priced: some part was priced from tokens",
    "partial": "partial: ≥ means at least; some usage has no price or is incomplete",
}


@click.command("show")
@workflow_argument
@click.option("--as-of", metavar="TIME|SEQ", help="The row as it was then: a time, or an event's number.")
@replica_option("--from")
@credentials_option
@json_option
@history_option
@config_option
@data_option
def show_command(
    workflow_id: str, as_of: str | None, replica_name: str | None, credentials: str | None, as_json: bool
) -> int:
    """Show one workflow: its cost, where it came from, and how far it can be trusted."""
    workflow_id, budgets = whole_id(workflow_id), configured_budgets(config_path())
    with opened(workflow_ids=[workflow_id]) as session:
        found, spent = session.history.row(workflow_id), session.history.spend(workflow_id)
        if as_of:
            with workflow_lines(session, workflow_id, replica_name, credentials) as lines:
                found, spent = _as_of(lines, workflow_id, as_of, session.history.row(workflow_id))
        if found is None:
            if session.problems:
                return exit_code(session.problems)
            raise UnknownWorkflow(workflow_id, session.where)
        idle = not as_of and is_idle(found, datetime.now(UTC), idle_after())  # a question of now
        copy = None if as_of else session.compared([found]).get(workflow_id)
        title = None if as_of else session.titles([found]).get(workflow_id)
        if as_json:
            print_json(titled_row_document(found, budgets, copy, title, idle=idle))
        else:
            stored = "" if copy is None or not copy.differs else f"{copy} in {session.where_copied}"
            _print_row(found, spent, stored, title, budgets, idle=idle)
        return exit_code(session.problems)


def _as_of(lines: RowLines, workflow_id: str, as_of: str, now: Row | None) -> tuple[Row, tuple[Spend, ...]]:
    if now is not None and (connected := [*moved_from(now), *moved_to(now)]):
        said = f"its own ledger alone, without moves; now it is connected with {', '.join(connected)}"
        click.echo(f"costledger: {workflow_id} as of {as_of} is {said}", err=True)
    state, head = initial(workflow_id), EMPTY
    for line in _until(lines, as_of):
        fold(state, line)
        head = lines.head
    if not head.seq:
        raise InvalidInput(f"ledger {workflow_id!r} has nothing as early as {as_of}")
    if _is_seq(as_of) and int(as_of) > head.seq:
        raise InvalidInput(
            f"--as-of {as_of}: {workflow_id} has {counted(head.seq, 'event')}; a day is given as 2026-11-23"
        )
    return row(state, head), spend(state)


def _is_seq(as_of: str) -> bool:
    return as_of.isascii() and as_of.isdigit() and len(as_of) <= _SEQ_DIGITS


def _until(lines: RowLines, as_of: str) -> Iterator[Line]:
    """The lines up to a seq, or recorded up to a time; a time without a zone is the local one's."""
    if _is_seq(as_of):
        seq = int(as_of)
        return (line for line in lines if line["seq"] <= seq)
    moment = timestamps.to_wire(moment_named("--as-of", as_of))
    return (line for line in lines if line["recorded_at"] <= moment)


def _print_names(found: Row, title: str | None) -> None:
    """Print what distinguishes a workflow from others, each where it is known."""
    tags = tags_of({name: getattr(found, name) for name in TAGGED_BY}, tag_rules())
    named = (("title", title), ("project", found.project), ("branch", found.branch), ("tool", found.tool))
    for name, value in (*named, ("tags", ", ".join(f"{key}={tags[key]}" for key in sorted(tags)))):
        if value:
            console().print(f"{name:8}{plain(value)}")


def _print_row(
    found: Row, spent: tuple[Spend, ...], stored: str, title: str | None, budgets: Budgets, *, idle: bool
) -> None:
    cost, out = orjson.loads(found.cost_breakdown), console()
    issue = "" if found.issue_number is None else f" · issue #{found.issue_number}"
    template = f" · {found.workflow_template}" if found.workflow_template else ""
    status = styled_status(found.status, idle=idle, moved=is_moved(found))
    out.print(Text.assemble((found.adw_id, "bold"), issue, plain(template), " · ", status))
    _print_names(found, title)
    out.print(Text.assemble("cost    ", (row_cost(found), "bold"), f"  ({_basis(found)})"))
    print_unpriced(out, found.actual_cost_nanousd, unpriced_of([found]), indent=" " * 8)
    for word, moved in (("from", moved_from(found)), ("to", moved_to(found))):
        for name, nanousd in moved.items():
            out.print(f"moved   {money.shown(nanousd)} {word} {name}")
    if (budget := budget_status(found, budgets)) is not None:
        out.print(Text.assemble("budget  ", (str(budget), BUDGET_STYLES[budget.state])))
    if stored:
        out.print(Text.assemble("copy    ", (plain(stored), "yellow")))
    out.print(
        f"tokens  {found.total_tokens:,} = input {found.input_tokens:,} + cache writes {found.cached_tokens:,} + "
        f"cache reads {found.cache_hit_tokens:,} ({found.cache_efficiency_percent:.1f} % of input) + "
        f"output {found.output_tokens:,}"
    )
    out.print(f"time    {_time(found)}")
    out.print(f"ledger  {counted(found.event_count, 'event')}, head {found.ledger_hash[:12]}…")
    if found.error_message:
        out.print(f"error   {plain(found.error_message)}")
    held_nanousd = money.from_wire(cost["by_agent"].get(HELD, "0.00"))
    for by in ("agent", "model"):
        _print_parts(out, by, spent, held_nanousd, cost.get("subagents", {}) if by == "agent" else {})
    for meters in cost.get("possible_double_counting", []):
        out.print(Text.assemble(("possible double counting", "yellow"), f": {meters}"))
    for meter in cost.get("retries_without_counter", []):
        out.print(Text.assemble(("a retry without a counter", "yellow"), f": {meter}; the cost is at least this"))
    if cost.get("unread_events"):
        unread = counted(cost["unread_events"], "event")
        out.print(Text.assemble((unread, "yellow"), " of a kind this version does not know; upgrade to count them"))


def _time(found: Row) -> str:
    """Return from when to when, and how long; an open workflow was active until its last activity."""
    end = local_time(found.end_time)
    if not end and found.last_activity:
        end = f"{local_time(found.last_activity)} (last activity)"
    if not end:
        return "unknown; nothing has started or been read yet"
    seconds = open_seconds(found) if found.status == "running" else found.duration_seconds
    took = "" if seconds is None else f", {duration(seconds)}"
    return f"{local_time(found.start_time) or 'unknown'} to {end}{took}"


def _basis(found: Row) -> str:
    if found.cost_basis is not None:
        return _BASIS[found.cost_basis]
    return "no reading yet" if found.status == "running" else "it ended without a reading"


def _print_parts(
    out: Console,
    by: Literal["agent", "model"],
    spent: tuple[Spend, ...],
    held_nanousd: int,
    subagents: dict[str, list[str]],
) -> None:
    """What each agent or model cost and used; it adds up to the total, tokens without a price included."""
    parts: dict[str, Amounts] = {}
    for one in spent:
        name, figures = getattr(one, by) or UNATTRIBUTED, [getattr(one, field) for field in AMOUNTS]
        parts[name] = list(map(add, parts[name], figures)) if name in parts else figures
    shown = Table(None, by, "cost", "tokens", right=("cost", "tokens"), dropped=("tokens",))
    for name, amounts in sorted(parts.items(), key=lambda part: (-part[1][0], part[0])):
        if any(amounts):
            unpriced = amounts[AMOUNTS.index("unpriced_events")] > 0
            label = agent_name(name, subagents.get(name, []))
            shown.add_row(plain(label), shown_cost(amounts[0], unpriced=unpriced), f"{total_tokens(amounts):,}")
    if held_nanousd:
        shown.add_row(HELD, money.shown(held_nanousd), "0")
    if shown.row_count:
        shown.print(out)
