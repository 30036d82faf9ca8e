"""Reading a ledger: every line is verified before the caller gets it.

A reader works on raw bytes in chunks, so its memory does not grow with the ledger; each line's hash is checked
against the line before it, and only then are the chunk's lines parsed, all in one call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.errors import DamagedLedger, LockedLedger
from ledger.events.event import Line
from ledger.storage.line import EMPTY, ENDING_BYTES, LINE_BYTES_MAX, Head, ending_of, following, problem_of

__all__ = ["LedgerReader", "ReadAt", "problem_of_fields"]

ReadAt = Callable[[int, int], bytes]
"""`(offset, count) -> bytes`, as `os.pread`."""

_CHUNK_BYTES: Final = 1024 * 1024
_NEWLINE: Final = re.compile(rb"\n")


class LedgerReader:
    """The verified lines of one ledger, in order, up to the size it had when the reader was made.

    Iterate once. An unterminated tail was never acknowledged and is not read; `torn_bytes` is its length.

    Attributes:
        head: the last line that the caller got.
        torn_bytes: correct after the end of the iteration.
        locked: why the ledger was read without its lock; None when it was locked.

    Raises:
        DamagedLedger: while iterating, at the first line that does not verify.
    """

    def __init__(self, workflow_id: str, path: Path, read_at: ReadAt, size: int, *, start: Head = EMPTY) -> None:
        self.workflow_id, self.path, self.size = workflow_id, path, size
        self.head = start
        self.torn_bytes = 0
        self.locked: LockedLedger | None = None
        self._read_at = read_at
        self._before = self._ending_at(start) if start.seq else b""
        self._seq, self._offset = start.seq, start.size

    def __iter__(self) -> Iterator[Line]:
        for lines, ends in self._chunks():
            seq = self.head.seq
            for line, end in zip(lines, ends, strict=True):
                seq += 1
                self.head = Head(seq, end, line["hash"])
                yield line

    def chunks(self) -> Iterator[list[Line]]:
        """Yield the same lines, many at a time; `head` is the last of them."""
        for lines, ends in self._chunks():
            self.head = Head(self.head.seq + len(lines), ends[-1], lines[-1]["hash"])
            yield lines

    def raw_chunks(self) -> Iterator[bytes]:
        """Yield the same lines as raw bytes, many at a time."""
        for data, spans in self._whole_lines():
            self._checked(data, spans)
            yield data[: spans[-1]]

    def raw_lines(self) -> Iterator[bytes]:
        """Yield the same lines as raw bytes, one at a time."""
        for lines in self.raw_chunks():
            yield from (line + b"\n" for line in lines[:-1].split(b"\n"))

    def _chunks(self) -> Iterator[tuple[list[Line], list[int]]]:
        """Yield verified lines, and the offset in the file at which each ends."""
        for data, spans in self._whole_lines():
            start = self._offset
            yield self._checked(data, spans), [start + end for end in spans]

    def _whole_lines(self) -> Iterator[tuple[bytes, list[int]]]:
        """Yield pieces of the file that begin with a line, and where in them each whole line ends."""
        carry, position = b"", self.head.size
        while position < self.size:
            data = self._read_at(position, min(_CHUNK_BYTES, self.size - position))
            if not data:
                problem = f"the file ends at byte {position}, not {self.size}"
                raise DamagedLedger(self.path, self._seq + 1, self._offset, problem)
            position += len(data)
            data = carry + data
            ends = [match.end() for match in _NEWLINE.finditer(data)]
            if ends:
                yield data, ends
                self._offset += ends[-1]
            carry = data[ends[-1] :] if ends else data
            if len(carry) > LINE_BYTES_MAX:
                self._check_long_tail(carry, position, self._seq, self._offset)
                break
        self.torn_bytes = self.size - self._offset

    def _checked(self, data: bytes, ends: list[int]) -> list[Line]:
        """Return the lines of a piece, each verified against the line before it.

        The hash of a line covers one slice of the file, from the first digit of the hash before it, so nothing is
        copied. It is compared with the hash in the line after all lines are parsed.
        """
        view = memoryview(self._before + data)
        shift = len(self._before)
        digests, start = [], 0
        for end in ends:
            begin = start + shift - ENDING_BYTES
            if begin < 0 or end - start > LINE_BYTES_MAX:
                digests.append("")
            else:
                digests.append(sha256(view[begin : end + shift - ENDING_BYTES]).hexdigest())
            start = end
        values = _parsed(data, ends)
        seq, workflow_id = self._seq, self.workflow_id
        for value, digest in zip(values, digests, strict=True):
            seq += 1
            try:
                if (
                    value["hash"] == digest
                    and value["seq"] == seq
                    and value["workflow_id"] == workflow_id
                    and type(value["type"]) is str
                    and type(value["recorded_at"]) is str
                    and type(value["id"]) is str
                    and type(value["v"]) is int
                ):
                    continue
            except (KeyError, TypeError):
                pass
            self._check_alone(data, ends, seq - self._seq - 1, value)
        self._before = data[ends[-1] - ENDING_BYTES : ends[-1]]
        self._seq = seq
        return values

    def _check_alone(self, data: bytes, ends: list[int], index: int, value: object) -> None:
        """Check one line by itself: the first line of a ledger, or one that does not verify.

        Raises:
            DamagedLedger: it does not verify.
        """
        start = ends[index - 1] if index else 0
        raw = data[start : ends[index]]
        before = ending_of(data[:start]) if index else self._before
        seq = self._seq + index + 1
        problem = problem_of(raw, before, self.workflow_id) or problem_of_fields(value, seq, self.workflow_id)
        if problem is not None:
            raise DamagedLedger(self.path, seq, self._offset + start, problem)

    def _check_long_tail(self, tail: bytes, position: int, seq: int, offset: int) -> None:
        """Check more bytes without a newline than a line can have: only NUL bytes may follow up to the end."""
        text = tail.rstrip(b"\0")
        while len(text) <= LINE_BYTES_MAX and position < self.size:
            data = self._read_at(position, min(_CHUNK_BYTES, self.size - position))
            position += len(data) or self.size
            text = text if not data.strip(b"\0") else bytes(LINE_BYTES_MAX + 1)
        if len(text) > LINE_BYTES_MAX:
            raise DamagedLedger(self.path, seq + 1, offset, f"no line ends within {LINE_BYTES_MAX:,} bytes")

    def _ending_at(self, head: Head) -> bytes:
        """Return the end of the line that a head names; the ledger must still contain it.

        Raises:
            DamagedLedger: the ledger was cut or rewritten below it.
        """
        ending = self._read_at(max(0, head.size - ENDING_BYTES), ENDING_BYTES) if head.size <= self.size else b""
        if ending != following(head.hash):
            what = (
                f"was cut: it had {head.size:,} bytes at seq {head.seq} and has {self.size:,} now"
                if head.size > self.size
                else f"was rewritten: the line at seq {head.seq} is not the one that was read before"
            )
            raise DamagedLedger(self.path, head.seq, min(head.size, self.size), what)
        return ending


def _parsed(data: bytes, ends: list[int]) -> list[Any]:
    """Return the lines as JSON, parsed in one call; None for a line of another writer that is not JSON."""
    try:
        values: list[Any] = orjson.loads(b"[%b]" % data[: ends[-1] - 1].replace(b"\n", b","))
    except orjson.JSONDecodeError:
        values = []
    if len(values) == len(ends):
        return values
    return [_parsed_alone(line) for line in data[: ends[-1] - 1].split(b"\n")]


def _parsed_alone(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def problem_of_fields(line: object, seq: int, workflow_id: str) -> str | None:
    """Return why a line with a correct hash is not valid at this position; None for a valid one."""
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
