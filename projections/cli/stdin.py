"""`append`: events as JSON lines from stdin, each chunk that arrives appended at once."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

import click

from ledger.errors import ConflictingEvent, CostledgerError, InvalidInput
from ledger.events import Event, event
from ledger.line import LINE_BYTES_MAX
from ledger.store import DirectoryStore
from projections.cli.appending import receipt_json
from projections.cli.context import data_option, json_option, store

_CHUNK_BYTES: Final = 1024 * 1024

Numbered = tuple[int, Event]


class _Refused:
    """Counts and tells what was not appended; the lines around it are."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int, problem: object) -> None:
        self.count += 1
        click.echo(f"costledger: stdin, line {number}: {problem}", err=True)


@click.command("append")
@json_option
@data_option
def append_command(as_json: bool) -> int:
    """Append events as JSON lines from stdin, without seq, hash and recorded_at; id is optional.

    A line that is refused is named on stderr and the others are appended; the exit code is then 1.
    """
    if sys.stdin.isatty():
        click.echo("costledger: reading events from the terminal, one JSON object per line; end with Ctrl-D", err=True)
    ledgers, refused, appended, duplicates = store(), _Refused(), 0, 0
    for batch in _batches(refused):
        for _, group in groupby(batch, key=lambda numbered: numbered[1].workflow_id):
            for receipt in _append(ledgers, list(group), refused):
                duplicates += receipt.duplicate
                appended += not receipt.duplicate
                if as_json:
                    click.echo(receipt_json(receipt))
        if as_json:
            sys.stdout.flush()
    if not as_json:
        click.echo(f"{appended:,} appended, {duplicates:,} already there, {refused.count:,} refused")
    return 1 if refused.count else 0


def _append(ledgers: DirectoryStore, group: list[Numbered], refused: _Refused) -> Iterator[Any]:
    """Append a workflow's events together, or one by one when one of them is refused."""
    try:
        yield from ledgers.append([numbered[1] for numbered in group])
    except (ConflictingEvent, InvalidInput) as error:
        if len(group) == 1:
            refused(group[0][0], error)
            return
        for numbered in group:
            yield from _append(ledgers, [numbered], refused)
    except CostledgerError as error:
        for number, _ in group:
            refused(number, error)


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
                    batch.append((number, event(_object(line))))
                except (InvalidInput, ValueError, RecursionError) as error:
                    refused(number, str(error) or type(error).__name__)
            overlong = False
        if len(carry) > LINE_BYTES_MAX:
            carry, overlong = b"", True
        yield batch
        if not data:
            return


def _object(line: bytes) -> dict[str, Any]:
    """Strict JSON: no duplicate keys, no NaN; numbers with a point stay exact."""
    try:
        value = json.loads(
            line.decode("utf-8"),
            object_pairs_hook=_no_duplicates,
            parse_float=Decimal,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError as error:
        raise InvalidInput(f"is not UTF-8: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidInput(f"is not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise InvalidInput("is nested too deeply") from None
    if not isinstance(value, dict):
        raise InvalidInput("is not a JSON object")
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"names {twice!r} twice")
    return value


def _no_constant(name: str) -> Any:
    raise InvalidInput(f"{name} is not JSON")
