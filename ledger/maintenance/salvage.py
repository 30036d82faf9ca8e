"""Salvage: a new ledger from the lines of a damaged one that still verify; the damaged file is preserved.

The hash of a line covers its own bytes and the hash before it. So a salvage recovers each line that verifies against
the line in front of it, or against a line of the `seq` before anywhere in the file: once, and in the order of `seq`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from ledger.errors import (
    DamagedLedger,
    LedgerUnavailable,
    LockedLedger,
    NothingToSalvage,
    NothingVerifies,
    UnknownWorkflow,
    shown,
)
from ledger.events.event import LEDGER_OPENED, Event
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.files import Files, OpenFile, locked_file
from ledger.storage.line import ENDING_BYTES, LINE_BYTES_MAX, Head, ending_of, possible_ends, problem_of
from ledger.storage.locks import LockTimeout
from ledger.storage.reader import LedgerReader, problem_of_fields
from ledger.storage.recovery import ending
from ledger.storage.rewrite import LINE_BEGINS, replaced, write_renumbered

__all__ = ["LeftOut", "Salvage", "salvage", "salvaged_before"]

_CHUNK_BYTES: Final = 1024 * 1024
_BEYOND: Final = "is where only a newline belongs"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Bytes that were not recovered: the line of the damaged file, their offset, how many, and why."""

    line: int
    byte: int
    size_bytes: int
    problem: str


@dataclass(slots=True)
class Salvage:
    """The result of a salvage.

    Attributes:
        kept: events in the new ledger, without its opening line.
        damaged: where the damaged file is now.
    """

    workflow_id: str
    damaged: Path
    kept: int = 0
    left_out: list[LeftOut] = field(default_factory=list)


class _Span(NamedTuple):
    """The position of a line in the damaged file, without its newline; spans sort by `seq`."""

    seq: int
    byte: int
    size: int
    line: int

    def left_out(self, problem: str) -> LeftOut:
        """Return it as bytes that were not recovered."""
        return LeftOut(self.line, self.byte, self.size, problem)


def salvage(store: DirectoryStore, workflow_id: str, *, files: Files | None = None) -> Salvage:
    """Replace a damaged ledger by its lines that still verify: same ids, fields, times; new `seq` and hash.

    A writer that was about to acknowledge events on the old file detects the replacement and looks its events up in the
    new file.

    Raises:
        UnknownWorkflow: there is no such ledger.
        NothingToSalvage: readers and writers accept it as it is.
        NothingVerifies: no event would remain; nothing was replaced.
        DamagedLedger: the new ledger does not verify; nothing was replaced.
        LedgerUnavailable: the file system refused; nothing was replaced.
    """
    path, calls = Path(os.path.realpath(store.ledger_path(workflow_id))), files or Files()
    try:
        with locked_file(calls, path) as file:
            if _whole(calls, file, path, workflow_id):
                raise NothingToSalvage(workflow_id)
            return _salvage(calls, file, path, workflow_id, store.origin)
    except FileNotFoundError:
        raise UnknownWorkflow(workflow_id, store.path) from None
    except LockTimeout as error:
        raise LockedLedger(path, error) from None
    except OSError as error:
        raise LedgerUnavailable(path, "salvage", error) from error


def salvaged_before(store: DirectoryStore, workflow_id: str, checkpoint: Head) -> Salvage | None:
    """Return the salvage that removed the line of a checkpoint; None when there was none.

    Raises:
        UnknownWorkflow, DamagedLedger, LedgerUnavailable: as the ledger is read.
    """
    reader = store.read(workflow_id)
    salvaged = sum(line["type"] == LEDGER_OPENED and line.get("salvaged") is True for line in reader)
    path, number = Path(os.path.realpath(reader.path)), 1
    while salvaged and (damaged := _damaged_path(path, number)).exists():
        if _contains(damaged, checkpoint.hash.encode()):
            return Salvage(workflow_id, damaged, reader.head.seq - 1)
        number += 1
    return None


def _contains(path: Path, digits: bytes) -> bool:
    files = Files()
    try:
        file = files.open_read(path)
        if (size := files.size(file)) == 0:
            return False
        with files.map(file, size) as content:
            return content.find(digits) >= 0
    except OSError as error:
        raise LedgerUnavailable(path, "read", error) from error


def _damaged_path(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.damaged-{number}")


def _whole(files: Files, file: OpenFile, path: Path, workflow_id: str) -> bool:
    """Return whether readers and the next writer accept it; they repair a torn tail or a missing newline themselves."""
    try:
        _read_whole(files, file, path, workflow_id, ending(files, file, path, workflow_id).tail.head.size)
    except DamagedLedger:
        return False
    return True


def _read_whole(files: Files, file: OpenFile, path: Path, workflow_id: str, size: int) -> None:
    for _ in LedgerReader(workflow_id, path, lambda at, count: files.read(file, at, count), size).raw_chunks():
        pass


def _salvage(files: Files, file: OpenFile, path: Path, workflow_id: str, origin: str) -> Salvage:
    found = Salvage(workflow_id, path)
    opening = Event(workflow_id, LEDGER_OPENED, {"format": 1, "origin": origin, "salvaged": True})
    with replaced(files, file, path) as new:
        spans = _verified(files, file, workflow_id, found.left_out)
        found.kept = write_renumbered(files, new, _recovered(files, file, workflow_id, spans, found.left_out), opening)
        found.left_out.sort(key=lambda lost: lost.byte)
        if found.kept == 0 and (files.size(new) == 0 or any(_line(files, file, lost) for lost in found.left_out)):
            raise NothingVerifies(path)
        files.sync(new)
        _read_whole(files, new, path, workflow_id, files.size(new))
        found.damaged = _preserved(files, path)
    return found


def _line(files: Files, file: OpenFile, lost: LeftOut) -> bool:
    """Return whether what was left out ended as a line does: it may have been an event."""
    return lost.problem != _BEYOND and files.read(file, lost.byte + lost.size_bytes, 1) == b"\n"


def _recovered(
    files: Files, file: OpenFile, workflow_id: str, spans: list[_Span], left_out: list[LeftOut]
) -> Iterator[bytes]:
    """Yield the verified lines of this ledger, each event once, in the order of `seq`."""
    ids, opened = set[str](), False
    for span in sorted(spans):
        raw = files.read(file, span.byte, span.size) + b"\n"
        try:
            line = orjson.loads(raw)
        except orjson.JSONDecodeError:
            line = None
        if isinstance(line, dict) and line.get("workflow_id") != workflow_id:
            problem: str | None = f"is a line of ledger {shown(line.get('workflow_id'))}"
        else:
            problem = problem_of_fields(line, span.seq, workflow_id)
        if problem is None and line["type"] == LEDGER_OPENED:
            problem = "opens the ledger once more" if opened or span.seq > 1 else None
            opened = True
        elif problem is None:
            problem = f"repeats event {shown(line['id'])}" if line["id"] in ids else None
            ids.add(line["id"])
        if problem is None:
            yield raw
        else:
            left_out.append(span.left_out(problem))


def _verified(files: Files, file: OpenFile, workflow_id: str, left_out: list[LeftOut]) -> list[_Span]:
    """Return the lines that verify; what is not a line goes to `left_out`."""
    verified: list[_Span] = []
    suspect: dict[_Span, str] = {}
    before, number, offset = b"", 1, 0
    for piece in _pieces(files, file):
        for start, stop, ends in _texts(piece, before, workflow_id):
            begins = LINE_BEGINS.match(piece, start)
            fits = (end for end in ends if problem_of(piece[start:end] + b"\n", before, workflow_id) is None)
            fitting = next(fits, None)
            end = fitting or (ends[-1] if ends else stop)
            raw = piece[start:end] + b"\n"
            span = _Span(int(begins[2]) if begins else 0, offset + start, end - start, number)
            if begins and fitting:
                verified.append(span)
            elif begins and ends:
                suspect[span] = str(problem_of(raw, before if span.seq > 1 else b"", workflow_id))
            else:
                problem = "does not begin with its version and seq"
                left_out.append(span.left_out(problem_of(raw, before, workflow_id) or problem))
            if end < stop:
                left_out.append(LeftOut(number, offset + end, stop - end, _BEYOND))
            before = ending_of(raw) if ends else before
        offset += len(piece)
        number += piece.endswith(b"\n")
    return verified + _verified_elsewhere(files, file, workflow_id, verified, suspect, left_out)


def _verified_elsewhere(
    files: Files,
    file: OpenFile,
    workflow_id: str,
    verified: list[_Span],
    suspect: dict[_Span, str],
    left_out: list[LeftOut],
) -> list[_Span]:
    """Return the suspect lines that follow a line of the `seq` before, anywhere in the file, or open the ledger."""
    wanted = {span.seq - 1 for span in suspect}
    endings: dict[int, set[bytes]] = {0: {b""}}
    for span in (*verified, *suspect):
        if span.seq in wanted:
            size = ENDING_BYTES - 1  # without the newline, which may be damaged
            endings.setdefault(span.seq, set()).add(files.read(file, span.byte + span.size - size, size) + b"\n")
    found = []
    for span, problem in suspect.items():
        raw = files.read(file, span.byte, span.size) + b"\n"
        if any(problem_of(raw, before, workflow_id) is None for before in endings.get(span.seq - 1, ())):
            found.append(span)
        else:
            left_out.append(span.left_out(problem))
    return found


def _texts(piece: bytes, before: bytes, workflow_id: str) -> Iterator[tuple[int, int, list[int]]]:
    """Yield where in a piece a line may begin, where its text stops, and where the line may end.

    A piece is several lines where a newline is lost. Text that is not a line has no end.
    """
    stop = len(piece) - piece.endswith(b"\n")
    if problem_of(piece, before, workflow_id) is None:
        yield 0, stop, [stop]
        return
    borders = {0, *(match.start() for match in LINE_BEGINS.finditer(piece)), stop}
    for start, until in pairwise(sorted(borders)) if stop else [(0, 0)]:
        yield start, until, [*possible_ends(piece, start, until)]


def _pieces(files: Files, file: OpenFile) -> Iterator[bytes]:
    """Yield lines with their newlines; what is much longer than a line may be comes in several pieces."""
    offset, carry = 0, b""
    while data := files.read(file, offset, _CHUNK_BYTES):
        offset += len(data)
        pieces = (carry + data).split(b"\n")
        carry = pieces.pop()
        yield from (piece + b"\n" for piece in pieces)
        if len(carry) > 2 * LINE_BYTES_MAX:
            last = carry.rfind(b'{"v":', len(carry) - LINE_BYTES_MAX)  # a line that may continue in the next chunk
            cut = last if last > 0 else len(carry)
            yield carry[:cut]
            carry = carry[cut:]
    if carry:
        yield carry


def _preserved(files: Files, path: Path) -> Path:
    """Give the damaged file a second name, before it loses its own."""
    number = 1
    while True:
        second = _damaged_path(path, number)
        try:
            files.link(path, second)
        except FileExistsError:
            number += 1
        else:
            files.sync_directory(path.parent)
            return second
