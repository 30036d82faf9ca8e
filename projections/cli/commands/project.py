"""`project`: fold a replica of many hosts' ledgers into shared rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from ledger.errors import InvalidInput, MissingExtra
from ledger.replication.open import open_replica
from ledger.text import counted
from projections.cli.options import (
    credentials_option,
    history_option,
    history_spelling,
    json_option,
    named_replica,
    replica_option,
)
from projections.cli.output.console import console
from projections.cli.output.tables import Id, Table
from projections.cli.output.text import plain, print_json
from projections.cli.session import log_changes
from projections.history.open import is_postgres

if TYPE_CHECKING:
    from projections.projector.postgres_session import PartitionState
    from projections.projector.projector import ChainState
    from projections.projector.run import ProjectReport

_SILENT_SECONDS: Final = 10.0
"""A projector asks each second; who has not for so long is worth a look."""


@click.command("project")
@replica_option("--from")
@credentials_option
@click.option("--once", is_flag=True, help="End when all that lies there is projected, by this one or others.")
@click.option("--rebuild", is_flag=True, help="Replay everything into new rows, then show them instead of the old.")
@click.option(
    "--accept-lost",
    is_flag=True,
    help="With --rebuild: show the new rows even where the old ones come from lines that the replica has lost.",
)
@click.option(
    "--status",
    is_flag=True,
    help="Only show how far the projectors are, with --from how far they lag, and which workflows are blocked.",
)
@json_option
@history_option
def project_command(
    replica_name: str | None,
    credentials: str | None,
    once: bool,
    rebuild: bool,
    accept_lost: bool,
    status: bool,
    as_json: bool,
) -> int:
    """Fold the lines of a replica into the rows at --history postgresql://…, until it is stopped.

    Any number of processes share the work, and take over from one that dies or hangs. A workflow whose lines do not
    go on is blocked and listed; all others go on.
    """
    url = str(history_spelling())
    if not is_postgres(url):
        raise InvalidInput("project writes shared rows: name where with --history postgresql://USER@HOST/DATABASE")
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise MissingExtra("a history in PostgreSQL", "postgres") from error
    if status:
        return _status(url, replica_name, credentials, as_json=as_json)
    if accept_lost and not rebuild:
        raise InvalidInput("--accept-lost is for --rebuild; running projectors never take anything away")
    from projections.projector.run import project_again, project_on

    log_changes()
    replica = open_replica(named_replica(replica_name, "--from"), credentials=credentials)
    if not (rebuild or once):
        click.echo(f"projecting {replica.address}; Ctrl-C ends it", err=True)
    try:
        if rebuild:
            report = project_again(replica, url, accept_lost=accept_lost)
        else:
            report = project_on(replica, url, once=once)
    finally:
        replica.close()
    return _tell(report, rebuild=rebuild, as_json=as_json)


def _tell(report: ProjectReport, *, rebuild: bool, as_json: bool) -> int:
    if as_json:
        print_json({"lines": report.lines, "held": report.workflows_held, "costs_changed": report.costs_changed})
    else:
        click.echo(
            f"{counted(report.lines, 'line')} projected, {counted(report.workflows_held, 'workflow')} blocked"
            + (f"; the new rows are shown, {counted(report.costs_changed, 'cost')} changed" if rebuild else "")
        )
    return 3 if report.workflows_held else 0


def _status(url: str, replica_name: str | None, credentials: str | None, *, as_json: bool) -> int:
    from projections.projector.postgres_session import projection_of

    partitions, blocked = projection_of(url)
    if not partitions and not as_json:
        click.echo("no projector has ever written here: costledger project --from nats://HOST:PORT")
        return 0
    behind = _behind(partitions, replica_name, credentials)
    silent = {one.projector: seconds for one in partitions if (seconds := one.silent_seconds or 0) > _SILENT_SECONDS}
    waiting = sum(1 for one in partitions if one.projector is None)
    if as_json:
        status: dict[str, Any] = {"partitions": [one._asdict() for one in partitions], "behind": behind}
        print_json(status | {"held": [one._asdict() for one in blocked]})
        return 3 if blocked or waiting or silent else 0
    projectors = len({one.projector for one in partitions} - {None})
    click.echo(
        f"{counted(projectors, 'projector')}, {counted(len(partitions), 'partition')}, "
        f"{waiting:,} of them without one; "
        f"read up to position {max(one.position for one in partitions):,}"
    )
    if behind is not None:
        click.echo(f"{counted(len(behind), 'partition')} with lines that are not in the rows yet")
    for projector, seconds in silent.items():
        click.echo(f"projector {projector} has been silent for {seconds:.0f} s; after a minute others take over")
    _print_blocked(blocked)
    return 3 if blocked or waiting or silent else 0


def _behind(
    partitions: Sequence[PartitionState], replica_name: str | None, credentials: str | None
) -> list[int] | None:
    """The partitions with lines that are not in the rows; None: no replica was named."""
    if not replica_name:
        return None
    replica = open_replica(replica_name, credentials=credentials)
    try:
        ends = replica.ends()
    finally:
        replica.close()
    return [one.partition for one in partitions if ends[one.partition] > one.position]


def _print_blocked(blocked: Sequence[ChainState]) -> None:
    if not blocked:
        return
    columns = ("workflow", "origin", "verified up to seq", "why")
    shown = Table("blocked", *columns, right=("verified up to seq",), prose=("why",), dropped=("origin",))
    for one in blocked:
        shown.add_row(Id(one.workflow_id), Id(one.origin), f"{one.seq:,}", plain(one.problem or ""))
    shown.print(console())
    click.echo("next, where lines are missing: costledger replicate --repair, on the host of that origin")
