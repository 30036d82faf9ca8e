"""File descriptors: the limit of this process, and the caches that are emptied when it is reached."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Callable
from typing import Final, Protocol, TypeVar
from weakref import WeakSet

from ledger.errors import is_shortage

__all__ = ["Cache", "limit", "raise_limit", "register", "retried", "shortage"]

T = TypeVar("T")

_ENOUGH: Final = 4096
"""A server needs one for each connection, two for each thread that reads rows, and one for each cached ledger."""

_PROBED: Final = 4
"""What SQLite opens for one statement: a database, its log, the index of it, and their folder."""

_UNOPENED: Final = frozenset({8, 10, 14})
"""SQLITE_READONLY, SQLITE_IOERR and SQLITE_CANTOPEN: the errors of SQLite when it could not open a file."""


class Cache(Protocol):
    """Files that stay open for their next use."""

    def close_idle(self) -> bool:
        """Close all files that are not in use; return False when there were none."""
        ...


_caches: WeakSet[Cache] = WeakSet()


def register(cache: Cache) -> None:
    """Register a cache, to be emptied when a file cannot be opened; only a weak reference is stored."""
    _caches.add(cache)


def limit() -> int:
    """Return how many descriptors this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> int:
    """Raise the soft limit of this process as far as the hard one allows, up to what a server can use; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(_ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return limit()


def retried(opened: Callable[[], T]) -> T:
    """Open a file; when there are too few descriptors, empty the caches and try once more.

    Raises:
        OSError: it was refused, or nothing was cached.
    """
    try:
        return opened()
    except OSError as error:
        if not is_shortage(error) or not sum(cache.close_idle() for cache in list(_caches)):
            raise
    return opened()


def shortage(error: Exception) -> OSError | None:
    """Return the error of the system when too few descriptors caused an error of the system or SQLite; else None.

    SQLite does not pass the error of the system on, so this opens files to get it.
    """
    if isinstance(error, OSError):
        return error if is_shortage(error) else None
    if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _UNOPENED:
        return None
    opened: list[int] = []
    try:
        while len(opened) < _PROBED:
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as refused:
        return refused if is_shortage(refused) else None
    finally:
        for fd in opened:
            os.close(fd)
    return None
