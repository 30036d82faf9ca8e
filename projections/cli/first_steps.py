"""What to do in a data directory without workflows: one text for every command that reads."""

from __future__ import annotations

from pathlib import Path

import click

from ledger.importing.auto_import import default_sources
from ledger.sources import TRANSCRIPT_KINDS
from ledger.sources.agent_places import agent_folders
from ledger.text import first_of
from projections.cli.auto_import import wants_import
from projections.cli.options import located_data
from projections.cli.output.text import from_home
from projections.folding.tools import tool_of_kind

__all__ = ["default_folders", "print_first_steps"]


def default_folders() -> dict[str, list[Path]]:
    """Return the folders where the logs of the supported agents are looked for, by kind."""
    folders = {kind: agent_folders(kind) for kind in TRANSCRIPT_KINDS}
    return {kind: found for kind, found in folders.items() if found}


def print_first_steps(where: str, *, shared: bool = False) -> None:
    """Print that there are no workflows, where logs were looked for, and what to do next.

    Args:
        where: the rows are.
        shared: projectors write the rows.
    """
    if shared:
        click.echo(f"no workflows in {where} yet; `costledger project --status` shows how far the projectors are")
        return
    if located_data().named_by != "user":
        click.echo(f"no workflows in {where} yet; the agents' default places are read only into your own data")
        found = ", ".join(dict.fromkeys(tool_of_kind(entry.kind) for entry in default_sources()))
        click.echo(f"directory: `costledger import` reads them into this one{found and f' (found: {found})'}")
    elif wants_import():
        click.echo(f"no workflows in {where} yet, and no logs of a supported agent in their default places:")
        for kind, folders in default_folders().items():
            click.echo(f"  {tool_of_kind(kind)}: {first_of([from_home(folder) for folder in folders])}")
    else:
        click.echo(f"no workflows in {where} yet, and nothing was imported: --no-import, or `auto_import = false`")
    click.echo("`costledger demo` shows it on examples, `costledger import KIND PATH` reads logs from elsewhere")
