"""Importing what is new before a command reads; what prevents it is reported on stderr, and is no error."""

from __future__ import annotations

import shlex
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import click

from ledger.text import counted
from projections.cli.options import config, config_path, located_data, prices, store

if TYPE_CHECKING:
    from ledger.importing.auto_import import AutoImport
    from ledger.importing.import_report import Progress
    from ledger.importing.source_registry import SourceEntry

__all__ = ["import_new_input", "wants_import"]


def wants_import() -> bool:
    """Return whether this invocation imports what is new: not with --no-import or where the configuration turns it off.

    Raises:
        InvalidConfig: the configuration file cannot be used.
    """
    if click.get_current_context().find_root().meta.get("no_import"):
        return False
    return config_path() is None or config().auto_import


def import_new_input() -> AutoImport:
    """Import what is new in the remembered sources, and in the user's own data directory the logs of the default
    places, which are remembered from then on.
    """
    from ledger.importing.auto_import import default_sources, import_new
    from ledger.storage.parallel import processes_at_hand

    own = located_data().named_by == "user"
    done = import_new(
        store(),
        defaults=default_sources() if own else (),
        prices=prices,
        progress=_progress,
        processes=processes_at_hand(),
    )
    for where, problem in done.problems:
        click.echo(f"costledger: {where}: {problem}", err=True)
    if done.blocked:
        click.echo(f"costledger: what is new was not imported: {done.blocked}; shown is what is stored", err=True)
    for entry, (inputs, files) in done.skipped.items():
        command = f"costledger import {entry.kind} {shlex.quote(entry.path)}"
        click.echo(
            f"costledger: {counted(inputs, 'input')} in {counted(files, 'file')} could not be read; `{command}` lists "
            f"{'it' if inputs == 1 else 'them'}",
            err=True,
        )
    return done


def _progress(entry: SourceEntry) -> AbstractContextManager[Progress]:
    from projections.cli.output.progress import progress_bar

    return progress_bar(f"reading {entry.path}")
