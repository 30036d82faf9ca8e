"""`webhooks`: the receivers, their deliveries, what was given up, and sending that again."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final

import click

from ledger.errors import InvalidInput, MissingExtra
from projections.cli.options import config, config_option, data_option, data_path, json_option
from projections.cli.output.console import console
from projections.cli.output.tables import Id, Table
from projections.cli.output.text import local_time, plain, print_json
from projections.documents.webhooks import (
    DeadLetterDocument,
    EndpointDocument,
    dead_letter_document,
    endpoint_document,
)

if TYPE_CHECKING:
    from projections.server.webhooks.outbox import Outbox

_SECRET_BYTES: Final = 32
_COUNTS: Final = ("taken", "waiting", "given up")


@click.command("webhooks")
@click.option("--new-secret", is_flag=True, help="Print a fresh secret, and do nothing else.")
@click.option("--resend", metavar="MESSAGE", help="Let a message that was given up (its webhook-id) be sent again.")
@json_option
@config_option
@data_option
def webhooks_command(new_secret: bool, resend: str | None, as_json: bool) -> None:
    """Print the receivers of webhooks, their deliveries, and what was given up; a running `serve` delivers."""
    if new_secret:
        click.echo(f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}")
        return
    try:
        from projections.server.webhooks.endpoints import host_of, id_of
    except ImportError:
        raise MissingExtra("`costledger webhooks`", "server") from None
    from projections.server.webhooks.outbox import NO_DELIVERIES, Outbox

    def endpoints(outbox: Outbox | None) -> list[EndpointDocument]:
        named = [(id_of(each.url), host_of(each.url), each.events) for each in config().webhooks]
        return [
            endpoint_document(id, host, events, outbox.tally(id) if outbox else NO_DELIVERIES)
            for id, host, events in named
        ]

    if not (data_path() / "webhooks.db").is_file():
        if resend is not None:
            raise InvalidInput(f"no message {resend!r} was given up: no webhook was ever sent from {data_path()}")
        _print(endpoints(None), [], as_json=as_json)
        return
    with closing(Outbox(data_path())) as outbox:
        if resend is not None:
            _resend(outbox, resend)
        else:
            letters = [dead_letter_document(letter) for letter in outbox.dead_letters()]
            _print(endpoints(outbox), letters, as_json=as_json)


def _resend(outbox: Outbox, message: str) -> None:
    endpoints = outbox.resend(message, time.time())
    if not endpoints:
        raise InvalidInput(f"no message {message!r} was given up; `costledger webhooks` lists those that were")
    click.echo(f"{message} will be sent again to {', '.join(endpoints)}")


def _print(endpoints: Sequence[EndpointDocument], letters: Sequence[DeadLetterDocument], *, as_json: bool) -> None:
    if as_json:
        print_json({"endpoints": endpoints, "dead_letters": letters})
        return
    if not endpoints and not letters:
        click.echo("webhooks: none is configured (docs/admin.md)")
        return
    shown = Table(
        None,
        *("endpoint", "host", *_COUNTS, "last taken", "last error"),
        right=_COUNTS,
        whole=("last taken",),
        prose=("last error",),
        dropped=("last taken", "last error", "host"),
    )
    for each in endpoints:
        counts = [f"{count:,}" for count in (each["delivered"], each["pending"], each["dead"])]
        last = local_time(each["last_delivered_at"])
        shown.add_row(each["id"], each["host"], *counts, last, plain(each["last_error"] or ""))
    shown.print(console())
    if letters:
        dead = Table(
            "given up",
            *("message", "type", "workflow", "made", "attempts", "why"),
            right=("attempts",),
            whole=("message", "made"),  # the message is what `--resend` takes
            prose=("why",),
            dropped=("made", "type", "attempts", "workflow", "why"),
        )
        for letter in letters:
            row = [letter["id"], letter["type"], Id(letter["adw_id"]), local_time(letter["made_at"])]
            dead.add_row(*row, str(letter["attempts"]), plain(letter["last_error"]))
        dead.print(console())
        click.echo("costledger webhooks --resend MESSAGE sends one again")
