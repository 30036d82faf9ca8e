"""`reprice`: what was priced by tokens, priced again by the rates of today."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import click

from ledger.errors import CostledgerError, InvalidEvent
from ledger.events import money
from ledger.pricing.price_book import PriceBook
from ledger.storage.directory_store import DirectoryStore
from ledger.text import counted
from projections.cli.options import (
    complete_workflow,
    config_option,
    data_option,
    history_option,
    json_option,
    prices,
    store,
)
from projections.cli.output.console import console, styled_status
from projections.cli.output.progress import counted_bar
from projections.cli.output.tables import Id, Table
from projections.cli.output.text import plain, print_json
from projections.cli.parsing import moment_option
from projections.cli.session import exit_code, log_changes, opened, report_problems
from projections.cli.workflow_ids import whole_id
from projections.documents.types import usd
from projections.replay.refresh import LedgerProblem
from projections.replay.reprice import PriceChange, RepricePlan, Wanted, apply, plans

_SHOWN_MAX: Final = 20
"""Workflows that are printed; `--json` has all."""


@dataclass(slots=True)
class _Model:
    """The difference for one model.

    Attributes:
        readings: that get a price, `newly_priced` of them their first.
        unpriced: that have no price today either.
        kept: that have a price, and would have none today; they stay as they are.
    """

    readings: int = 0
    newly_priced: int = 0
    tokens: int = 0
    old_nanousd: int = 0
    new_nanousd: int = 0
    unpriced: int = 0
    unpriced_tokens: int = 0
    kept: int = 0

    @property
    def known_old_nanousd(self) -> int | None:
        """The price before; None where none of its readings had one."""
        return None if self.newly_priced == self.readings else self.old_nanousd

    def add(self, change: PriceChange) -> None:
        """Add the change of a reading."""
        if change.new_nanousd is not None:
            self.readings += 1
            self.newly_priced += change.old_nanousd is None
            self.tokens += change.tokens
            self.old_nanousd += change.old_nanousd or 0
            self.new_nanousd += change.new_nanousd
        elif change.old_nanousd is None:
            self.unpriced += 1
            self.unpriced_tokens += change.tokens
        else:
            self.kept += 1


@dataclass(slots=True)
class _Difference:
    """What a reprice would change: per model, and the workflows with something to append, without their events."""

    models: dict[str, _Model] = field(default_factory=lambda: defaultdict(_Model))
    workflows: list[dict[str, Any]] = field(default_factory=list)
    problems: list[LedgerProblem] = field(default_factory=list)
    waiting_nanousd: int = 0

    def add(self, made: RepricePlan) -> None:
        """Add the plan of a workflow."""
        for change in made.changes:
            self.models[change.model].add(change)
        self.waiting_nanousd += made.waiting_nanousd
        if made.events:
            changed = {"adw_id": made.workflow_id, "status": made.status, "events": len(made.events)}
            old, new = usd(made.old_nanousd), usd(made.new_nanousd)
            self.workflows.append(changed | {"old_cost_usd": old, "new_cost_usd": new})


@click.command("reprice")
@click.argument("workflow_ids", metavar="[ID...]", nargs=-1, shell_complete=complete_workflow)
@moment_option("--since", "Only readings observed from then on: a day or a time, local if it names no zone.")
@moment_option("--until", "Only readings observed before then; a day counts whole.", end_of_day=True)
@click.option("--model", default="*", metavar="GLOB", help="Only models whose name matches, e.g. 'claude-*'.")
@click.option("--reason", required=True, help="Why; it stays in the ledgers.")
@click.option("--yes", is_flag=True, help="Append without asking.")
@json_option
@history_option
@config_option
@data_option
def reprice_command(
    workflow_ids: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    model: str,
    reason: str,
    yes: bool,
    as_json: bool,
) -> int:
    """Price again what was priced from tokens, or has no price: all workflows, or those named.

    It shows the difference first, and appends final readings when you agree; nothing is rewritten. What the provider
    reported is never touched. Run again, it appends nothing.
    """
    if not reason.strip():
        raise InvalidEvent("reason", "a new price needs a reason")
    ledgers, book, wanted = store(), prices(), Wanted(since, until, model)
    named = [whole_id(given) for given in workflow_ids]
    found = _difference(ledgers, named or list(ledgers.workflow_ids()), book, wanted, reason)
    changed = [changed["adw_id"] for changed in found.workflows]
    report_problems(found.problems)
    if not as_json and (found.models or not found.problems):
        _print(found)
    agreed = bool(changed) and (yes or (not as_json and sys.stdin.isatty() and click.confirm("Append these?")))
    appended = _append(ledgers, changed, book, wanted, reason, found.problems) if agreed else 0
    if as_json:
        print_json(_as_json(found, appended))
    elif agreed:
        click.echo(f"{counted(appended, 'reading')} appended to {counted(len(changed), 'workflow')}")
    elif changed:
        click.echo("nothing was appended; add --yes to append these")
    return exit_code(found.problems)


def _difference(
    ledgers: DirectoryStore, workflow_ids: Iterable[str], book: PriceBook, wanted: Wanted, reason: str
) -> _Difference:
    found, names = _Difference(), list(workflow_ids)
    with counted_bar("pricing", "workflows") as progress:
        for done, made in enumerate(plans(ledgers, names, book, wanted, reason), 1):
            if isinstance(made, RepricePlan):
                found.add(made)
            else:
                found.problems.append(made)
            progress(done, len(names))
    return found


def _append(
    ledgers: DirectoryStore,
    workflow_ids: list[str],
    book: PriceBook,
    wanted: Wanted,
    reason: str,
    problems: list[LedgerProblem],
) -> int:
    """Append to each, and bring the rows up to date; what cannot be done is reported and added to the problems."""
    appended = 0
    for workflow_id in workflow_ids:
        try:
            appended += apply(ledgers, workflow_id, book, wanted, reason)
        except CostledgerError as error:
            problems.append(LedgerProblem(workflow_id, error))
            report_problems(problems[-1:])
    log_changes()
    with opened(workflow_ids=workflow_ids):
        pass
    return appended


def _as_json(found: _Difference, appended: int) -> dict[str, Any]:
    models = {
        name: {
            "readings": model.readings,
            "newly_priced_readings": model.newly_priced,
            "tokens": model.tokens,
            "old_cost_usd": usd(model.known_old_nanousd),
            "new_cost_usd": money.to_wire(model.new_nanousd) if model.readings else None,
            "unpriced_readings": model.unpriced,
            "unpriced_tokens": model.unpriced_tokens,
            "kept_readings": model.kept,
        }
        for name, model in sorted(found.models.items())
    }
    return {
        "models": models,
        "workflows": found.workflows,
        "waiting_for_the_end_usd": money.to_wire(found.waiting_nanousd),
        "appended": appended,
        "errors": [{"adw_id": problem.workflow_id, "error": str(problem.error)} for problem in found.problems],
    }


def _print(found: _Difference) -> None:
    out = console()
    figures = ("readings", "tokens", "old price", "new price", "difference")
    shown = Table(None, "model", *figures, right=figures, dropped=("readings", "tokens", "old price", "difference"))
    for name, model in sorted(found.models.items()):
        if model.readings:
            old, new = model.old_nanousd, model.new_nanousd
            before = _or_none(model.known_old_nanousd)
            counts = (f"{model.readings:,}", f"{model.tokens:,}")
            shown.add_row(plain(name), *counts, before, money.shown(new), _signed(new - old))
    if shown.row_count:
        shown.print(out)
        _print_workflows(found)
    else:
        click.echo("nothing to append: whatever has a price today has it already")
    for name, model in sorted(found.models.items()):
        if model.unpriced:
            click.echo(
                f"{plain(name)}: still no price for {counted(model.unpriced_tokens, 'token')} in "
                f"{counted(model.unpriced, 'reading')}; "
                "give it rates under [[prices]] in costledger.toml"
            )
        if model.kept:
            click.echo(f"{plain(name)}: no price today; unchanged in {counted(model.kept, 'reading')}")


def _print_workflows(found: _Difference) -> None:
    figures = ("readings", "old cost", "new cost")
    dropped = ("readings", "status")
    shown = Table(None, "workflow", "status", *figures, right=figures, whole=("status",), dropped=dropped)
    for changed in found.workflows[:_SHOWN_MAX]:
        old, new = changed["old_cost_usd"], changed["new_cost_usd"]
        shown.add_row(
            Id(changed["adw_id"]),
            styled_status(changed["status"]),
            f"{changed['events']:,}",
            _or_none(None if old is None else money.from_wire(old)),
            _or_none(None if new is None else money.from_wire(new)),
        )
    shown.print(console())
    if len(found.workflows) > _SHOWN_MAX:
        click.echo(f"  and {len(found.workflows) - _SHOWN_MAX:,} more; --json lists all")
    if found.waiting_nanousd:
        click.echo(
            f"while a workflow runs its highest figure holds: {money.shown(found.waiting_nanousd)} of this will only "
            "be taken off when it ends"
        )


def _or_none(nanousd: int | None) -> str:
    return "none" if nanousd is None else money.shown(nanousd)


def _signed(nanousd: int) -> str:
    return money.shown(nanousd) if nanousd < 0 else f"+{money.shown(nanousd)}"
