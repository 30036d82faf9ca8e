"""`history`, `show` and `explain`: read rows and reasons."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from operator import add
from typing import Any, Final, Literal

import click
import orjson
from rich.console import Console
from rich.text import Text

from ledger.errors import DamagedLedger, InvalidInput, UnknownWorkflow
from ledger.events import money, timestamps
from ledger.events.event import FINDING_ACCEPTED, Line
from ledger.replication.open import open_replica
from ledger.storage.line import EMPTY
from ledger.text import counted
from projections.applications.plan import Compared
from projections.cli.options import (
    config_option,
    config_path,
    credentials_option,
    data_option,
    history_option,
    idle_after,
    import_option,
    json_option,
    replica_option,
    workflow_argument,
)
from projections.cli.output.console import BUDGET_STYLES, console, styled_status
from projections.cli.output.costs import print_unpriced, row_cost, shown_cost, unpriced_of
from projections.cli.output.row_csv import print_csv
from projections.cli.output.tables import Id, Table
from projections.cli.output.text import (
    batches,
    local_time,
    place,
    plain,
    print_json,
    print_json_list,
    project_names,
    short_ids,
)
from projections.cli.parsing import moment_named
from projections.cli.row_filter import RowFilter, filter_options
from projections.cli.session import Session, exit_code, opened
from projections.cli.workflow_ids import whole_id
from projections.folding.breakdown import UNATTRIBUTED
from projections.folding.cost_words import cost_before
from projections.folding.explain import Step, steps
from projections.folding.fold import fold, initial
from projections.folding.row import HELD, Row, row, spend
from projections.folding.spend import AMOUNTS, Amounts, Spend
from projections.history.idle import is_idle, open_seconds
from projections.projector.row_lines import Lines, lines_of
from projections.reports.budgets import Budgets, Standing, budget_json, configured_budgets, standing
from projections.reports.spend_report import total_tokens

_BASIS = {
    "reported": "reported: every dollar was reported by the provider or its CLI",
    "priced": "priced: some part was priced from tokens",
    "partial": "partial: at least this; some usage has no price or is known to be incomplete",
    None: "no reading yet",
}
_EMPTY = "no workflows in {where} yet; `costledger import adw PATH` reads agents' output, `costledger demo` shows how"
_EMPTY_SHARED = "no workflows in {where} yet; `costledger project --status` says how far the projectors are"


@click.command("history")
@filter_options
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@import_option
@json_option
@history_option
@config_option
@data_option
def history_command(as_json: bool, as_csv: bool, **chosen: Any) -> int:
    """All workflows and what they cost, the latest activity last."""
    if as_json and as_csv:
        raise InvalidInput("--json and --csv: give one of them")
    wanted = RowFilter(**chosen)
    now, after, budgets = datetime.now(UTC), idle_after(), configured_budgets(config_path())
    with opened(imports=True) as session:
        every = session.history.rows()
        rows = wanted.of((found, is_idle(found, now, after)) for found in every)
        copies = session.compared([found for found, _ in rows])
        titles = session.titles([found for found, _ in rows])
        if as_json:
            shown = [(found, copies.get(found.adw_id), titles.get(found.adw_id), idle) for found, idle in rows]
            print_json([as_json_row(found, budgets, copy, title, idle=idle) for found, copy, title, idle in shown])
        elif as_csv:
            print_csv(rows, budgets)
        elif every and wanted.is_limiting and not rows:
            click.echo(f"no workflow matches these options; there are {len(every):,} in all")
        elif rows:
            _print_history(rows, copies, titles, budgets)
        else:
            click.echo((_EMPTY_SHARED if session.history.shared else _EMPTY).format(where=session.where))
        return exit_code(session.problems)


def as_json_row(
    found: Row, budgets: Budgets, copy: Compared | None = None, title: str | None = None, *, idle: bool
) -> dict[str, Any]:
    """A row with its breakdowns as objects, its budget and title, whether it is idle, and an application's copy."""
    parsed = {name: orjson.loads(getattr(found, name)) for name in ("cost_breakdown", "token_breakdown")}
    copied = None if copy is None else copy.as_json()
    budget = budget_json(standing(found, budgets))
    return asdict(found) | parsed | {"budget": budget, "title": title, "idle": idle, "application": copied}


def _print_history(
    shown_rows: list[tuple[Row, bool]], copies: Mapping[str, Compared], titles: Mapping[str, str], budgets: Budgets
) -> None:
    rows = [found for found, _ in shown_rows]
    stored = {name: copy for name, copy in copies.items() if copy.differs_in_cost}
    projects = project_names(found.project for found in rows)
    cells: list[dict[str, str | Text]] = [
        {
            "workflow": Id(found.adw_id),
            "title": titles.get(found.adw_id) or (f"({projects[found.project]})" if found.project else ""),
            "project": projects[found.project],
            "branch": plain(found.branch or ""),
            "issue": "" if found.issue_number is None else f"#{found.issue_number}",
            "status": styled_status(found.status, idle=idle),
            "cost": row_cost(found),
            "stored": _stored(stored.get(found.adw_id)),
            "budget": _budget(standing(found, budgets)),
            "basis": found.cost_basis or "none",
            "tokens": f"{found.total_tokens:,}",
            "cached": f"{found.cache_efficiency_percent:.0f} %",
            "tool": plain(found.tool or ""),
            "model": plain(found.model_used or ""),
            "last activity": local_time(found.last_activity)[:-3],
        }
        for found, idle in shown_rows
    ]
    optional = {"title": titles, "stored": stored} | {
        name: any(each[name] for each in cells) for name in ("project", "branch", "issue", "tool", "budget")
    }
    columns = [name for name in cells[0] if optional.get(name, True)]
    shown = Table(
        None,
        *columns,
        right=tuple(name for name in ("issue", "cost", "stored", "budget", "tokens", "cached") if name in columns),
        whole=("status", "basis", "last activity"),
        cut=("title",),
        dropped=(
            *("cached", "basis", "branch", "model", "tool", "tokens", "issue", "project"),
            *("last activity", "title", "status"),
        ),
    )
    for each in cells:
        shown.add_row(*(each[name] for name in columns))
    cost, unpriced = sum(found.actual_cost_nanousd for found in rows), unpriced_of(rows)
    total = shown_cost(
        cost,
        unpriced=bool(unpriced),
        at_least=any(found.cost_basis == "partial" for found in rows),
        known=any(found.cost_basis is not None for found in rows),
    )
    sums = {"workflow": counted(len(rows), "workflow"), "cost": total}
    sums |= {"tokens": f"{sum(found.total_tokens for found in rows):,}"}
    shown.add_total(*(sums.get(name, "") for name in columns))
    out = console()
    shown.print(out)
    print_unpriced(out, cost, unpriced)


def _budget(found: Standing | None) -> str | Text:
    return "" if found is None else Text(found.in_short, style=BUDGET_STYLES[found.state])


def _stored(copy: Compared | None) -> str:
    """The cost in the application's table, where it is another one."""
    if copy is None:
        return ""
    return ("nothing" if copy.stored_nanousd is None else money.shown(copy.stored_nanousd)) + " (held)" * copy.held


@click.command("show")
@workflow_argument
@click.option("--as-of", metavar="TIME|SEQ", help="What the ledger said then: a time, or an event's number.")
@replica_option("--from")
@credentials_option
@json_option
@history_option
@config_option
@data_option
def show_command(
    workflow_id: str, as_of: str | None, replica_name: str | None, credentials: str | None, as_json: bool
) -> int:
    """One workflow: its cost, where it came from, and how far it can be trusted."""
    workflow_id, budgets = whole_id(workflow_id), configured_budgets(config_path())
    with opened(workflow_ids=[workflow_id]) as session:
        found, spent = session.history.row(workflow_id), session.history.spend(workflow_id)
        if as_of:
            with _lines(session, workflow_id, replica_name, credentials) as lines:
                found, spent = _as_of(lines, workflow_id, as_of)
        if found is None:
            if session.problems:
                return exit_code(session.problems)
            raise UnknownWorkflow(workflow_id, session.where)
        now = datetime.fromisoformat(found.updated_at) if as_of else datetime.now(UTC)
        idle = is_idle(found, now, idle_after())
        copy = None if as_of else session.compared([found]).get(workflow_id)
        title = None if as_of else session.titles([found]).get(workflow_id)
        if as_json:
            print_json(as_json_row(found, budgets, copy, title, idle=idle))
        else:
            stored = "" if copy is None or not copy.differs else f"{copy} in {session.where_copied}"
            _print_row(found, spent, stored, title, budgets, idle=idle)
        return exit_code(session.problems)


@contextmanager
def _lines(session: Session, workflow_id: str, replica_name: str | None, credentials: str | None) -> Iterator[Lines]:
    """What a workflow's row was folded from; a replica is opened only for rows that projectors write."""
    if not (replica_name and session.history.shared):
        yield lines_of(workflow_id, session.ledgers, session.history, None)
        return
    with closing(open_replica(replica_name, credentials=credentials)) as replica:
        yield lines_of(workflow_id, session.ledgers, session.history, replica)


def _as_of(lines: Lines, workflow_id: str, as_of: str) -> tuple[Row, tuple[Spend, ...]]:
    state, head = initial(workflow_id), EMPTY
    for line in _until(lines, as_of):
        fold(state, line)
        head = lines.head
    if not head.seq:
        raise InvalidInput(f"ledger {workflow_id!r} has nothing as early as {as_of}")
    return row(state, head), spend(state)


def _until(lines: Lines, as_of: str) -> Iterator[Line]:
    """The lines up to a seq, or recorded up to a time; a time without a zone is the local one's."""
    if as_of.isascii() and as_of.isdigit():
        seq = int(as_of)
        return (line for line in lines if line["seq"] <= seq)
    moment = timestamps.to_wire(moment_named("--as-of", as_of))
    return (line for line in lines if line["recorded_at"] <= moment)


def _print_row(
    found: Row, spent: tuple[Spend, ...], stored: str, title: str | None, budgets: Budgets, *, idle: bool
) -> None:
    cost, out = orjson.loads(found.cost_breakdown), console()
    issue = "" if found.issue_number is None else f" · issue #{found.issue_number}"
    template = f" · {found.workflow_template}" if found.workflow_template else ""
    out.print(
        Text.assemble((found.adw_id, "bold"), issue, plain(template), " · ", styled_status(found.status, idle=idle))
    )
    for name, value in (("title", title), ("project", found.project), ("branch", found.branch), ("tool", found.tool)):
        if value:
            out.print(f"{name:8}{plain(value)}")
    out.print(Text.assemble("cost    ", (row_cost(found), "bold"), f"  ({_BASIS[found.cost_basis]})"))
    print_unpriced(out, found.actual_cost_nanousd, unpriced_of([found]), indent=" " * 8)
    if (budget := standing(found, budgets)) is not None:
        out.print(Text.assemble("budget  ", (str(budget), BUDGET_STYLES[budget.state])))
    if stored:
        out.print(Text.assemble("copy    ", (plain(stored), "yellow")))
    out.print(
        f"tokens  {found.total_tokens:,} = input {found.input_tokens:,} + cache writes {found.cached_tokens:,} + "
        f"cache reads {found.cache_hit_tokens:,} ({found.cache_efficiency_percent:.1f} % of input) + "
        f"output {found.output_tokens:,}"
    )
    seconds = open_seconds(found) if found.status == "running" else found.duration_seconds
    took = "" if seconds is None else f", {seconds:,} s"
    last = f"{local_time(found.last_activity)} (last activity)" if found.last_activity else "now"
    out.print(f"time    {local_time(found.start_time) or 'unknown'} to {local_time(found.end_time) or last}{took}")
    out.print(f"ledger  {counted(found.event_count, 'event')}, head {found.ledger_hash[:12]}…")
    if found.error_message:
        out.print(f"error   {plain(found.error_message)}")
    held = money.from_wire(cost["by_agent"].get(HELD, "0.00"))
    for by in ("agent", "model"):
        _print_parts(out, by, spent, held, cost.get("subagents", {}) if by == "agent" else {})
    for doubt in cost.get("possible_double_counting", []):
        out.print(Text.assemble(("possible double counting", "yellow"), f": {doubt}"))
    for meter in cost.get("retries_without_counter", []):
        out.print(Text.assemble(("a retry without a counter", "yellow"), f": {meter}; the cost is at least this"))
    if cost.get("unread_events"):
        unread = counted(cost["unread_events"], "event")
        out.print(Text.assemble((unread, "yellow"), " of a kind this version does not know; upgrade to count them"))


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
            label = _agent(name, subagents.get(name, []))
            shown.add_row(plain(label), shown_cost(amounts[0], unpriced=unpriced), f"{total_tokens(amounts):,}")
    if held_nanousd:
        shown.add_row(HELD, money.shown(held_nanousd), "0")
    if shown.row_count:
        shown.print(out)


_HEX_ID: Final = re.compile(r"[0-9a-f]{7,40}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _agent(name: str, parents: list[str]) -> str:
    """An agent for people: a sub-agent with the agents that called it, one without a name by the start of its id."""
    if not parents:
        return name
    called = f"unnamed, {name[:8]}" if _HEX_ID.fullmatch(name) else name
    return f"{called} (sub-agent of {', '.join(parents)})"


@click.command("explain")
@workflow_argument
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only those after this event.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="So many of them at most [default: all].")
@replica_option("--from")
@credentials_option
@json_option
@history_option
@data_option
def explain_command(
    workflow_id: str, after: int, limit: int | None, replica_name: str | None, credentials: str | None, as_json: bool
) -> int:
    """Each event that moved a workflow's cost: from what to what, why, and where it was read.

    A row that projectors fold from several hosts' ledgers is explained from the chains of all of them, in the shared
    engine that --from names.
    """
    workflow_id = whole_id(workflow_id)
    with opened(workflow_ids=[workflow_id]) as session:
        if any(isinstance(problem.error, UnknownWorkflow | DamagedLedger) for problem in session.problems):
            return exit_code(session.problems)
        with _lines(session, workflow_id, replica_name, credentials) as lines:
            asked = _Steps(lines, after, limit)
            if as_json:
                print_json_list("steps", (step.as_json() for step in asked), lambda: asked.rest(workflow_id))
                return exit_code(session.problems)
            out = console()
            for batch in batches(asked):
                steps_table(batch, place, out).print(out)
        _print_sum(workflow_id, asked, session.history.row(workflow_id), out)
        return exit_code(session.problems)


class _Steps:
    """The steps that are asked for, one at a time. Iterate once; what is known of them is known then.

    Attributes:
        count: how many of them moved the cost.
        cost_nanousd: the workflow's cost after the last of them.
        next: `--after` of those that follow; None when none do.
    """

    def __init__(self, lines: Lines, after: int, limit: int | None) -> None:
        self.lines, self.after, self.limit = lines, after, limit
        self.count = self.cost_nanousd = 0
        self.next: int | None = None

    def __iter__(self) -> Iterator[Step]:
        found, last = steps(self.lines, after=self.after), self.after
        for step in islice(found, self.limit):
            self.count += step.type != FINDING_ACCEPTED
            self.cost_nanousd, last = step.to_nanousd, step.seq
            yield step
        if self.limit is not None and next(found, None) is not None:
            self.next = last

    @property
    def are_all(self) -> bool:
        """Whether no step comes before or after them."""
        return not self.after and self.next is None

    def rest(self, workflow_id: str) -> dict[str, Any]:
        """What the answer of the HTTP API has in addition to the steps."""
        return {"adw_id": workflow_id, "event_count": self.lines.head.seq, "next": self.next}


def _print_sum(workflow_id: str, asked: _Steps, found: Row | None, out: Console) -> None:
    """Print what the steps above are, and what the row has in addition."""
    head = asked.lines.head
    if asked.are_all:
        click.echo(f"{workflow_id}: {asked.count:,} of {counted(head.seq, 'event')} moved its cost")
    else:
        after = f" after number {asked.after:,}" if asked.after else ""
        click.echo(f"{workflow_id}: {counted(asked.count, 'event')}{after} moved its cost")
    if asked.next is not None:
        click.echo(f"the next ones: costledger explain --after {asked.next} --limit {asked.limit} -- {workflow_id}")
    if found is None or not asked.are_all:
        return
    print_unpriced(out, found.actual_cost_nanousd, unpriced_of([found]))
    # A row that was written since, from more lines, differs for that reason.
    if found.ledger_hash == head.hash and found.actual_cost_nanousd != asked.cost_nanousd:
        held = money.shown(found.actual_cost_nanousd)
        click.echo(f"The row shows {held}: somebody stored that, and a running row's cost never falls.")


_LONG_IDS_COLUMNS: Final = 120
"""From this width on a meter's ids are shown whole; they stand in sentences, which fold."""


def steps_table(moved: list[Step], spelled: Callable[[str | None, int | None], str], out: Console) -> Table:
    """Steps as a table that fits a narrow terminal: what, why and where stand below each other."""
    told = "meter, why, read from"
    shown = Table(
        None,
        *("seq", "when", "from", "to", told),
        right=("seq", "from", "to"),
        whole=("when",),
        prose=(told,),
        dropped=("when", "from", "seq"),
    )
    for step in moved:
        accepted = step.type == FINDING_ACCEPTED
        meter = step.meter if out.width >= _LONG_IDS_COLUMNS else short_ids(step.meter)
        shown.add_row(
            f"{step.seq}",
            local_time(step.observed_at or step.recorded_at),
            "" if accepted else cost_before(step.from_nanousd),
            "" if accepted else money.shown(step.to_nanousd),
            Text.assemble(f"{plain(meter)}\n{plain(step.why)}\n", (plain(spelled(step.file, step.line)), "dim")),
        )
    return shown
