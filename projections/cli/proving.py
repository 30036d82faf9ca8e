"""`verify`: prove the ledgers and the rows."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import click

from projections.cli.context import data_option, json_option
from projections.cli.output import console, print_json, table
from projections.cli.session import opened
from projections.verify import Proof, verify


@click.command("verify")
@json_option
@data_option
def verify_command(as_json: bool) -> int:
    """Prove every chain, every checkpoint and every row; exits with 3 when something does not fit."""
    proof = Proof()
    with opened(up_to_date=False) as session:
        findings = list(verify(session.ledgers, session.history, proof))
        data = session.data
    if as_json:
        print_json({**asdict(proof), "findings": [asdict(finding) for finding in findings]})
    else:
        if findings:
            shown = table(None, "workflow", "finding", "next step")
            for finding in findings:
                shown.add_row(finding.workflow_id, finding.problem, finding.next_step)
            console().print(shown)
        click.echo(
            f"{data.absolute()}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {proof.ledgers:,} ledgers with "
            f"{proof.events:,} events ({proof.size_bytes / 1e6:,.1f} MB) and {proof.rows:,} rows proven, "
            f"{len(findings):,} findings"
        )
    return 3 if findings else 0
