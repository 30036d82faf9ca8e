"""`costledger anchor`: one line that vouches for all ledgers as they are."""

from __future__ import annotations

import click

from ledger.maintenance.anchors import anchor
from projections.cli.options import data_option, store
from projections.cli.session import report_problems
from projections.replay.refresh import stray_files

__all__ = []


@click.command("anchor")
@data_option
def anchor_command() -> None:
    """Print one line that vouches for all ledgers as they are now; keep it elsewhere, for `verify --against`."""
    ledgers = store()
    report_problems(stray_files(ledgers))
    click.echo(str(anchor(ledgers)))
