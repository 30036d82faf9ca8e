"""Phrases for messages: counts with their noun, lists of names, and foreign text without terminal sequences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["counted", "first_of", "without_escapes"]

_NAMED_MAX: Final = 5

_ESCAPES: Final = re.compile(
    r"""
    (?:\x1b\[|\x9b) [0-?]* [ -/]* [@-~]                        # a control sequence, such as a colour
    | (?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]) [^\x07\x1b\x9c]* (?:\x07|\x1b\\|\x9c)  # a string, such as a title
    | \x1b [ -/]* [0-~]
    """,
    re.VERBOSE,
)
"""Whole escape sequences of terminals: ECMA-48, sections 5.3 to 5.6; xterm also ends a string with BEL."""


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: "1 workflow", "1,200 workflows"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def first_of(names: Sequence[str]) -> str:
    """Return the first names of a list as a phrase: "a, b", "a, b, c, d, e and 3 more"."""
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more:,} more" if more > 0 else "")


def without_escapes(text: str) -> str:
    """Return a text without the escape sequences of terminals; other control characters are unchanged."""
    return _ESCAPES.sub("", text) if "\x1b" in text or not text.isprintable() else text
