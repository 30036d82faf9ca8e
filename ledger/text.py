"""Words for people: counts with their noun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["counted", "first_of"]

_NAMED_MAX: Final = 5


def counted(count: int, noun: str) -> str:
    """So many of them: "1 workflow", "1,200 workflows"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def first_of(names: Sequence[str]) -> str:
    """As many of some names as a sentence bears: "a, b", "a, b, c, d, e and 3 more"."""
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more:,} more" if more > 0 else "")
