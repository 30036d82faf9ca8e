"""`costledger anchor`: one line that vouches for all ledgers as they are."""

from __future__ import annotations

from pathlib import Path

import click

from ledger.maintenance.anchor_repository import ANCHORS_FILE, commit
from ledger.maintenance.anchors import anchor
from projections.cli.options import (
    data_option,
    data_path,
    store,
)
from projections.cli.session import report_problems
from projections.replay.refresh import stray_files

__all__ = []


@click.command("anchor")
@click.option(
    "--git",
    "repository",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help=f"Also append the line to {ANCHORS_FILE} in this git repository, and commit it.",
)
@data_option
def anchor_command(repository: Path | None) -> None:
    """Print one line that vouches for all ledgers as they are now; keep it elsewhere, for `verify --against`."""
    ledgers = store()
    report_problems(stray_files(ledgers))
    made = anchor(ledgers)
    click.echo(str(made))
    if repository is not None:
        path = commit(made, repository, data_path())
        click.echo(f"costledger: committed in {path}; push it to where the writers of the ledgers cannot", err=True)
