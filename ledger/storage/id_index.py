"""An index of the ids in a ledger, so that a new id does not cost a search of the whole ledger.

It has the CRC-32 of the id of each line, sorted within parts of the ledger: four bytes a line. "No" is definite; for
"maybe", of a million ids one of 4,000 new ones, the ledger's bytes are searched from that part on.

The index of a large ledger is stored next to it, in `<ledger>.ids`, for the next process. It only saves time: it is not
synced, may be deleted, and is used only when its checksum is correct and the ledger has the line that it ends with; the
hash of that line covers all bytes before it.
"""

from __future__ import annotations

import contextlib
import sys
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from zlib import crc32

import orjson

from ledger.events.event import Line
from ledger.storage.append import Bytes, find, ids_from
from ledger.storage.line import ENDING_BYTES

__all__ = ["IdIndex", "index_path"]

_INDEXED_BYTES: Final = 16 * 1024 * 1024
"""One part, indexed at one search, in about 20 ms: so long do other writers wait. Smaller ledgers have no file."""

_FORMAT: Final = f"costledger ids 1 {sys.byteorder}"
_CHECKSUM_BYTES: Final = 4


def index_path(ledger: Path) -> Path:
    """Return the path of the stored index of a ledger, whether it exists or not."""
    return ledger.with_name(ledger.name + ".ids")


class IdIndex:
    """The ids of one ledger, as far as it has been indexed; a ledger that was cut or replaced needs a new index."""

    def __init__(self) -> None:
        self._asked = False
        self._parts: list[tuple[int, Sequence[int]]] = []  # where each part begins, and its sorted fingerprints
        self._recent: set[int] = set()  # fingerprints after the last part
        self._parts_end = self._size = 0

    def find(self, ledger: Bytes, size: int, ids: set[str], path: Path) -> dict[str, Line]:
        """Return the lines of a ledger of this size with one of these ids, as `ledger.storage.append.find`.

        Raises:
            DamagedLedger: one of them does not verify.
        """
        if not self._asked and size >= _INDEXED_BYTES:
            self._load(ledger, size, path)
        starts = {id: self._start_of(crc32(orjson.dumps(id))) for id in ids}
        old = {id: start for id, start in starts.items() if start < self._size}
        found = find(ledger, ids - old.keys(), path, self._size)
        if old:
            found |= find(ledger, old.keys(), path, min(old.values()))
        if self._asked or size - self._size >= _INDEXED_BYTES:  # a process that asks once indexes only a whole part
            self._index(ledger, size, path)
        self._asked = True
        return found

    def _start_of(self, fingerprint: int) -> int:
        """Return where the first part begins that may have an id; the end of the index when none has it."""
        for start, part in self._parts:
            at = bisect_left(part, fingerprint)
            if at < len(part) and part[at] == fingerprint:
                return start
        return self._parts_end if fingerprint in self._recent else self._size

    def _index(self, ledger: Bytes, size: int, path: Path) -> None:
        """Add the ids of some more whole lines, and store the index when they complete a part."""
        end = min(size, self._parts_end + _INDEXED_BYTES)
        end = size if end == size else ledger.rfind(b"\n", self._size, end) + 1 or self._size
        self._recent.update(crc32(spelling) for spelling, _ in ids_from(ledger, self._size, end))
        self._size = end
        if end < size:
            self._parts.append((self._parts_end, array("I", sorted(self._recent))))
            self._recent, self._parts_end = set(), end
            self._store(ledger, path)

    def _store(self, ledger: Bytes, path: Path) -> None:
        """Store the parts. Call it under the lock of the ledger; what cannot be stored is indexed again."""
        header = {
            "format": _FORMAT,
            "parts": [(start, len(part)) for start, part in self._parts],
            "end": self._parts_end,
            "ending": _ending(ledger, self._parts_end),
        }
        body = b"\n".join([orjson.dumps(header), b"".join(array("I", part) for _, part in self._parts)])
        stored = index_path(path)
        new = stored.with_name(stored.name + ".new")
        try:
            new.write_bytes(_checksum(body) + body)
            new.replace(stored)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink()

    def _load(self, ledger: Bytes, size: int, path: Path) -> None:
        """Take over the stored index, if it was made of this ledger."""
        try:
            raw = index_path(path).read_bytes()
        except OSError:
            return
        body = memoryview(raw)[_CHECKSUM_BYTES:]
        if not body or _checksum(body) != raw[:_CHECKSUM_BYTES]:
            return
        header = raw.index(b"\n", _CHECKSUM_BYTES)
        made = orjson.loads(raw[_CHECKSUM_BYTES:header])
        if made["format"] != _FORMAT or made["end"] > size or made["ending"] != _ending(ledger, made["end"]):
            return
        fingerprints, at = memoryview(raw)[header + 1 :].cast("I"), 0
        for start, count in made["parts"]:
            self._parts.append((start, fingerprints[at : at + count]))
            at += count
        self._parts_end = self._size = made["end"]


def _checksum(body: bytes | memoryview[int]) -> bytes:
    return crc32(body).to_bytes(_CHECKSUM_BYTES, "big")


def _ending(ledger: Bytes, end: int) -> str:
    """Return the end of the line that ends at a position, with its hash."""
    return ledger[end - ENDING_BYTES : end].decode("ascii", "replace")
