"""How a server divides the file descriptors that it may open."""

from __future__ import annotations

from typing import Final

from ledger.storage.descriptors import limit

__all__ = ["connections_at_hand", "threads_at_hand"]

_OTHERS: Final = 224
"""What rows, ledgers, sources and webhooks need at most in addition to connections."""

_OTHERS_MIN: Final = 26
"""What they need at least: 15 at rest, two for each thread that has the history open, and some ledgers."""


def connections_at_hand() -> int:
    """Return how many connections may be open: three quarters of few descriptors are for others."""
    return max(1, limit() - max(_OTHERS_MIN, min(_OTHERS, limit() * 3 // 4)))


def threads_at_hand(most: int) -> int:
    """Return how many threads, of at most so many, a pool may have whose threads open the history each."""
    return max(1, min(most, limit() // 24))
