"""`origin`: which data directory this is, and what to do when there are two of it."""

from __future__ import annotations

import click

from ledger.errors import InvalidInput
from ledger.maintenance.origin_renewal import renew
from ledger.storage.origin import keep_origin, misplaced, origin_of
from ledger.text import counted
from projections.cli.options import data_option, data_path, history_option, json_option, store
from projections.cli.output.progress import counted_bar
from projections.cli.output.text import print_json
from projections.cli.session import exit_code, opened, report_problems
from projections.replay.refresh import LedgerProblem


@click.command("origin")
@click.option("--moved", is_flag=True, help="No other directory goes on under this origin: it was moved, or restored.")
@click.option("--renew", "renewed", is_flag=True, help="This is a second copy: give it an origin of its own.")
@json_option
@history_option
@data_option
def origin_command(moved: bool, renewed: bool, as_json: bool) -> int:
    """Show which data directory this is; exits with 3 when it may be one of two copies."""
    data = data_path()
    if moved and renewed:
        raise InvalidInput("--moved and --renew contradict each other: does the other directory go on, or not?")
    if moved:
        keep_origin(data)
    code = _renewed() if renewed else 0
    found, suspect = origin_of(data), misplaced(data, every=True)
    if as_json:
        print_json(
            {
                "origin": None if found is None else found.id,
                "problem": None if suspect is None else suspect.problem,
                "next_step": None if suspect is None else suspect.next_step,
            }
        )
    elif suspect is not None:
        click.echo(str(suspect))
    else:
        click.echo(f"{data.absolute()} has no origin yet" if found is None else f"{data.absolute()} is {found.id}")
    return 3 if suspect is not None else code


def _renewed() -> int:
    """Carry all ledgers over and fold them; what could not be is reported on stderr."""
    with counted_bar("carrying over", "ledgers") as progress:
        done = renew(store(), progress=progress)
    report_problems(LedgerProblem(name, error) for name, error in done.problems.items())
    click.echo(f"{counted(done.carried, 'ledger')} carried over to origin {done.origin}", err=True)
    with opened() as session:
        return exit_code([*session.problems, *(LedgerProblem(name, error) for name, error in done.problems.items())])
