"""No command: today's picture."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import click

from ledger import money
from ledger.errors import CostledgerError
from ledger.origin import misplaced
from projections.cli.output import console, local_time, print_json, styled_status, table
from projections.cli.session import Session, opened
from projections.explain import steps
from projections.stale import doubts
from projections.workflow_history import Row

__all__ = ["today"]


def today(*, as_json: bool) -> None:
    """Print what was spent today (local time), what runs, and what may be wrong."""
    with opened() as session:
        rows = session.history.rows()
        day = datetime.now().astimezone().date()
        spent = _spent_on(session, rows, day)
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


def _spent_on(session: Session, rows: list[Row], day: date) -> int:
    """Nanodollars by which costs changed on a day, dated by when they were observed."""
    spent = 0
    for found in rows:
        if datetime.fromisoformat(found.updated_at).astimezone().date() < day:
            continue
        try:
            moved = list(steps(session.ledgers.read(found.adw_id)))
        except CostledgerError:
            continue  # told on stderr by the refresh
        for step in moved:
            when = datetime.fromisoformat(step.observed_at or step.recorded_at).astimezone().date()
            spent += step.to_nanousd - step.from_nanousd if when == day else 0
    return spent


def _as_json(
    day: date, spent: int, running: list[Row], doubtful: list[tuple[Row, str]], session: Session
) -> dict[str, Any]:
    return {
        "date": day.isoformat(),
        "spent_usd": money.to_wire(spent),
        "running": [{"adw_id": r.adw_id, "cost_usd": money.to_wire(r.actual_cost_nanousd)} for r in running],
        "doubtful": [{"adw_id": found.adw_id, "why": why} for found, why in doubtful],
        "errors": [f"{problem.workflow_id}: {problem.error}" for problem in session.problems]
        + [str(doubt) for doubt in [misplaced(session.data)] if doubt is not None],
    }


def _print(day: date, spent: int, running: list[Row], doubtful: list[tuple[Row, str]], rows: list[Row]) -> None:
    out = console()
    ever = money.shown(sum(found.actual_cost_nanousd for found in rows))
    out.print(f"{day:%A, %d %B %Y}: spent {money.shown(spent)}; in all {ever} in {len(rows):,} workflows")
    if running:
        shown = table("running", "workflow", "status", "cost so far", "last event", right=("cost so far",))
        for found in running:
            cost = money.shown(found.actual_cost_nanousd)
            shown.add_row(found.adw_id, styled_status(found.status), cost, local_time(found.updated_at))
        out.print(shown)
    if doubtful:
        shown = table("may be wrong", "workflow", "cost", "why", right=("cost",))
        for found, why in doubtful:
            shown.add_row(found.adw_id, money.shown(found.actual_cost_nanousd), why)
        out.print(shown)
    out.print("more: costledger history · show ID · explain ID · verify")
