"""The configuration of the one JetStream stream, and how an existing one differs from it.

Field names are JetStream's own (https://docs.nats.io/nats-concepts/jetstream/streams).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from ledger.replication.subjects import ALL

__all__ = ["STREAM", "differences", "made"]

STREAM: Final[Mapping[str, Any]] = {
    "name": "costledger",
    "subjects": [ALL],
    "retention": "limits",
    "storage": "file",
    "discard": "new",  # a full stream refuses lines, which then wait in their ledgers, instead of dropping old ones
    "max_age": 0,
    "max_msgs": -1,
    "max_msgs_per_subject": 0,
    "deny_delete": True,
    "deny_purge": True,
    "allow_atomic": True,  # nats-server 2.12 or newer
}
"""What lines need to be safe; everything else, such as `max_bytes` or `compression`, is the operator's choice."""

_UNLIMITED: Final = (None, 0, -1)


def made(config: Mapping[str, Any], copies: int) -> dict[str, Any]:
    """Return the configuration to create a stream with, stored on this many servers."""
    return {**config, "num_replicas": copies}


def differences(config: Mapping[str, Any], found: Mapping[str, Any], copies: int | None) -> list[str]:
    """Return the differences of a stream from a configuration; empty without any.

    Args:
        copies: on how many servers it should be stored; None: any number.
    """
    wanted = dict(config) if copies is None else made(config, copies)
    meant = f" (if so few are meant: --copies {found.get('num_replicas')})"
    return [
        f"stream {config['name']!r} has {name} {_json(found.get(name))}, and needs {_json(value)}"
        + (meant if name == "num_replicas" else "")
        for name, value in wanted.items()
        if found.get(name) != value and not (value in _UNLIMITED and found.get(name) in _UNLIMITED)
    ]


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
