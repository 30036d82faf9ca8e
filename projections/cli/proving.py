"""`verify`: prove the ledgers and the rows."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import click

from projections.cli.context import data_option, history_option, json_option
from projections.cli.output import counted_bar, print_findings, print_json
from projections.cli.session import opened
from projections.parallel import processes_at_hand
from projections.verify import Proof, verify


@click.command("verify")
@json_option
@history_option
@data_option
def verify_command(as_json: bool) -> int:
    """Prove every chain, every checkpoint and every row; exits with 3 when something does not fit."""
    proof = Proof()
    with opened(up_to_date=False) as session, counted_bar("proving", "ledgers") as progress:
        many = processes_at_hand()
        findings = list(verify(session.ledgers, session.history, proof, processes=many, progress=progress))
        data = session.data
    if as_json:
        print_json({**asdict(proof), "findings": [asdict(finding) for finding in findings]})
    else:
        print_findings(findings)
        click.echo(
            f"{data.absolute()}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {proof.ledgers:,} ledgers with "
            f"{proof.events:,} events ({proof.size_bytes / 1e6:,.1f} MB) and {proof.rows:,} rows proven, "
            f"{len(findings):,} findings"
        )
    return 3 if findings else 0
