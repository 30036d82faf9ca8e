"""`costledger restore`: a lost host's ledgers from a shared engine."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict

import click

from ledger.replication.open import open_replica
from ledger.replication.restore import restore
from ledger.text import counted
from projections.cli.commands.replicate import exit_code_of, report_problems
from projections.cli.options import (
    credentials_option,
    data_option,
    data_path,
    json_option,
    named_replica,
    replica_option,
)
from projections.cli.output.progress import counted_bar
from projections.cli.output.text import print_json

__all__ = []


@click.command("restore")
@replica_option("--from")
@click.option("--origin", help="Whose ledgers, when the engine holds several origins'.")
@credentials_option
@json_option
@data_option
def restore_command(replica_name: str | None, origin: str | None, credentials: str | None, as_json: bool) -> int:
    """Write a lost host's ledgers, byte for byte, into an empty data directory, which goes on as that host."""
    with (
        closing(open_replica(named_replica(replica_name, "--from"), credentials=credentials)) as replica,
        counted_bar("restoring", "events") as progress,
    ):
        done = restore(replica, data_path(), origin=origin, progress=progress)
    if as_json:
        problems = [{"workflow_id": p.workflow_id, "error": str(p.error)} for p in done.problems]
        print_json(asdict(done) | {"problems": problems})
    else:
        click.echo(
            f"{counted(done.ledgers, 'ledger')} with {counted(done.events, 'event')} "
            f"({done.size_bytes / 1e6:,.1f} MB) of origin "
            f"{done.origin} restored; if that host may come back: costledger origin --renew"
        )
    report_problems(done.problems)
    return exit_code_of(done.problems)
