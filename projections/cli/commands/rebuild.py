"""`rebuild`: replay everything, and swap it in or compare."""

from __future__ import annotations

from dataclasses import asdict

import click

from ledger.storage.parallel import processes_at_hand
from ledger.text import counted
from projections.cli.numbers import Whole
from projections.cli.options import data_option, history_option, json_option
from projections.cli.output.changes import print_accepted, print_changes
from projections.cli.output.console import print_findings
from projections.cli.output.progress import counted_bar
from projections.cli.output.text import print_json
from projections.cli.session import exit_code, opened, report_problems
from projections.documents.changes import refresh_document
from projections.replay.rebuild import rebuild
from projections.replay.resync import merged
from projections.replay.verify import Proof, verify


@click.command("rebuild")
@click.option("--check", is_flag=True, help="Write nothing; list each row that differs from replay.")
@click.option("--drop-old", is_flag=True, help="Only drop the rows that earlier rebuilds left in PostgreSQL.")
@click.option("--processes", type=Whole(1, 1_024), help="How many processes replay at once. [default: all]")
@json_option
@history_option
@data_option
def rebuild_command(check: bool, drop_old: bool, processes: int | None, as_json: bool) -> int:
    """Replay every ledger into fresh rows and swap them in at once; readers see the old ones until then."""
    if drop_old:
        return _drop_old(as_json=as_json)
    many = processes or processes_at_hand()
    if check:
        return _check(many, as_json=as_json)
    with opened(up_to_date=False) as session, counted_bar("replaying", "ledgers") as progress:
        report = rebuild(session.ledgers, session.history, processes=many, progress=progress)
        copied = session.write_copies(pure=True, reason="rebuild", after_upgrade=True)
        report.changes = merged(report.changes, copied)
    report_problems(report.problems)
    if as_json:
        print_json(refresh_document(report, copied if session.application else None))
    else:
        click.echo(f"{counted(len(report.folded), 'row')} rebuilt, {counted(len(report.changes), 'cost')} changed")
        print_changes(report.changes)
        print_accepted(report.accepted)
    return exit_code(report.problems)


def _drop_old(*, as_json: bool) -> int:
    with opened() as session:
        dropped = session.history.drop_old_versions()
    if as_json:
        print_json({"dropped_versions": dropped})
    else:
        click.echo(f"{counted(len(dropped), 'older version')} of the rows dropped")
    return 0


def _check(processes: int, *, as_json: bool) -> int:
    proof = Proof()
    with opened(up_to_date=False, reads=True) as session, counted_bar("checking", "ledgers") as progress:
        found = list(
            verify(
                session.ledgers,
                session.history,
                proof,
                unread_too=True,
                application=session.application,
                processes=processes,
                progress=progress,
            )
        )
    if as_json:
        print_json({"rows": proof.rows, "drift": [asdict(finding) for finding in found]})
    else:
        print_findings(found)
        wrong = len({finding.workflow_id for finding in found})
        click.echo(f"{counted(proof.rows, 'row')} compared with pure replay: {wrong:,} drifted; nothing was written")
    return 3 if found else 0
