"""Open a replica by its name: an adapter of the port `ledger.replication.replica.Replica`."""

from __future__ import annotations

from importlib import import_module

from ledger.errors import MissingExtra
from ledger.replication.replica import Replica

__all__ = ["open_replica"]


def open_replica(name: str, *, copies: int | None = None, credentials: str | None = None) -> Replica:
    """Return the replica of a name such as `nats://HOST:PORT`; nothing is connected yet.

    Args:
        copies: on how many servers to store a stream that does not exist yet; None: make none.
        credentials: the path of a NATS credentials file.

    Raises:
        InvalidReplica: the name is no name of a replica.
        MissingExtra: nats-py is not installed, or, for credentials, nkeys.
    """
    try:
        from ledger.replication.nats.replica import NatsReplica

        if credentials is not None:
            import_module("nkeys")  # nats-py imports it when it signs, and only then
    except ImportError:
        raise MissingExtra("a replica on NATS", "nats") from None
    return NatsReplica(name, copies=copies, credentials=credentials)
