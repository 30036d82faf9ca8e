"""Phrases for messages: counts with their noun, and lists of names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["counted", "first_of"]

_NAMED_MAX: Final = 5


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: "1 workflow", "1,200 workflows"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def first_of(names: Sequence[str]) -> str:
    """Return the first names of a list as a phrase: "a, b", "a, b, c, d, e and 3 more"."""
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more:,} more" if more > 0 else "")
