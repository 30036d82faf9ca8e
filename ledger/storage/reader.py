"""Reading a ledger: every line is verified before the caller gets it.

A reader works on raw bytes in chunks, so its memory does not grow with the ledger; each line's hash is checked
against the line before it, and only then are the chunk's lines parsed, all in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from ledger.errors import DamagedLedger, LockedLedger
from ledger.events.event import Line
from ledger.storage.line import (
    EMPTY,
    ENDING_BYTES,
    LINE_BYTES_MAX,
    Head,
    body_of,
    ending_of,
    following,
    problem_of,
    seeded_by,
)

if TYPE_CHECKING:
    from ledger.events.typed_line import TypedLine

__all__ = ["LedgerReader", "ReadAt", "problem_of_fields"]

ReadAt = Callable[[int, int], bytes]
"""`(offset, count) -> bytes`, as `os.pread`."""

_CHUNK_BYTES: Final = 64 * 1024


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
        for data in self._whole_lines():
            ends = accumulate([len(line) + 1 for line in data[:-1].split(b"\n")], initial=self._offset)
            next(ends)
            for line, end in zip(self._checked(data), ends, strict=True):
                self.head = Head(line["seq"], end, line["hash"])
                yield line

    def chunks(self) -> Iterator[list[Line]]:
        """Yield the same lines, many at a time; `head` is the last of them."""
        for data in self._whole_lines():
            lines = self._checked(data)
            self.head = Head(self._seq, self._offset + len(data), lines[-1]["hash"])
            yield lines

    def typed_chunks(self) -> Iterator[list[TypedLine]]:
        """Yield the same lines with only the fields that are folded, many at a time; `head` is the last of them."""
        from ledger.events.typed_line import typed  # here: an append needs no decoder

        for data in self._whole_lines():
            lines = self._decoded(data) or list(map(typed, self._checked(data)))
            self.head = Head(self._seq, self._offset + len(data), lines[-1].hash)
            yield lines

    def raw_chunks(self) -> Iterator[bytes]:
        """Yield the same lines as raw bytes, many at a time."""
        for data in self._whole_lines():
            self._checked(data)
            yield data

    def raw_lines(self) -> Iterator[bytes]:
        """Yield the same lines as raw bytes, one at a time."""
        for lines in self.raw_chunks():
            yield from (line + b"\n" for line in lines[:-1].split(b"\n"))

    def _whole_lines(self) -> Iterator[bytes]:
        """Yield pieces of the file, each of whole lines."""
        carry, position = b"", self.head.size
        while position < self.size:
            data = self._read_at(position, min(_CHUNK_BYTES, self.size - position))
            if not data:
                problem = f"the file ends at byte {position}, not {self.size}"
                raise DamagedLedger(self.path, self._seq + 1, self._offset, problem)
            position += len(data)
            if (end := data.rfind(b"\n") + 1) > 0:
                lines = carry + data[:end]
                yield lines
                self._offset += len(lines)
                carry = data[end:]
            else:
                carry += data
            if len(carry) > LINE_BYTES_MAX:
                self._check_long_tail(carry, position, self._seq, self._offset)
                break
        self.torn_bytes = self.size - self._offset

    def _checked(self, data: bytes) -> list[Line]:
        """Return the lines of a piece, each verified against the line before it.

        Raises:
            DamagedLedger: one of them does not verify.
        """
        values = _parsed(data)
        seq, workflow_id = self._seq, self.workflow_id
        for value, digest in zip(values, self._digests(data), strict=True):
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
            self._raise_problem(data, seq, value)
        self._before, self._seq = data[-ENDING_BYTES:], seq
        return values

    def _decoded(self, data: bytes) -> list[TypedLine] | None:
        """Return the lines of a piece; None when they have to be checked one by one."""
        from ledger.events.typed_line import decoded

        lines, seq = decoded(data), self._seq + 1
        if (
            lines is None
            or [line.hash for line in lines] != self._digests(data)
            or [line.seq for line in lines] != list(range(seq, seq + len(lines)))
            or {line.workflow_id for line in lines} != {self.workflow_id}
        ):
            return None
        self._before, self._seq = data[-ENDING_BYTES:], lines[-1].seq
        return lines

    def _digests(self, data: bytes) -> list[str]:
        """Return the hash that each line of a piece must have; "" for one that cannot be valid.

        It covers one slice of the file, from the first digit of the hash before it.
        """
        if not (before := self._before):
            first = body_of(data[: data.index(b"\n") + 1])
            before = seeded_by(first, self.workflow_id) or b""
        if not before:
            return [""] * data.count(b"\n")
        whole, find, shift = before + data, data.find, len(before) - ENDING_BYTES
        digests, begin, start = [], 0, 0
        while end := find(b"\n", start) + 1:
            digests.append(sha256(whole[begin : end + shift]).hexdigest() if end - start <= LINE_BYTES_MAX else "")
            begin, start = end + shift, end
        return digests

    def _raise_problem(self, data: bytes, seq: int, value: object) -> None:
        """Check one line of a piece by itself.

        Raises:
            DamagedLedger: it does not verify.
        """
        lines = [line + b"\n" for line in data[:-1].split(b"\n")]
        index = seq - self._seq - 1
        before = ending_of(lines[index - 1]) if index else self._before
        problem = problem_of(lines[index], before, self.workflow_id) or problem_of_fields(value, seq, self.workflow_id)
        if problem is not None:
            raise DamagedLedger(self.path, seq, self._offset + sum(map(len, lines[:index])), problem)

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


def _parsed(data: bytes) -> list[Any]:
    """Return whole lines as JSON, parsed in one call; None for a line of another writer that is not JSON."""
    lines = data.count(b"\n")
    try:
        values: list[Any] = orjson.loads(b"[%b]" % data[:-1].replace(b"\n", b","))
    except orjson.JSONDecodeError:
        values = []
    if len(values) == lines:
        return values
    return [_parsed_alone(line) for line in data[:-1].split(b"\n")]


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
