"""A priced reading, and the sum of several. Money is integer nanodollars."""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.events.fields import USAGE_FIELDS

__all__ = ["NO_FIGURES", "NO_TOKENS", "Figures", "Reading", "Summed", "Tokens", "figures", "lower_bound"]

Tokens = tuple[int, ...]
"""Counts in the order of `USAGE_FIELDS`."""

Figures = tuple[int, ...]
"""A cost and its tokens."""

NO_TOKENS: Final[Tokens] = (0,) * len(USAGE_FIELDS)
NO_FIGURES: Final[Figures] = (0, *NO_TOKENS)


class Reading(NamedTuple):
    """A priced reading, ordered by which of two wins: by cost, then by content, never by arrival."""

    cost_nanousd: int
    reported: bool
    complete: bool
    final: bool
    usage: Tokens
    """Empty when the reading has none."""


class Summed(Reading):
    """The sum of a meter's counters on top of its settled figure; its flags are those of the counters alone.

    Attributes:
        grown: the tokens that the counters added in this run.
    """

    grown: Tokens


def lower_bound(reading: Reading) -> Reading:
    """Return a reading or a sum as one that is neither complete nor final."""
    made = type(reading)(reading.cost_nanousd, reading.reported, complete=False, final=False, usage=reading.usage)
    if isinstance(reading, Summed) and isinstance(made, Summed):
        made.grown = reading.grown
    return made


def figures(reading: Reading) -> Figures:
    """Return a reading's cost and tokens; tokens that it does not name are 0."""
    return (reading.cost_nanousd, *(reading.usage or NO_TOKENS))
