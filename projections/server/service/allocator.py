"""The C library's allocator, set for a server: what one thread frees, another can use, and large bodies are given back.

glibc gives each thread an arena of its own, which keeps what the thread freed, and raises the size above which memory
is returned at once to that of the largest block that was freed (mallopt(3)). Python computes in one thread at a time,
so one arena is as fast.
"""

from __future__ import annotations

import contextlib
import ctypes
from typing import Final

__all__ = ["bound_allocator"]

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_RETURNED_BYTES_MIN: Final = 1024 * 1024


def bound_allocator() -> None:
    """Set glibc's allocator for this process; other C libraries have no such settings and are left as they are."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # no mallopt; on Windows no library without a name
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _RETURNED_BYTES_MIN)
