"""No command: today's picture."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Final

import click
from rich.console import Console

from ledger import money
from ledger.origin import misplaced
from ledger.words import counted
from projections.applications.doubts import doubts_of_copies
from projections.attention import Attention
from projections.cli.context import idle_after, prices
from projections.cli.evidence import evidence_json, print_evidence
from projections.cli.output import local_time, print_json
from projections.cli.session import Session, exit_code, opened
from projections.cli.tables import Id, Table
from projections.cli.terminal import console, styled_status
from projections.cli.unpriced import in_words, print_unpriced, row_cost, unpriced_json, unpriced_of
from projections.idle import is_idle
from projections.reports import Report, groups, quarters, report, spent_at_from
from projections.stale import doubts
from projections.store import HistoryStore
from projections.workflow_history import Row

__all__ = ["today"]

_SHOWN_MAX: Final = 15
"""Lines of a list that fit a screen with the rest of the picture; `--json` tells all."""


def today(*, as_json: bool) -> int:
    """Print what was spent today (local time), what is active, and what needs attention."""
    with opened() as session:
        rows = session.history.rows()
        day = datetime.now().astimezone().date()
        spent = _spent_on(session.history, day)
        now, after = datetime.now(UTC), idle_after()
        opened_rows = [found for found in rows if found.status == "running"]
        running = [found for found in opened_rows if not is_idle(found, now, after)]
        idle = len(opened_rows) - len(running)
        lookups = Attention(prices(), session.ledgers)
        doubtful = [(found, why) for found in rows for why, _ in doubts(found, now=now, lookups=lookups)]
        copies = session.compared(rows)
        for row in rows:
            of_copy = doubts_of_copies([row], copies, session.where_copied, now=now)
            doubtful += [(row, doubt.why) for doubt in of_copy]
        dated = spent_at_from(session.history, *quarters(day, day, None))
        if as_json:
            told = _as_json(day, spent, running, doubtful, rows, session)
            print_json(told | {"idle": idle, "spent_at_from": evidence_json(dated)})
            return exit_code(session.problems)
        if (doubt := misplaced(session.data)) is not None:
            click.echo(f"costledger: {doubt}", err=True)
        if rows:
            _print(day, spent, running, doubtful, rows)
            _print_notes(dated, idle)
        else:
            click.echo(f"no workflows in {session.where} yet; try `costledger demo`, or `costledger import adw PATH`")
        return exit_code(session.problems)


def _spent_on(history: HistoryStore, day: date) -> Report:
    """What was spent on a day of this host's zone, by what the events say of when they were observed."""
    first, last = quarters(day, day, None)
    return report("daily", None, history.spent(groups("daily", None), first=first, last=last), None)


def _as_json(
    day: date, spent: Report, running: list[Row], doubtful: list[tuple[Row, str]], rows: list[Row], session: Session
) -> dict[str, Any]:
    return {
        "date": day.isoformat(),
        "spent_usd": money.to_wire(spent.total.amounts[0]),
        "at_least": spent.total.at_least,
        "unpriced": unpriced_json(spent.unpriced),
        "in_all": {
            "workflows": len(rows),
            "cost_usd": money.to_wire(_cost(rows)),
            "at_least": _at_least(rows),
            "unpriced": unpriced_json(unpriced_of(rows)),
        },
        "running": [
            {
                "adw_id": found.adw_id,
                "cost_usd": money.to_wire(found.actual_cost_nanousd),
                "at_least": _at_least([found]),
                "cost_basis": found.cost_basis,
                "unpriced_events": found.unpriced_events,
            }
            for found in running
        ],
        "doubtful": [{"adw_id": found.adw_id, "why": why} for found, why in doubtful],
        "errors": [f"{problem.workflow_id}: {problem.error}" for problem in session.problems]
        + [str(doubt) for doubt in [misplaced(session.data)] if doubt is not None],
    }


def _cost(rows: list[Row]) -> int:
    return sum(found.actual_cost_nanousd for found in rows)


def _at_least(rows: list[Row]) -> bool:
    return any(found.cost_basis == "partial" for found in rows)


def _print(day: date, spent: Report, running: list[Row], doubtful: list[tuple[Row, str]], rows: list[Row]) -> None:
    out = console()
    unpriced = unpriced_of(rows)
    ever = in_words(
        _cost(rows),
        unpriced=bool(unpriced),
        at_least=_at_least(rows),
        known=any(found.cost_basis is not None for found in rows),
    )
    today_usd = in_words(spent.total.amounts[0], unpriced=bool(spent.unpriced), at_least=spent.total.at_least)
    out.print(f"{day:%A, %d %B %Y}: spent {today_usd}; in all {ever} in {counted(len(rows), 'workflow')}")
    print_unpriced(out, _cost(rows), unpriced, indent="in all ")
    if running:
        shown = Table(
            "running",
            *("workflow", "status", "cost so far", "last activity"),
            right=("cost so far",),
            whole=("status", "last activity"),
            dropped=("status", "last activity"),
        )
        latest = sorted(running, key=lambda found: (found.last_activity or "", found.adw_id), reverse=True)
        for found in latest[:_SHOWN_MAX]:
            cost, last = row_cost(found), local_time(found.last_activity)
            shown.add_row(Id(found.adw_id), styled_status(found.status), cost, last)
        shown.print(out)
        _print_rest(out, len(running), "costledger history --status running")
    if doubtful:
        shown = Table("Needs attention", "workflow", "cost", "why", right=("cost",), prose=("why",))
        for found, why in doubtful[:_SHOWN_MAX]:
            shown.add_row(Id(found.adw_id), row_cost(found), why)
        shown.print(out)
        _print_rest(out, len(doubtful), "costledger stale")


def _print_notes(dated: dict[str, int], idle: int) -> None:
    """What of today is dated by evidence, how many workflows are open without activity, and where to read on."""
    out = console()
    print_evidence(out, dated)
    if idle:
        out.print(f"{counted(idle, 'open workflow')} without activity: costledger history --status idle")
    out.print("more: costledger history · show ID · explain ID · verify")


def _print_rest(out: Console, count: int, command: str) -> None:
    if count > _SHOWN_MAX:
        out.print(f"  and {count - _SHOWN_MAX:,} more: {command}\n")
