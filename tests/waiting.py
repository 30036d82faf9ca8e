"""Waiting until something is so, for tests of what happens by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["until"]

T = TypeVar("T")


def until(
    look: Callable[[], T], true: Callable[[T], bool], seconds: float = 15.0, describe: Callable[[T], str] = repr
) -> T:
    """What is found, as soon as that is true of it; an AssertionError describes what was found last."""
    deadline = time.monotonic() + seconds
    while not true(found := look()):
        assert time.monotonic() < deadline, describe(found)
        time.sleep(0.01)
    return found
