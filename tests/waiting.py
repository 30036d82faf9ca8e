"""Waiting until something is so, for tests of what happens by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["until"]

T = TypeVar("T")


def until(
    look: Callable[[], T], true: Callable[[T], bool], seconds: float = 15.0, told: Callable[[T], str] = repr
) -> T:
    """What is found, as soon as that is true of it; an AssertionError tells what was found last."""
    deadline = time.monotonic() + seconds
    while not true(found := look()):
        assert time.monotonic() < deadline, told(found)
        time.sleep(0.01)
    return found
