"""`stale`: what needs attention, and accepting it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click

from ledger.errors import CostledgerError, InvalidEvent, InvalidInput, UnknownWorkflow
from ledger.events import timestamps
from ledger.events.annotations import finding_accepted
from ledger.importing.importer import ImportOptions, reread
from ledger.importing.source_registry import SourceRegister
from ledger.sources import source
from ledger.sources.findings import Options
from ledger.text import counted
from projections.applications.suspects import suspects_of_copies
from projections.cli.numbers import Finite
from projections.cli.options import complete_workflow, config_option, data_option, history_option, json_option, prices
from projections.cli.output.console import console, styled_status
from projections.cli.output.costs import row_cost
from projections.cli.output.tables import Id, Table
from projections.cli.output.text import plain, print_json
from projections.cli.session import CommandSession, exit_code, opened
from projections.cli.workflow_ids import existing_id
from projections.documents.findings import acceptance_document, findings_document
from projections.folding.row import Row
from projections.history.suspects import Suspect, stale
from projections.replay.dry_run import copied
from projections.reports.attention import Attention

_NOTHING: Final = "nothing needs attention"


@click.command("stale")
@click.option(
    "--idle-hours",
    type=Finite(0, 1_000_000),
    default=6.0,
    show_default=True,
    help="How long a running workflow may be silent.",
)
@click.option(
    "--accept",
    "accepted_id",
    metavar="ID",
    shell_complete=complete_workflow,
    help="Accept what needs attention in this workflow; with --reason.",
)
@click.option("--reason", help="Why it is right as it is; the reason stays in the ledger.")
@json_option
@history_option
@config_option
@data_option
def stale_command(idle_hours: float, accepted_id: str | None, reason: str | None, as_json: bool) -> int:
    """List what needs attention, why, and what to do; `verify` proves, this suspects.

    What is right as it is can be accepted, which is an event in the ledger: it is not listed again until it changes.
    """
    idle = timedelta(hours=idle_hours)
    if accepted_id is not None:
        return _accept(existing_id(accepted_id), reason, idle, as_json=as_json)
    if reason is not None:
        raise InvalidInput("--reason is for an acceptance; name the workflow with --accept ID")
    with opened() as session:
        found = _found(session, session.history.rows(), idle)
    if as_json:
        print_json(findings_document(found))
    elif found:
        _print(found)
    else:
        others = counted(len(session.problems), "ledger")
        click.echo(f"nothing else needs attention; {others} cannot be replayed" if session.problems else _NOTHING)
    return exit_code(session.problems)


def _accept(workflow_id: str, reason: str | None, idle: timedelta, *, as_json: bool) -> int:
    if not (reason or "").strip():
        raise InvalidEvent("reason", "an acceptance needs a reason: --reason TEXT")
    with opened(workflow_ids=[workflow_id]) as session:
        row = session.history.row(workflow_id)
        if row is None:
            raise UnknownWorkflow(workflow_id, session.where)
        found = _found(session, [row], idle)
        if not found:
            raise InvalidInput(f"nothing needs attention in {workflow_id}; `costledger stale` lists what does")
        covered = {suspect.kind: suspect.covers for suspect in found}
        receipt = session.ledgers.append([finding_accepted(workflow_id, findings=covered, reason=str(reason))])[0]
    with opened(workflow_ids=[workflow_id]) as session:
        row = session.history.row(workflow_id)
        if session.application is not None and row is not None and "copy_wrong" not in covered:
            session.application.write([row], pure=False, reason="a finding was accepted")
    if as_json:
        print_json(acceptance_document(workflow_id, covered, receipt))
    else:
        for suspect in found:
            click.echo(f"{workflow_id}: accepted: {plain(suspect.why)}")
    return exit_code(session.problems)


def _found(session: CommandSession, rows: list[Row], idle: timedelta) -> list[Suspect]:
    now = datetime.now(UTC)
    lookups = Attention(prices(), session.ledgers)
    found = list(stale(rows, now=now, idle=idle, grown_at=_grown_at(session, rows), lookups=lookups))
    found += suspects_of_copies(rows, session.compared(rows), session.where_copied, now=now)
    return found


def _print(found: list[Suspect]) -> None:
    shown = Table(
        "Needs attention",
        *("workflow", "status", "cost", "why", "next step"),
        right=("cost",),
        whole=("status",),
        prose=("why", "next step"),
        dropped=("status",),
    )
    for suspect in found:
        row = suspect.row
        status, cost = styled_status(row.status), row_cost(row)
        shown.add_row(Id(row.adw_id), status, cost, plain(suspect.why), suspect.next_step)
    shown.print(console())
    click.echo("right as it is? costledger stale --accept ID --reason WHY")


def _grown_at(session: CommandSession, rows: list[Row]) -> dict[str, datetime]:
    """When the newest source of ended workflows was written, if it holds what their ledgers do not.

    A newer file alone proves nothing: it may have been copied, or have grown by lines without a cost. So those of newer
    files are read again, in a trial.
    """
    updated = {row.adw_id: timestamps.moment(row.updated_at) for row in rows if row.status != "running"}
    written = dict(_changed_at(session.data))
    newer = {name: written[name] for name, at in updated.items() if at and name in written and written[name] > at}
    if not newer:
        return {}
    with copied(session.ledgers, session.history) as trial:
        counts = reread(
            trial.ledgers, SourceRegister(session.data), ImportOptions(only=list(newer), prices=prices())
        ).workflows
    return {name: at for name, at in newer.items() if name in counts and counts[name].appended}


def _changed_at(data: Path) -> Iterator[tuple[str, datetime]]:
    """When the newest file of each workflow's remembered sources was written."""
    newest: dict[str, float] = {}
    for entry in SourceRegister(data).entries():
        try:
            parts = source(entry.kind).parts(Path(entry.path), Options(entry.workflow_id, entry.agent, entry.map))
        except CostledgerError:
            continue  # gone, and it takes nothing away
        for part in parts:
            newest[part.workflow_id] = max(newest.get(part.workflow_id, 0.0), part.written_at)
    for workflow_id, written_at in newest.items():
        if written_at:
            yield workflow_id, timestamps.from_unix(written_at)
