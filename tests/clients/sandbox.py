"""A network without anything but loopback, for a process and all that it starts.

A network namespace of its own where the kernel permits one (root, or user namespaces). Elsewhere proxies that refuse:
a client that ignores them reaches the network, but has no key that any service would take.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Sequence
from functools import cache
from typing import Final

__all__ = ["environment", "is_isolated", "isolated", "raise_loopback"]

_MARK: Final = "COSTLEDGER_CLIENTS_NAMESPACE"
_WAYS: Final = (("unshare", "--net"), ("unshare", "--map-root-user", "--net"))
_NOWHERE: Final = "http://127.0.0.1:9"
"""The port of `discard`, where nothing listens."""


@cache
def _unshare() -> tuple[str, ...]:
    for way in _WAYS:
        try:
            if subprocess.run([*way, "true"], capture_output=True, timeout=20).returncode == 0:
                return way
        except OSError:
            return ()
    return ()


def isolated(command: Sequence[str]) -> list[str]:
    """Return a command that runs another one in a namespace of its own, where that is permitted."""
    way = _unshare()
    return [*way, "env", f"{_MARK}=1", *command] if way else list(command)


def is_isolated() -> bool:
    return _MARK in os.environ


def raise_loopback() -> None:
    """Bring the loopback interface of a new namespace up, as `ip link set lo up` does."""
    siocgifflags, siocsifflags, iff_up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(control, siocgifflags, asked))[1]
        fcntl.ioctl(control, siocsifflags, struct.pack("16sH14x", b"lo", flags | iff_up))


def environment() -> dict[str, str]:
    """Return what a client's environment needs so that it asks nobody else."""
    if is_isolated():
        return {}
    refused = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _NOWHERE)
    both = refused | {name.lower(): value for name, value in refused.items()}
    return both | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
