"""No command: today's picture."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Final

import click
from rich.console import Console

from ledger import money
from ledger.origin import misplaced
from projections.cli.output import console, local_time, print_json, styled_status, table
from projections.cli.session import Session, opened
from projections.cli.unpriced import print_unpriced, unpriced_json
from projections.reports import Report, groups, quarters, report
from projections.stale import doubts
from projections.store import HistoryStore
from projections.workflow_history import Row

__all__ = ["today"]

_SHOWN_MAX: Final = 15
"""Lines of a list that fit a screen with the rest of the picture; `--json` tells all."""


def today(*, as_json: bool) -> None:
    """Print what was spent today (local time), what runs, and what may be wrong."""
    with opened() as session:
        rows = session.history.rows()
        day = datetime.now().astimezone().date()
        spent = _spent_on(session.history, day)
        running = [found for found in rows if found.status == "running"]
        doubtful = [(found, why) for found in rows for why, _ in doubts(found, now=datetime.now(UTC))]
        if as_json:
            print_json(_as_json(day, spent, running, doubtful, session))
            return
        if (doubt := misplaced(session.data)) is not None:
            click.echo(f"costledger: {doubt}", err=True)
        if rows:
            _print(day, spent, running, doubtful, rows)
        else:
            click.echo(f"no workflows in {session.data} yet; try `costledger demo`, or `costledger import adw PATH`")


def _spent_on(history: HistoryStore, day: date) -> Report:
    """What was spent on a day of this host's zone, by what the events say of when they were observed."""
    first, last = quarters(day, day, None)
    return report("daily", None, history.spent(groups("daily", None), first=first, last=last), None)


def _as_json(
    day: date, spent: Report, running: list[Row], doubtful: list[tuple[Row, str]], session: Session
) -> dict[str, Any]:
    return {
        "date": day.isoformat(),
        "spent_usd": money.to_wire(spent.total.amounts[0]),
        "unpriced": unpriced_json(spent.unpriced),
        "running": [{"adw_id": r.adw_id, "cost_usd": money.to_wire(r.actual_cost_nanousd)} for r in running],
        "doubtful": [{"adw_id": found.adw_id, "why": why} for found, why in doubtful],
        "errors": [f"{problem.workflow_id}: {problem.error}" for problem in session.problems]
        + [str(doubt) for doubt in [misplaced(session.data)] if doubt is not None],
    }


def _print(day: date, spent: Report, running: list[Row], doubtful: list[tuple[Row, str]], rows: list[Row]) -> None:
    out = console()
    ever = money.shown(sum(found.actual_cost_nanousd for found in rows))
    today_usd = money.shown(spent.total.amounts[0])
    out.print(f"{day:%A, %d %B %Y}: spent {today_usd}; in all {ever} in {len(rows):,} workflows")
    print_unpriced(out, spent.total.amounts[0], spent.unpriced)
    if running:
        shown = table("running", "workflow", "status", "cost so far", "last event", right=("cost so far",))
        latest = sorted(running, key=lambda found: (found.updated_at, found.adw_id), reverse=True)
        for found in latest[:_SHOWN_MAX]:
            cost = money.shown(found.actual_cost_nanousd)
            shown.add_row(found.adw_id, styled_status(found.status), cost, local_time(found.updated_at))
        out.print(shown)
        _print_rest(out, len(running), "costledger history --status running")
    if doubtful:
        shown = table("may be wrong", "workflow", "cost", "why", right=("cost",))
        for found, why in doubtful[:_SHOWN_MAX]:
            shown.add_row(found.adw_id, money.shown(found.actual_cost_nanousd), why)
        out.print(shown)
        _print_rest(out, len(doubtful), "costledger stale")
    out.print("more: costledger history · show ID · explain ID · verify")


def _print_rest(out: Console, count: int, command: str) -> None:
    if count > _SHOWN_MAX:
        out.print(f"  and {count - _SHOWN_MAX:,} more: {command}\n")
