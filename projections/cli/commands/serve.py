"""`serve` and `token`: the HTTP API and the page, and who may use them."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ledger.errors import CostledgerError, InvalidInput, MissingExtra, reason
from ledger.importing.source_registry import SourceEntry
from ledger.replication.open import open_replica
from ledger.sources import KINDS
from ledger.storage import descriptors
from projections.cli.numbers import Finite, Whole
from projections.cli.options import (
    config,
    config_option,
    credentials_option,
    data_option,
    data_path,
    history_option,
    history_spelling,
    prices,
    replica_option,
)
from projections.server.service.settings import Settings

if TYPE_CHECKING:
    from projections.server.service.service import Service

F = TypeVar("F", bound=Callable[..., Any])

_LIMITS: Final = {
    "body_bytes_max": "Bytes of one request's body.",
    "batch_events_max": "Events of one request.",
    "body_seconds_max": "From a request's head to the end of its body.",
    "head_seconds_max": "From a request's first byte to the end of its head.",
    "requests_per_second_max": "Of one client address; a burst may be twice that.",
    "connections_max": "Open connections of one client address.",
    "streams_max": "Open event streams.",
}
"""What each limit of `Settings` is of."""


def _limits(command: F) -> F:
    """An option for each limit of `Settings`."""
    defaults = {limit.name: limit.default for limit in fields(Settings)}
    for name, of in reversed(_LIMITS.items()):
        kind = Whole(1) if isinstance(defaults[name], int) else Finite(0, 86_400, above=True)
        option = click.option(
            f"--{name.replace('_', '-')}", type=kind, default=defaults[name], show_default=True, help=of
        )
        command = option(command)
    return command


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="The port; 0 takes a free one."
)
@click.option("--allow-host", multiple=True, metavar="NAME", help="A name or address that clients call it by.")
@click.option(
    "--watch",
    "watched",
    multiple=True,
    metavar="KIND:PATH",
    help="A source to follow, besides those that are configured or remembered from an import.",
)
@click.option("--require-tokens", is_flag=True, help="Ask for tokens on a loopback address, too.")
@_limits
@replica_option("--from")
@credentials_option
@config_option
@history_option
@data_option
def serve_command(
    host: str,
    port: int,
    allow_host: tuple[str, ...],
    watched: tuple[str, ...],
    require_tokens: bool,
    replica_name: str | None,
    credentials: str | None,
    **limits: float,
) -> None:
    """Serve the HTTP API and the live page, until Ctrl-C.

    On rows that projectors write, --from names the shared engine that their events are read from.
    """
    _prepare_libraries()
    from projections.applications.opening import application_at
    from projections.history.open import open_history
    from projections.server.asgi import http_server
    from projections.server.service.lock import server_lock
    from projections.server.service.service import Service

    descriptors.raise_limit()
    named = application_at(history_spelling(), data := data_path())
    settings = Settings(data, host, port, tuple(allow_host), require_tokens, **limits)  # type: ignore[arg-type]
    service = Service(
        settings,
        lambda: open_history(named.history),
        config=config(),
        prices=prices(),
        watched=[_watched(text) for text in watched],
        replica=open_replica(replica_name, credentials=credentials) if replica_name else None,
        application=named.application,
    )
    _check_tokens(service)
    server = http_server(service)
    with server_lock(data) as lock:
        listening = listening_socket(host, port)
        lock.publish(address := _address(listening, host))
        _print_start(service, address)
        server.run([listening])


def _print_start(service: Service, address: str) -> None:
    click.echo(f"costledger: {service.settings.data.absolute()} at {address} (Ctrl-C ends it)", err=True)
    click.echo(f"costledger: {_answered(service.settings)}", err=True)
    if service.application is not None:
        click.echo(f"costledger: updates workflow_history in {service.application.where}", err=True)


def _address(listening: socket.socket, host: str) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/"


def _prepare_libraries() -> None:
    try:
        import fastapi  # noqa: F401
        import httpx  # noqa: F401
        import opentelemetry.proto  # noqa: F401
        import prometheus_client  # noqa: F401
        import standardwebhooks  # noqa: F401
        import uvicorn  # noqa: F401
        import watchfiles  # noqa: F401
    except ImportError:
        raise MissingExtra("`costledger serve`", "server") from None
    for name in ("watchfiles", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)  # httpx logs whole URLs, which may hold secrets


def _check_tokens(service: Service) -> None:
    settings = service.settings
    if settings.needs_tokens and not any(token.revoked_at is None for token in service.tokens.all()):
        raise InvalidInput(
            f"{settings.host} is reached from other machines, so requests need tokens, and there is none yet: "
            "costledger token create --scope read"
        )


def _answered(settings: Settings) -> str:
    """What its clients may call it, and what to do when that helps none."""
    if settings.wildcard and not settings.allowed_hosts:
        return (
            f"warning: {settings.host} is every address and no host name, so requests from other machines are refused "
            "(421); name the host as clients do: --allow-host NAME"
        )
    return f"answers requests for {', '.join(settings.hosts)}; --allow-host NAME adds one"


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket whose connections send each answer at once; those beyond the free descriptors are refused.

    asyncio sees to that for sockets it made itself only; without it the second part of an answer waits for the client's
    acknowledgement of the first, some 40 ms (Nagle's algorithm, RFC 896, with delayed acknowledgements, RFC 1122).
    """
    from projections.server.http.listening_socket import Listening
    from projections.server.service.descriptors import connections_at_hand

    try:
        made = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        listening = Listening(made, connections_at_hand())
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted ones inherit it
        return listening
    except OSError as error:
        raise CostledgerError(f"could not listen on {host}:{port}: {reason(error)}") from error


def _watched(text: str) -> SourceEntry:
    kind, _, path = text.partition(":")
    if kind not in KINDS or not path:
        raise InvalidInput(f"--watch {text!r}: give KIND:PATH, and KIND one of {', '.join(KINDS)}")
    return SourceEntry(kind, str(Path(path).expanduser().absolute()))
