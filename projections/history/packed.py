"""The ten figures of spend as one integer: to add two of them is to add two numbers.

Each figure has a lane of 96 bits, the first one the lowest, so that sums of 2^32 figures of 64 bits do not meet. A
negative figure borrows from the lane above, as digits do.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from projections.folding.spend import AMOUNTS, Amounts

__all__ = ["LANE_BYTES", "cost_of", "pack", "unpack"]

LANE_BYTES: Final = 12
_BITS: Final = 8 * LANE_BYTES
_MASK: Final = (1 << _BITS) - 1
_HALF: Final = 1 << (_BITS - 1)
_HALVES: Final = sum(_HALF << (_BITS * at) for at in range(len(AMOUNTS)))
_LANES: Final = struct.Struct("<" + "QI" * len(AMOUNTS))
_NONE: Final = _HALF >> 64
"""The upper part of a lane, raised by a half, whose figure is not negative and has 64 bits at most."""
_SHIFTS: Final = [_BITS * at for at in range(len(AMOUNTS))]


def pack(amounts: Sequence[int] | Iterable[int]) -> int:
    """Return figures in the order of `AMOUNTS` as one integer."""
    return sum(amount << shift for amount, shift in zip(amounts, _SHIFTS, strict=True) if amount)


def unpack(packed: int) -> Amounts:
    """Return the figures of an integer, or of a sum of such, in the order of `AMOUNTS`."""
    if not packed:
        return [0] * len(AMOUNTS)
    halves = iter(_LANES.unpack((packed + _HALVES).to_bytes(_LANES.size, "little")))
    return [low if high == _NONE else (high << 64 | low) - _HALF for low, high in zip(halves, halves, strict=True)]


def cost_of(packed: int) -> int:
    """Return the cost in nanodollars, which is the first figure."""
    low = packed & _MASK
    return low - _MASK - 1 if low >= _HALF else low
