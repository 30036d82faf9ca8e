"""A filter of the ids in a ledger, so that a new id does not cost a search of the whole ledger.

A Bloom filter (https://doi.org/10.1145/362686.362692): "no" is definite, "maybe" needs a search of the file. It
takes two to four bytes an id, at most 4 MiB. Up to two million ids it answers "maybe" for one of 200 to 2,000 new ids.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson

from ledger.events.event import Line
from ledger.storage.append import Bytes, find, ids_from

__all__ = ["IdFilter"]

_BITS_PER_ID: Final = 16
_BITS_MIN: Final = 1 << 14
_BITS_MAX: Final = 1 << 25
_LINE_BYTES: Final = 256
"""A low estimate, which only decides the first size of a filter."""

_INDEXED_BYTES: Final = 4 * 1024 * 1024
"""Indexed at one search, in about 35 ms: so long do other writers wait. A hundred searches index a million ids."""


class IdFilter:
    """The ids of one ledger, as far as it has been indexed; a ledger that was cut or replaced needs a new filter."""

    def __init__(self) -> None:
        self._asked = False
        self._reset(0)

    def _reset(self, ids: int) -> None:
        bits = min(_BITS_MAX, max(_BITS_MIN, 1 << (ids * _BITS_PER_ID).bit_length()))
        self._filter, self._mask, self._ids_max = bytearray(bits // 8), bits - 1, bits // _BITS_PER_ID
        self._ids = self._size = 0

    def find(self, ledger: Bytes, size: int, ids: set[str], path: Path) -> dict[str, Line]:
        """Return the lines of a ledger of this size with one of these ids, as `ledger.storage.append.find`.

        Raises:
            DamagedLedger: one of them does not verify.
        """
        old = {id for id in ids if self._may_hold(orjson.dumps(id))}
        found = find(ledger, old, path) | find(ledger, ids - old, path, self._size)
        if self._asked:  # a process that asks only once does not pay for an index
            self._index(ledger, size)
        self._asked = True
        return found

    def _may_hold(self, id_json: bytes) -> bool:
        at = hash(id_json)
        step = (at >> 32) | 1
        return all(self._filter[(n & self._mask) >> 3] >> (n & 7) & 1 for n in (at, at + step, at + 2 * step))

    def _index(self, ledger: Bytes, size: int) -> None:
        """Add the ids of some more whole lines."""
        if (self._ids > self._ids_max and self._mask < _BITS_MAX - 1) or self._size == 0:
            self._reset(max(self._ids, size // _LINE_BYTES))
        end = min(size, self._size + _INDEXED_BYTES)
        end = size if end == size else ledger.rfind(b"\n", self._size, end) + 1
        bits, mask = self._filter, self._mask
        for spelling, _ in ids_from(ledger, self._size, end):
            at = hash(spelling)
            step = (at >> 32) | 1
            bits[(at & mask) >> 3] |= 1 << (at & 7)
            at += step
            bits[(at & mask) >> 3] |= 1 << (at & 7)
            at += step
            bits[(at & mask) >> 3] |= 1 << (at & 7)
            self._ids += 1
        self._size = end
