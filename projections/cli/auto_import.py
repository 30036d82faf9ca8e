"""Importing what is new before a command reads; what prevents it is reported on stderr, and is no error."""

from __future__ import annotations

import shlex
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import click

from ledger.text import counted, first_of
from projections.cli.options import config, config_path, located_data, prices, store

if TYPE_CHECKING:
    from ledger.importing.auto_import import AutoImport
    from ledger.importing.import_report import Progress
    from ledger.importing.source_registry import SourceEntry
    from ledger.storage.directory_store import DirectoryStore
    from projections.history.store import HistoryStore

__all__ = ["import_new_input", "report_first_import", "wants_import"]


def wants_import() -> bool:
    """Return whether this invocation imports what is new: not with --no-import or where the configuration turns it off.

    Raises:
        InvalidConfig: the configuration file cannot be used.
    """
    if click.get_current_context().find_root().meta.get("no_import"):
        return False
    return config_path() is None or config().auto_import


def import_new_input(ledgers: DirectoryStore | None = None, *, otherwise: str) -> AutoImport:
    """Import what is new in the remembered sources, and in the user's own data directory the logs of the default
    places, which are remembered from then on.

    Args:
        ledgers: where to; by default into the data directory.
        otherwise: what is shown where something blocks it, for the message.
    """
    from ledger.importing.auto_import import default_sources, import_new
    from ledger.storage.parallel import processes_at_hand

    own = located_data().named_by == "user"
    done = import_new(
        ledgers or store(),
        defaults=default_sources() if own else (),
        prices=prices,
        progress=_progress,
        processes=processes_at_hand(),
    )
    for where, problem in done.problems:
        click.echo(f"costledger: {where}: {problem}", err=True)
    if done.blocked:
        click.echo(f"costledger: what is new was not imported: {done.blocked}; {otherwise}", err=True)
    for entry, (inputs, files) in done.skipped.items():
        what = f"{counted(inputs, 'input')} in {counted(files, 'file')} could not be read"
        click.echo(f"costledger: {what}; {_listed(entry, inputs)}", err=True)
    for entry, names in done.cut.items():
        what = f"the last line of {counted(len(names), 'file')} is cut in the middle"
        click.echo(f"costledger: {what}; {_listed(entry, len(names))}", err=True)
    return done


def _listed(entry: SourceEntry, count: int) -> str:
    command = f"costledger import {entry.kind} {shlex.quote(entry.path)}"
    return f"`{command}` lists {'it' if count == 1 else 'them'}"


def report_first_import(done: AutoImport | None, history: HistoryStore) -> None:
    """Report on stderr what the first import of a data directory read, and what all of it cost.

    Args:
        done: None, and nothing is reported, where it was not the first.
    """
    if done is None or not done.appended:
        return
    from projections.cli.output.costs import in_words
    from projections.reports.overview import Figure

    ever, count = Figure(), 0
    for row in history.rows():
        ever.take_row(row)
        count += 1
    cost = in_words(ever.nanousd, unpriced=ever.unpriced, at_least=ever.at_least)
    read = first_of([entry.path for entry in done.read])
    events = f"{counted(done.appended, 'event')} of {counted(count, 'workflow')}"
    click.echo(f"costledger: imported {events} from {read}: {cost} in all", err=True)


def _progress(entry: SourceEntry) -> AbstractContextManager[Progress]:
    from projections.cli.output.progress import progress_bar

    return progress_bar(f"reading {entry.path}")
