"""What a cost was taken from: bits for the kinds of its readings, and counts of meters by bit. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["COUNTED", "PARTIAL", "PRICED", "REPORTED", "bits_of"]

REPORTED, PRICED, PARTIAL = 1, 2, 4
"""Bits of a basis: the kinds of readings that a cost was taken from."""

_COUNT_BITS: Final = 40
"""Room for the children of one meter that have a bit of a basis; three such counts share an integer."""
_COUNT: Final = (1 << _COUNT_BITS) - 1

COUNTED: Final = tuple([sum(1 << _COUNT_BITS * at for at in range(3) if bits & 1 << at) for bits in range(8)])
"""By the bits of a meter, what it adds to the three counts of its parent."""


def bits_of(counts: int) -> int:
    """Return the bits of the three counts that are not 0."""
    reported, priced, partial = counts & _COUNT, counts >> _COUNT_BITS & _COUNT, counts >> 2 * _COUNT_BITS
    return (REPORTED if reported else 0) | (PRICED if priced else 0) | (PARTIAL if partial else 0)
