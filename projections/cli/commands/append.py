"""`append`: events as JSON lines from stdin, each chunk that arrives appended at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import Final

import click

from ledger.capture.json_events import append_each, submitted
from ledger.errors import CostledgerError, InvalidInput
from ledger.events.event import Event
from ledger.pricing.price_book import price_event
from ledger.storage.line import LINE_BYTES_MAX
from projections.cli.budget_receipt import BudgetReceipts
from projections.cli.commands.record import receipt_json
from projections.cli.options import config_option, data_option, json_option, prices, store
from projections.reports.budgets import BudgetStatus

_CHUNK_BYTES: Final = 1024 * 1024

Numbered = tuple[int, Event]


class _Refused:
    """Counts and reports the lines that were refused; the lines around them are appended."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int, problem: object) -> None:
        self.count += 1
        click.echo(f"costledger: stdin, line {number}: {problem}", err=True)


@click.command("append")
@json_option
@config_option
@data_option
def append_command(as_json: bool) -> int:
    """Append events as JSON lines from stdin, without seq, hash and recorded_at; id is optional.

    A reading of a model's usage without a cost is priced.

    A line that is refused is named on stderr and the others are appended; the exit code is then 1.
    """
    if sys.stdin.isatty():
        click.echo("costledger: reading events from the terminal, one JSON object per line; end with Ctrl-D", err=True)
    ledgers, refused, appended, duplicates = store(), _Refused(), 0, 0
    budgets, statuses = BudgetReceipts(ledgers), dict[str, BudgetStatus | None]()
    book = cache(prices)  # what needs no price needs no configuration
    for batch in _batches(refused):
        for _, same in groupby(batch, key=lambda numbered: numbered[1].workflow_id):
            group = list(same)
            priced = [price_event(book(), e) if e.lacks_price else e for _, e in group]
            outcomes = list(append_each(ledgers, priced, elsewhere=_has_row))
            if any(not isinstance(outcome, CostledgerError) for outcome in outcomes):
                statuses[group[0][1].workflow_id] = budgets.after(group[0][1].workflow_id)
            for (number, _), outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, CostledgerError):
                    refused(number, outcome)
                    continue
                duplicates += outcome.duplicate
                appended += not outcome.duplicate
                if as_json:
                    click.echo(receipt_json(outcome, statuses[outcome.workflow_id]))
        if as_json:
            sys.stdout.flush()
    if not as_json:
        click.echo(f"{appended:,} appended, {duplicates:,} already there, {refused.count:,} refused")
    for workflow_id, budget in statuses.items():
        if budget is not None and budget.warning is not None:
            click.echo(f"costledger: {workflow_id} {budget.warning}", err=True)
    return 1 if refused.count else 0


def _has_row(workflow_id: str) -> bool:
    """Whether a workflow without a ledger here has a row, which projectors may have folded from another host's."""
    from projections.cli.workflow_ids import has_row

    return has_row(workflow_id)


def _batches(refused: _Refused) -> Iterator[list[Numbered]]:
    """Events as they arrive: what one read returns is one batch, so a slow writer gets each receipt at once."""
    number, carry, overlong = 0, b"", False
    while True:
        data = os.read(0, _CHUNK_BYTES)
        lines = (carry + data).split(b"\n") if data else [carry, b""]
        carry = lines.pop()
        batch: list[Numbered] = []
        for line in lines:
            number += 1
            if overlong or len(line) > LINE_BYTES_MAX:
                refused(number, f"is longer than {LINE_BYTES_MAX:,} bytes")
            elif line.strip():
                try:
                    batch.append((number, submitted(line)))
                except InvalidInput as error:
                    refused(number, error)
            overlong = False
        if len(carry) > LINE_BYTES_MAX:
            carry, overlong = b"", True
        yield batch
        if not data:
            return
