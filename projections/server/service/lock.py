"""The lock of a server: only one serves a data directory, since two would send each webhook twice.

The operating system releases it (`flock`) when the process ends, however it ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger.errors import CostledgerError, reason
from ledger.storage.locks import try_lock

__all__ = ["AnotherServer", "ServerLock", "server_lock"]

_NAME: Final = "server.lock"
_ADDRESS_BYTES_MAX: Final = 300


class AnotherServer(CostledgerError):
    """Another server has this data directory; `who` is its process and address."""

    def __init__(self, data: Path, who: str) -> None:
        super().__init__(
            f"another server has {data.absolute()}: {who or 'it is starting'}; use that one, or stop it first"
        )


class ServerLock:
    """The lock of a running server."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def publish(self, address: str) -> None:
        """Write the address into the lock file, so that others find this server."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()} at {address}\n".encode(), 0)


@contextmanager
def server_lock(data: Path) -> Iterator[ServerLock]:
    """Be the only server of a data directory, which is created.

    Raises:
        AnotherServer: one is running.
        CostledgerError: the operating system refused.
    """
    path = data / _NAME
    try:
        data.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise CostledgerError(f"could not lock {path}: {reason(error)}") from error
    try:
        try:
            free = try_lock(descriptor)
        except OSError as error:
            raise CostledgerError(f"could not lock {path}: {reason(error)}") from error
        if not free:
            raise AnotherServer(data, os.pread(descriptor, _ADDRESS_BYTES_MAX, 0).decode(errors="replace").strip())
        os.ftruncate(descriptor, 0)
        yield ServerLock(descriptor)
    finally:
        os.close(descriptor)
