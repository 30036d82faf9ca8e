"""`replicate` and `restore`: ledgers to a shared engine, and back."""

from __future__ import annotations

import logging
import signal
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict

import click

from ledger.errors import DamagedLedger, Diverged, InvalidInput
from ledger.replication.lag import Backlog, backlog
from ledger.replication.open import open_replica
from ledger.replication.repair import Repair, repair, unsent
from ledger.replication.replica import Replica
from ledger.replication.sender import LOOK_SECONDS, Replication, ReplicationProblem, Sent
from ledger.text import counted
from projections.cli.numbers import Finite
from projections.cli.options import (
    credentials_option,
    data_option,
    data_path,
    json_option,
    named_replica,
    replica_option,
    store,
)
from projections.cli.output.console import console
from projections.cli.output.progress import counted_bar
from projections.cli.output.tables import Id, Table
from projections.cli.output.text import local_time, plain, print_json
from projections.cli.session import log_changes

_log = logging.getLogger("costledger")


@click.command("replicate")
@replica_option("--to")
@click.option("--follow", is_flag=True, help="Go on until stopped; an engine that is away is tried again.")
@click.option("--repair", "repaired", is_flag=True, help="First find lines that the engine lost, to be sent again.")
@click.option("--status", is_flag=True, help="Only show what waits, and what cannot be sent; the engine is not asked.")
@click.option(
    "--every",
    "every_seconds",
    type=Finite(0.001, 86_400),
    default=LOOK_SECONDS,
    metavar="SECONDS",
    show_default=True,
    help="With --follow: how often to look; less often sends more at a time.",
)
@click.option(
    "--copies",
    type=click.IntRange(1, 5),
    default=3,
    show_default=True,
    help="On how many servers the stream is stored.",
)
@credentials_option
@json_option
@data_option
def replicate_command(
    replica_name: str | None,
    follow: bool,
    repaired: bool,
    status: bool,
    every_seconds: float,
    copies: int,
    credentials: str | None,
    as_json: bool,
) -> int:
    """Send what the ledgers hold and a shared engine does not have yet; agents never wait for it."""
    if status and (repaired or follow):
        raise InvalidInput(f"--status changes nothing: not together with {'--repair' if repaired else '--follow'}")
    if not data_path().is_dir():  # a service may be started before the first append
        nothing = f"there is no data directory {data_path().absolute()} yet, so nothing is sent; --data names another"
        click.echo(f"costledger: {nothing}", err=True)
    ledgers = store()
    if status:
        return _print_backlog(backlog(ledgers), as_json=as_json)
    log_changes()
    with (
        closing(open_replica(named_replica(replica_name, "--to"), copies=copies, credentials=credentials)) as replica,
        closing(Replication(ledgers, replica)) as replication,
    ):
        found = Repair()
        if repaired:
            with counted_bar("comparing", "ledgers") as progress:
                found = repair(ledgers, replica, replication, progress=progress)
            for loss in found.losses:
                _log.warning("%s: lost from seq %s on: %s", loss.workflow_id, loss.seq, counted(loss.lines, "line"))
        if follow:
            return _followed(replication, replica, every_seconds)
        code = _told(sent := replication.catch_up(), found if repaired else None, as_json=as_json)
        missing = [] if sent.away is not None else unsent(found, replication)
        for workflow_id in missing:
            click.echo(f"costledger: {workflow_id}: not all of it could be sent again; run this again", err=True)
        return code or int(bool(missing))


def _followed(replication: Replication, replica: Replica, every_seconds: float) -> int:
    """Catch up until SIGTERM or SIGINT, saying what changes."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _log.info("replicating to %s", replica.address)
    reported: dict[str, str] = {}
    away, renewing = "", False

    def report(sent: Sent) -> None:
        nonlocal away, renewing
        if sent.renewing is not None:
            if not renewing:
                _log.warning("%s; replication goes on then, under the new origin", sent.renewing)
            renewing = True
            return
        if renewing:
            _log.info("the data directory has its new origin: replicating under it")
        renewing = False
        problem = "" if sent.away is None else sent.away.problem
        if problem and problem != away:
            _log.warning("%s; appends go on, and what they wrote waits", sent.away)
        elif away and not problem:
            _log.info("%s answers again", replica.address)
        away = problem
        for failed in sent.problems:
            if reported.get(failed.workflow_id) != str(failed.error):
                reported[failed.workflow_id] = str(failed.error)
                _log.warning("%s: %s", failed.workflow_id, failed.error)

    replication.follow(stop, report=report, every_seconds=every_seconds)
    return 0


def _told(sent: Sent, found: Repair | None, *, as_json: bool) -> int:
    """What one pass did."""
    problems = [*(found.problems if found is not None else []), *sent.problems]
    if as_json:
        repaired = (
            {}
            if found is None
            else {
                "compared": found.ledgers,
                "losses": [asdict(loss) for loss in found.losses],
                "foreign": found.foreign,
                "sent_again": found.lines,
            }
        )
        print_json(
            {
                "events": sent.lines,
                "bytes": sent.size_bytes,
                "ledgers": len(sent.ledgers),
                "away": None if sent.away is None else str(sent.away),
                "problems": [{"workflow_id": p.workflow_id, "error": str(p.error)} for p in problems],
            }
            | repaired
        )
    else:
        if found is not None:
            lost = counted(sum(loss.lines for loss in found.losses), "line")
            click.echo(
                f"{counted(found.ledgers, 'ledger')} compared: {len(found.losses):,} had lost {lost}, "
                f"{len(found.foreign):,} ended with a message of another program; "
                f"{counted(found.lines, 'event')} sent again after the last message and acknowledged"
            )
        click.echo(
            f"{counted(sent.lines, 'event')} of {counted(len(sent.ledgers), 'ledger')} acknowledged "
            f"({sent.size_bytes / 1e6:,.1f} MB)"
        )
    report_problems(problems)
    if sent.away is not None:
        click.echo(f"costledger: {sent.away}; what was not acknowledged waits", err=True)
    return exit_code_of(problems) or (1 if sent.away is not None else 0)


def report_problems(problems: Iterable[ReplicationProblem]) -> None:
    for problem in problems:
        click.echo(f"costledger: {problem.workflow_id}: {problem.error}", err=True)


def exit_code_of(problems: Iterable[ReplicationProblem]) -> int:
    """Return 3 when a ledger is damaged or does not match its chain, 1 for another problem."""
    errors = [problem.error for problem in problems]
    return 3 if any(isinstance(error, (DamagedLedger, Diverged)) for error in errors) else int(bool(errors))


def _print_backlog(found: Backlog, *, as_json: bool) -> int:
    code = 3 if found.held else 0
    if as_json:
        print_json(asdict(found))
        return code
    shown = Table(None, "replication", "", right=("",))
    replica = found.replica
    shown.add_row("engine", "none yet" if replica is None else replica.address)
    shown.add_row("last acknowledged", "" if replica is None else local_time(replica.acknowledged_at))
    shown.add_row("ledgers", f"{found.ledgers:,}")
    shown.add_row("ledgers behind", f"{found.ledgers_behind:,}")
    shown.add_row("events behind", f"{found.events_behind:,}")
    shown.add_row("bytes behind", f"{found.bytes_behind:,}")
    shown.add_row("lag", f"{found.lag_seconds:,.1f} s")
    for why, number in sorted(Counter(one.why for one in found.held).items()):
        shown.add_row(f"ledgers {why}", f"{number:,}")
    if replica is not None and replica.problem:
        shown.add_row("problem", plain(replica.problem))
    shown.print(console())
    if found.held:
        blocked = Table("blocked", "ledger", "why", "problem", prose=("problem",))
        for one in found.held:
            blocked.add_row(Id(one.workflow_id), one.why, plain(one.problem))
        blocked.print(console())
    return code
