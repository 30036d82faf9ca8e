"""`verify`: prove the ledgers and the rows."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from ledger.errors import BrokenChain, DamagedLedger, Diverged, UnknownWorkflow
from ledger.events.timestamps import now, to_wire
from ledger.maintenance.anchors import Anchor, anchors_in, broken
from ledger.replication.comparison import Agreement, disagreements
from ledger.replication.open import open_replica
from ledger.replication.replica import Replica
from ledger.replication.sender import ReplicationProblem
from ledger.storage.origin import misplaced
from ledger.storage.parallel import processes_at_hand
from ledger.text import counted
from projections.cli.options import (
    credentials_option,
    data_option,
    history_option,
    json_option,
    named_replica,
    replica_option,
)
from projections.cli.output.console import print_findings
from projections.cli.output.progress import counted_bar
from projections.cli.output.text import print_json
from projections.cli.session import CommandSession, opened
from projections.documents.verification import verification_document
from projections.history.memory import MemoryHistory
from projections.projector.comparison import disagreeing_rows
from projections.replay.verify import Finding, Proof, verify


@click.command("verify")
@click.option(
    "--against",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Anchors that were stored elsewhere: nothing that they cover was rewritten or cut.",
)
@click.option("--shared", is_flag=True, help="Also prove the shared engine, and the rows that projectors make of it.")
@replica_option("--from")
@credentials_option
@json_option
@history_option
@data_option
def verify_command(
    against: Path | None, shared: bool, replica_name: str | None, credentials: str | None, as_json: bool
) -> int:
    """Prove every chain, every checkpoint and every row; exits with 3 when something does not fit."""
    proof, agreement, started_at = Proof(), Agreement(), to_wire(now())
    anchors = [] if against is None else anchors_in(against.read_text(encoding="utf-8", errors="replace"))
    name = named_replica(replica_name, "--from") if shared else ""
    with opened(up_to_date=False, shared_too=shared, reads=True) as session:
        findings, vouched = _of_directory(session, proof, anchors)
        data = session.data
        if shared:
            with closing(open_replica(name, credentials=credentials)) as replica:
                findings += _of_replica(session, replica, agreement)
            proof.rows += len(session.history.stored()) if session.history.shared else 0
    if as_json:
        proof.findings = len(findings)
        made = verification_document(proof, findings, started_at=started_at, finished_at=to_wire(now()))
        asked = {"vouched_since": None if vouched is None else vouched.moment}
        print_json({**made, **asked, **({"shared": asdict(agreement)} if shared else {})})
    else:
        print_findings(findings)
        click.echo(
            f"{data.absolute()}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {counted(proof.ledgers, 'ledger')} with "
            f"{counted(proof.events, 'event')} ({proof.size_bytes / 1e6:,.1f} MB) and "
            f"{counted(proof.rows, 'row')} proven, "
            f"{counted(len(findings), 'finding')}"
            + (f", {counted(len(anchors), 'anchor')} verified" if anchors and not findings else "")
        )
        click.echo(_vouched(vouched, asked=bool(anchors)))
        if shared:
            click.echo(
                f"{counted(agreement.lines, 'line')} of "
                f"{counted(agreement.ledgers, 'ledger')} proven in the shared engine, "
                f"{agreement.waiting:,} wait to be sent"
                + (f"; {counted(agreement.differing, 'ledger')} not, see above" if agreement.differing else "")
            )
    return 3 if findings else 0


def _vouched(since: Anchor | None, *, asked: bool) -> str:
    """Return which changes by a writer of all the files would show."""
    if since is not None:
        return f"whatever was there at {since.moment} is unchanged: the anchor of that moment is verified"
    if asked:
        return "no anchor vouches for these ledgers as they are: see the findings"
    return (
        "no anchor was given: a writer of these files could have changed an event and all hashes after it; "
        "store the lines of `costledger anchor` elsewhere, and compare with them: `verify --against FILE`"
    )


def _of_directory(session: CommandSession, proof: Proof, anchors: list[Anchor]) -> tuple[list[Finding], Anchor | None]:
    """Return what does not fit here, and the latest anchor that holds.

    Rows that projectors write are not these ledgers' alone.
    """
    history = MemoryHistory() if session.history.shared else session.history
    with counted_bar("proving", "ledgers") as progress:
        many = processes_at_hand()
        found = verify(
            session.ledgers, history, proof, application=session.application, processes=many, progress=progress
        )
        findings = list(found)
    if (suspect := misplaced(session.data, every=True)) is not None:
        findings.append(Finding("(all)", suspect.problem, suspect.next_step))
    damaged, verified = bool(findings), list[Anchor]()
    for anchor in anchors:
        mismatches = list(broken(session.ledgers, anchor))
        verified += [] if mismatches or damaged else [anchor]
        for name, problem in mismatches:
            step = "restore the ledger from a backup made before that"
            if "was renewed since" in problem:
                step = "costledger anchor, and store the new one"
            findings.append(Finding(name, f"since the anchor of {anchor.moment}: {problem}", step))
    return findings, max(verified, key=lambda one: one.moment, default=None)


def _of_replica(session: CommandSession, replica: Replica, agreement: Agreement) -> list[Finding]:
    """Where ledgers, their replica, and rows made of it do not agree."""
    with counted_bar("comparing", "ledgers") as progress:
        mismatches = disagreements(session.ledgers, replica, agreement, progress=progress)
        findings = [Finding(found.workflow_id, str(found.error), _next_step(found)) for found in mismatches]
    if session.history.shared:
        with counted_bar("comparing rows", "partitions") as progress:
            findings += disagreeing_rows(replica, session.history, progress=progress)
    return findings


def _next_step(found: ReplicationProblem) -> str:
    """What brings a ledger and its chain together again."""
    error = found.error
    if isinstance(error, DamagedLedger):
        return f"costledger salvage -- {found.workflow_id}; then costledger origin --renew"
    if isinstance(error, UnknownWorkflow):
        return "its file is gone, and its lines are in the engine: costledger restore writes it, in an empty directory"
    if isinstance(error, Diverged) and not isinstance(error, BrokenChain):
        return "costledger origin --renew; lines that it lacks: costledger restore, into an empty directory"
    return "costledger replicate --repair"
