"""Reading a ledger: every line verified before it is handed out.

A reader works on raw bytes in chunks, so its memory does not grow with the ledger; each line's hash is checked
against the line before it, and only then are the chunk's lines parsed, all in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import orjson

from ledger.errors import DamagedLedger
from ledger.events import Line
from ledger.line import EMPTY, HASH_CHARACTERS, LINE_BYTES_MAX, Head, problem_of

__all__ = ["LedgerReader", "ReadAt"]

ReadAt = Callable[[int, int], bytes]
"""`(offset, count) -> bytes`, as `os.pread`."""

_CHUNK_BYTES: Final = 1024 * 1024
_FROM_HASH: Final = HASH_CHARACTERS + 3  # the digits and `"}\n`


class LedgerReader:
    """The verified lines of one ledger, in order, up to the size it had when the reader was made.

    Iterate once. An unterminated tail was never acknowledged and is not read; `torn_bytes` says how long it is.

    Attributes:
        head: the last line handed out so far.
        torn_bytes: known once the iteration has ended.

    Raises:
        DamagedLedger: while iterating, at the first line that does not verify.
    """

    def __init__(self, workflow_id: str, path: Path, read_at: ReadAt, size: int, *, start: Head = EMPTY) -> None:
        self.workflow_id, self.path, self.size = workflow_id, path, size
        self.head = start
        self.torn_bytes = 0
        self._read_at = read_at
        self._before = self._ending(start) if start.seq else b""

    def __iter__(self) -> Iterator[Line]:
        for lines, sizes in self.chunks():
            for line, size in zip(lines, sizes, strict=True):
                self.head = Head(self.head.seq + 1, self.head.size + size, line["hash"])
                yield line

    def raw_lines(self) -> Iterator[bytes]:
        """The verified lines as the bytes they are."""
        for raws in self._verified():
            for raw in raws:
                self.head = Head(self.head.seq + 1, self.head.size + len(raw), raw[-_FROM_HASH:-3].decode())
                yield raw

    def chunks(self) -> Iterator[tuple[list[Line], list[int]]]:
        """Verified lines and their sizes in bytes, a chunk at a time; `head` is left to the caller."""
        seq, offset = self.head.seq, self.head.size
        for raws in self._verified():
            lines: list[Line] = []
            for value, raw in zip(_parsed(raws), raws, strict=True):
                seq += 1
                problem = _misplaced(value, seq, self.workflow_id)
                if problem is not None or not isinstance(value, dict):
                    raise DamagedLedger(self.path, seq, offset, problem or "is not a JSON object")
                lines.append(value)
                offset += len(raw)
            yield lines, [len(raw) for raw in raws]

    def _verified(self) -> Iterator[list[bytes]]:
        """Whole lines whose hashes fit, a chunk at a time."""
        seq, offset, before, carry = self.head.seq, self.head.size, self._before, b""
        position = offset
        while position < self.size:
            data = self._read_at(position, min(_CHUNK_BYTES, self.size - position))
            if not data:
                raise DamagedLedger(self.path, seq + 1, offset, f"the file ends at byte {position}, not {self.size}")
            position += len(data)
            raws = (carry + data).splitlines(keepends=True)  # a stray "\r" splits too: neither part verifies
            carry = raws.pop() if not raws[-1].endswith(b"\n") else b""
            for raw in raws:
                problem = problem_of(raw, before, self.workflow_id)
                if problem is not None:
                    raise DamagedLedger(self.path, seq + 1, offset, problem)
                before = raw[-_FROM_HASH:]
                seq += 1
                offset += len(raw)
            if raws:
                yield raws
            if len(carry) > LINE_BYTES_MAX:
                self._check_long_tail(carry, position, seq, offset)
                break
        self.torn_bytes = self.size - offset

    def _check_long_tail(self, tail: bytes, position: int, seq: int, offset: int) -> None:
        """More bytes without a newline than a line can have: nothing but NULs may follow it to the end."""
        text = tail.rstrip(b"\0")
        while len(text) <= LINE_BYTES_MAX and position < self.size:
            data = self._read_at(position, min(_CHUNK_BYTES, self.size - position))
            position += len(data) or self.size
            text = text if not data.strip(b"\0") else bytes(LINE_BYTES_MAX + 1)
        if len(text) > LINE_BYTES_MAX:
            raise DamagedLedger(self.path, seq + 1, offset, f"no line ends within {LINE_BYTES_MAX:,} bytes")

    def _ending(self, head: Head) -> bytes:
        """The end of the line that a head names; the ledger must still hold it.

        Raises:
            DamagedLedger: the ledger was cut or rewritten below it.
        """
        ending = self._read_at(max(0, head.size - _FROM_HASH), _FROM_HASH) if head.size <= self.size else b""
        if ending != head.hash.encode() + b'"}\n':
            what = (
                f"was cut: it had {head.size:,} bytes at seq {head.seq} and has {self.size:,} now"
                if head.size > self.size
                else f"was rewritten: the line at seq {head.seq} is not the one that was read before"
            )
            raise DamagedLedger(self.path, head.seq, min(head.size, self.size), what)
        return ending


def _parsed(raws: list[bytes]) -> list[object]:
    """The lines as JSON; None where one is not (its hash fits, so some other writer made it)."""
    try:
        lines: list[object] = orjson.loads(b"[%b]" % b",".join(raws))
    except orjson.JSONDecodeError:
        lines = []
    if len(lines) == len(raws):
        return lines
    return [_parsed_alone(raw) for raw in raws]


def _parsed_alone(raw: bytes) -> object:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _misplaced(line: object, seq: int, workflow_id: str) -> str | None:
    """Why a line whose hash fits cannot stand here."""
    if not isinstance(line, dict):
        return "is not a JSON object"
    if line.get("seq") != seq or line.get("workflow_id") != workflow_id:
        return f"says seq {line.get('seq')!r} of ledger {line.get('workflow_id')!r}, where seq {seq} is due"
    for name in ("id", "type", "recorded_at"):
        if not isinstance(line.get(name), str):
            return f"has no {name}"
    if not isinstance(line.get("v"), int):
        return "has no version"
    return None
