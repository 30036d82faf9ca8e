"""`webhooks`: who is told, how they fare, what was given up, and sending that again."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from ledger.errors import InvalidInput, MissingExtra
from ledger.events import timestamps
from projections.cli.options import config, config_option, data_option, data_path, json_option
from projections.cli.output.console import console
from projections.cli.output.tables import Id, Table
from projections.cli.output.text import local_time, plain, print_json

if TYPE_CHECKING:
    from projections.server.webhooks.outbox import DeadLetter, Outbox, Tally

_SECRET_BYTES: Final = 32
_COUNTS: Final = ("taken", "waiting", "given up")


@click.command("webhooks")
@click.option("--new-secret", is_flag=True, help="Print a fresh secret, and do nothing else.")
@click.option("--resend", metavar="MESSAGE", help="Let a message that was given up (its webhook-id) be sent again.")
@json_option
@config_option
@data_option
def webhooks_command(new_secret: bool, resend: str | None, as_json: bool) -> None:
    """Who is told by webhooks, how they fare, and what was given up; a running `serve` delivers."""
    if new_secret:
        click.echo(f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}")
        return
    try:
        from projections.server.webhooks.endpoints import host_of, id_of
    except ImportError:
        raise MissingExtra("`costledger webhooks`", "server") from None
    from projections.server.webhooks.outbox import Outbox

    webhooks = config().webhooks
    if not (data_path() / "webhooks.db").is_file():
        if resend is not None:
            raise InvalidInput(f"no message {resend!r} was given up: no webhook was ever sent from {data_path()}")
        told = "none has been told anything yet; `costledger serve` does" if webhooks else "none is configured"
        if as_json:
            print_json({"endpoints": [], "dead_letters": []})
        else:
            click.echo(f"webhooks: {told} (docs/admin.md)")
        return
    outbox = Outbox(data_path())
    try:
        if resend is not None:
            _resend(outbox, resend)
        else:
            known = [(id_of(each.url), host_of(each.url), outbox.tally(id_of(each.url))) for each in webhooks]
            _print(known, outbox.dead_letters(), as_json=as_json)
    finally:
        outbox.close()


def _resend(outbox: Outbox, message: str) -> None:
    endpoints = outbox.resend(message, time.time())
    if not endpoints:
        raise InvalidInput(f"no message {message!r} was given up; `costledger webhooks` lists those that were")
    click.echo(f"{message} will be sent again to {', '.join(endpoints)}")


def _print(known: Sequence[tuple[str, str, Tally]], letters: Sequence[DeadLetter], *, as_json: bool) -> None:
    if as_json:
        endpoints = [{"id": id, "host": host} | _timed(asdict(tally)) for id, host, tally in known]
        print_json({"endpoints": endpoints, "dead_letters": [_timed(asdict(letter)) for letter in letters]})
        return
    shown = Table(
        None,
        *("endpoint", "host", *_COUNTS, "last taken", "last error"),
        right=_COUNTS,
        whole=("last taken",),
        prose=("last error",),
        dropped=("last taken", "last error", "host"),
    )
    for id, host, tally in known:
        counts = [f"{count:,}" for count in (tally.delivered, tally.pending, tally.dead)]
        shown.add_row(id, host, *counts, _local(tally.last_delivered_at), plain(tally.last_error or ""))
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
            row = [letter.id, letter.type, Id(letter.adw_id), _local(letter.made_at), str(letter.attempts)]
            dead.add_row(*row, plain(letter.last_error))
        dead.print(console())
        click.echo("costledger webhooks --resend MESSAGE sends one again")


def _timed(told: dict[str, Any]) -> dict[str, Any]:
    """The same with times as text."""
    return {name: _wire(value) if name.endswith("_at") else value for name, value in told.items()}


def _wire(moment: float | None) -> str | None:
    return None if moment is None else timestamps.to_wire(timestamps.from_unix(moment))


def _local(moment: float | None) -> str:
    return local_time(_wire(moment))
