"""Which ids a ledger may hold, so that one it does not hold is not looked for in the whole of it each time.

A Bloom filter (https://doi.org/10.1145/362686.362692): "no" is definite, "maybe" is for the file to say. It takes two
to four bytes an id, at most 4 MiB, and says "maybe" of an absent one once in 200 to 2,000 times, up to two million ids.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson

from ledger.events.event import Line
from ledger.storage.append import Bytes, find, ids_from

__all__ = ["SeenIds"]

_BITS_PER_ID: Final = 16
_BITS_MIN: Final = 1 << 14
_BITS_MAX: Final = 1 << 25
_LINE_BYTES: Final = 256
"""About, and rather too few: it only decides how large a filter is at first."""

_LOOK_BYTES: Final = 4 * 1024 * 1024
"""Looked through at one search, some 35 ms: other writers wait for no more, and a hundred searches do a million ids."""


class SeenIds:
    """The ids of one ledger, as far as it has been looked through; whoever asks sees to it that it only grows."""

    def __init__(self) -> None:
        self._asked = False
        self._begin_anew(0)

    def _begin_anew(self, ids: int) -> None:
        bits = min(_BITS_MAX, max(_BITS_MIN, 1 << (ids * _BITS_PER_ID).bit_length()))
        self._filter, self._mask, self._ids_max = bytearray(bits // 8), bits - 1, bits // _BITS_PER_ID
        self._ids = self._size = 0

    def find(self, ledger: Bytes, size: int, ids: set[str], path: Path) -> dict[str, Line]:
        """The lines of a ledger of this size that carry one of these ids, as `ledger.storage.append.find`.

        Raises:
            DamagedLedger: one of them does not verify.
        """
        old = {id for id in ids if self._may_hold(orjson.dumps(id))}
        found = find(ledger, old, path) | find(ledger, ids - old, path, self._size)
        if self._asked:  # a process that asks but once is not to pay for those it will not ask
            self._look_through(ledger, size)
        self._asked = True
        return found

    def _may_hold(self, id_json: bytes) -> bool:
        at = hash(id_json)
        step = (at >> 32) | 1
        return all(self._filter[(n & self._mask) >> 3] >> (n & 7) & 1 for n in (at, at + step, at + 2 * step))

    def _look_through(self, ledger: Bytes, size: int) -> None:
        """Take in some more whole lines."""
        if (self._ids > self._ids_max and self._mask < _BITS_MAX - 1) or self._size == 0:
            self._begin_anew(max(self._ids, size // _LINE_BYTES))
        end = min(size, self._size + _LOOK_BYTES)
        end = size if end == size else ledger.rfind(b"\n", self._size, end) + 1
        seen, mask = self._filter, self._mask
        for spelling, _ in ids_from(ledger, self._size, end):
            at = hash(spelling)
            step = (at >> 32) | 1
            seen[(at & mask) >> 3] |= 1 << (at & 7)
            at += step
            seen[(at & mask) >> 3] |= 1 << (at & 7)
            at += step
            seen[(at & mask) >> 3] |= 1 << (at & 7)
            self._ids += 1
        self._size = end
