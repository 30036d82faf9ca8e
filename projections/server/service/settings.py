"""Settings of a server: its address, the host names that it answers to, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one server.

    Attributes:
        allowed_hosts: names that a request's Host header may have, in addition to the address listened on and, on a
            loopback address, `localhost`.
        tokens_required: also on a loopback address; elsewhere they always are.
        body_bytes_max: of one request; a batch of events is also limited by `batch_events_max`.
        body_seconds_max: from a request's head to the end of its body.
        head_seconds_max: from the first byte of a request to the end of its head.
        requests_per_second_max: of one client address; a burst may be twice that.
        connections_max: open ones of one client address, streams among them.
        streams_max: open event streams of all clients.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8765
    allowed_hosts: tuple[str, ...] = ()
    tokens_required: bool = False
    body_bytes_max: int = 16 * 1024 * 1024
    batch_events_max: int = 10_000
    body_seconds_max: float = 20.0
    head_seconds_max: float = 10.0
    requests_per_second_max: int = 2_000
    connections_max: int = 640
    streams_max: int = 512

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return _is_loopback(self.host)

    @property
    def needs_tokens(self) -> bool:
        """Whether a request needs a token."""
        return self.tokens_required or not self.loopback

    @property
    def wildcard(self) -> bool:
        """Whether it listens on every address of this machine, so that its `host` is a name for no client."""
        return _is_wildcard(self.host)

    @property
    def hosts(self) -> list[str]:
        """Return the names that a Host header may have, without a port, in lower case."""
        local = ("localhost", "127.0.0.1", "::1") if self.loopback else ()
        return list(dict.fromkeys((*local, *(name.lower() for name in (self.host, *self.allowed_hosts)))))


def _is_wildcard(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return not host


@lru_cache
def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
