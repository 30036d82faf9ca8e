"""`verify`: prove the ledgers and the rows."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from ledger.anchor import anchor, anchors_in, broken
from ledger.origin import misplaced
from projections.cli.context import data_option, history_option, json_option, store
from projections.cli.output import counted_bar, print_findings, print_json
from projections.cli.session import opened
from projections.parallel import processes_at_hand
from projections.verify import Finding, Proof, verify


@click.command("anchor")
@data_option
def anchor_command() -> None:
    """Print one line that vouches for all ledgers as they are now; keep it elsewhere, for `verify --against`."""
    click.echo(str(anchor(store())))


@click.command("verify")
@click.option(
    "--against",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Anchors that were kept elsewhere: nothing they vouch for was rewritten or cut.",
)
@json_option
@history_option
@data_option
def verify_command(against: Path | None, as_json: bool) -> int:
    """Prove every chain, every checkpoint and every row; exits with 3 when something does not fit."""
    proof = Proof()
    anchors = [] if against is None else anchors_in(against.read_text(encoding="utf-8", errors="replace"))
    with opened(up_to_date=False) as session, counted_bar("proving", "ledgers") as progress:
        many = processes_at_hand()
        findings = list(verify(session.ledgers, session.history, proof, processes=many, progress=progress))
        data = session.data
        if (doubt := misplaced(data)) is not None:
            findings.append(Finding("(all)", doubt.problem, doubt.next_step))
        for kept in anchors:
            step = "restore the ledger from a backup made before that"
            for name, problem in broken(session.ledgers, kept):
                findings.append(Finding(name, f"since the anchor of {kept.moment}: {problem}", step))
    if as_json:
        print_json({**asdict(proof), "findings": [asdict(finding) for finding in findings]})
    else:
        print_findings(findings)
        click.echo(
            f"{data.absolute()}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {proof.ledgers:,} ledgers with "
            f"{proof.events:,} events ({proof.size_bytes / 1e6:,.1f} MB) and {proof.rows:,} rows proven, "
            f"{len(findings):,} findings" + (f", {len(anchors):,} anchors held" if anchors and not findings else "")
        )
    return 3 if findings else 0
