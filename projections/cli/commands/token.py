"""`costledger token`: who may use the server."""

from __future__ import annotations

from dataclasses import asdict

import click

from projections.cli.options import (
    data_option,
    data_path,
    example,
    json_option,
)
from projections.cli.output.console import console
from projections.cli.output.tables import Table
from projections.cli.output.text import local_time, print_json
from projections.server.service.tokens import SCOPES, TokenRegister

__all__ = []


@click.group("token")
def token_command() -> None:
    """Make, list and revoke the tokens of the server."""


@token_command.command("create", epilog=example("costledger token create --scope append --note 'build agents'"))
@click.option("--scope", type=click.Choice(SCOPES), required=True, help="What it allows.")
@click.option("--note", default="", help="Whose it is.")
@data_option
def create(scope: str, note: str) -> None:
    """Make a token and print it, once."""
    click.echo(TokenRegister(data_path()).create(scope, note))


@token_command.command("list", epilog=example("costledger token list"))
@json_option
@data_option
def list_tokens(as_json: bool) -> None:
    """List the tokens; their secrets are not stored."""
    tokens = TokenRegister(data_path()).all()
    if as_json:
        print_json([{n: v for n, v in asdict(token).items() if n != "sha256"} for token in tokens])
        return
    shown = Table(
        None,
        "token",
        "scope",
        "note",
        "made",
        "revoked",
        whole=("token", "made", "revoked"),
        prose=("note",),
        dropped=("made", "revoked", "note"),
    )
    for token in tokens:
        shown.add_row(token.id, token.scope, token.note, local_time(token.created_at), local_time(token.revoked_at))
    if tokens:
        shown.print(console())
    else:
        click.echo("no tokens; `costledger token create --scope read` makes one")


@token_command.command("revoke", epilog=example("costledger token revoke 5f0c1a2b"))
@click.argument("token_id", metavar="TOKEN")
@data_option
def revoke(token_id: str) -> None:
    """Revoke a token: from now on it allows nothing.

    TOKEN is its id, as `token list` shows it.
    """
    token = TokenRegister(data_path()).revoke(token_id)
    click.echo(f"{token.id} ({token.scope}) is revoked")
