"""`refresh` and `resync`: bring rows up to date."""

from __future__ import annotations

import click

from ledger.storage.parallel import processes_at_hand
from ledger.text import counted
from projections.cli.options import data_option, history_option, json_option
from projections.cli.output.text import print_json
from projections.cli.session import exit_code, log_changes, opened, report_problems
from projections.documents.changes import refresh_document
from projections.replay.refresh import refresh
from projections.replay.resync import merged


@click.command("refresh")
@json_option
@history_option
@data_option
def refresh_command(as_json: bool) -> int:
    """Replay the ledgers that changed since they were last read."""
    log_changes()
    with opened(up_to_date=False) as session:
        report = refresh(session.ledgers, session.history, processes=processes_at_hand())
        copied = session.write_copies(pure=False, reason="refresh")
        report.changes = merged(report.changes, copied)
    report_problems(report.problems)
    if as_json:
        print_json(refresh_document(report, copied if session.application else None))
    else:
        done = f"{counted(len(report.folded), 'workflow')} replayed, {report.unchanged:,} unchanged"
        rows = counted(len(copied.rows), "row")
        click.echo(f"{done}, {rows} of {session.where_copied} changed" if session.application else done)
    return exit_code(report.problems)
