"""Salvage: a new ledger from the lines of a damaged one that still verify; the damaged file is kept.

A line's hash covers its own bytes and the hash before it. So each line that proves itself against the line in front of
it, or against one of the `seq` before wherever that stands, is kept: once, and in the order in which it was written.
"""

from __future__ import annotations

import os
import re
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
from ledger.storage.line import HASH_CHARACTERS, LINE_BYTES_MAX, Head, problem_of
from ledger.storage.locks import LockTimeout
from ledger.storage.reader import LedgerReader, misplaced
from ledger.storage.recovery import ending
from ledger.storage.rewrite import LINE_BEGINS, write_anew, written_anew

__all__ = ["LeftOut", "Salvage", "salvage", "salvaged_before"]

_LINE_ENDS: Final = re.compile(rb'[0-9a-f]{64}"\}')  # even of a damaged line: it is what the next one was hashed with
_ENDING_BYTES: Final = HASH_CHARACTERS + 2  # the digits and `"}`
_CHUNK_BYTES: Final = 1024 * 1024
_BEYOND: Final = "stands where only a newline belongs"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Bytes that were not kept: of which line of the damaged file, their offset, how many, and why."""

    line: int
    byte: int
    size_bytes: int
    problem: str


@dataclass(slots=True)
class Salvage:
    """What a salvage did.

    Attributes:
        kept: events in the new ledger, its opening line not counted.
        damaged: where the damaged file is now.
    """

    workflow_id: str
    damaged: Path
    kept: int = 0
    left_out: list[LeftOut] = field(default_factory=list)


class _Place(NamedTuple):
    """Where in the damaged file the text of a line stands, its newline not counted; they sort as they were written."""

    seq: int
    byte: int
    size: int
    line: int

    def left_out(self, problem: str) -> LeftOut:
        return LeftOut(self.line, self.byte, self.size, problem)


def salvage(store: DirectoryStore, workflow_id: str, *, files: Files | None = None) -> Salvage:
    """Replace a damaged ledger by one of its lines that still verify: same ids, fields, times; new seq and hash.

    A writer that was about to acknowledge on the old file sees that it was replaced, and looks its event up in the new
    one.

    Raises:
        UnknownWorkflow: there is no such ledger.
        NothingToSalvage: readers and writers take it as it is.
        NothingVerifies: no event would be kept; nothing was replaced.
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
    """The salvage that took the line of a checkpoint out of a ledger: its opening line and the damaged file say so.

    Raises:
        UnknownWorkflow, DamagedLedger, LedgerUnavailable: as the ledger is read.
    """
    reader = store.read(workflow_id)
    salvaged = sum(line["type"] == LEDGER_OPENED and line.get("salvaged") is True for line in reader)
    path, number = Path(os.path.realpath(reader.path)), 1
    while salvaged and (damaged := _damaged_path(path, number)).exists():
        if _holds(damaged, checkpoint.hash.encode()):
            return Salvage(workflow_id, damaged, reader.head.seq - 1)
        number += 1
    return None


def _holds(path: Path, digits: bytes) -> bool:
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
    """Whether readers and the next writer take it: a torn tail, or one without its newline, is for them to mend."""
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
    with written_anew(files, file, path) as new:
        places = _proven(files, file, workflow_id, found.left_out)
        found.kept = write_anew(files, new, _kept(files, file, workflow_id, places, found.left_out), opening)
        found.left_out.sort(key=lambda lost: lost.byte)
        if found.kept == 0 and (files.size(new) == 0 or any(_line(files, file, lost) for lost in found.left_out)):
            raise NothingVerifies(path)
        files.sync(new)
        _read_whole(files, new, path, workflow_id, files.size(new))
        found.damaged = _kept_aside(files, path)
    return found


def _line(files: Files, file: OpenFile, lost: LeftOut) -> bool:
    """Whether what was left out ended as a line does: it may have been an event."""
    return lost.problem != _BEYOND and files.read(file, lost.byte + lost.size_bytes, 1) == b"\n"


def _kept(
    files: Files, file: OpenFile, workflow_id: str, places: list[_Place], left_out: list[LeftOut]
) -> Iterator[bytes]:
    """Of the lines that verify the ones of this ledger, each event once, in the order in which they were written."""
    ids, opened = set[str](), False
    for place in sorted(places):
        raw = files.read(file, place.byte, place.size) + b"\n"
        try:
            line = orjson.loads(raw)
        except orjson.JSONDecodeError:
            line = None
        if isinstance(line, dict) and line.get("workflow_id") != workflow_id:
            problem: str | None = f"is a line of ledger {shown(line.get('workflow_id'))}"
        else:
            problem = misplaced(line, place.seq, workflow_id)
        if problem is None and line["type"] == LEDGER_OPENED:
            problem = "opens the ledger once more" if opened or place.seq > 1 else None
            opened = True
        elif problem is None:
            problem = f"repeats event {shown(line['id'])}" if line["id"] in ids else None
            ids.add(line["id"])
        if problem is None:
            yield raw
        else:
            left_out.append(place.left_out(problem))


def _proven(files: Files, file: OpenFile, workflow_id: str, left_out: list[LeftOut]) -> list[_Place]:
    """The lines that verify; all that is no line goes to `left_out`."""
    proven: list[_Place] = []
    doubtful: dict[_Place, str] = {}
    before, number, offset = b"", 1, 0
    for piece in _pieces(files, file):
        for start, stop, ends in _texts(piece, before, workflow_id):
            begins = LINE_BEGINS.match(piece, start)
            fits = (end for end in ends if problem_of(piece[start:end] + b"\n", before, workflow_id) is None)
            fitting = next(fits, None)
            end = fitting or (ends[-1] if ends else stop)
            place = _Place(int(begins[2]) if begins else 0, offset + start, end - start, number)
            if begins and fitting:
                proven.append(place)
            elif begins and ends:
                due = before if place.seq > 1 else b""
                doubtful[place] = str(problem_of(piece[start:end] + b"\n", due, workflow_id))
            else:
                problem = "does not begin with its version and seq"
                left_out.append(place.left_out(problem_of(piece[start:end] + b"\n", before, workflow_id) or problem))
            if end < stop:
                left_out.append(LeftOut(number, offset + end, stop - end, _BEYOND))
            before = piece[end - _ENDING_BYTES : end] + b"\n" if ends else before
        offset += len(piece)
        number += piece.endswith(b"\n")
    return proven + _proven_elsewhere(files, file, workflow_id, proven, doubtful, left_out)


def _proven_elsewhere(
    files: Files,
    file: OpenFile,
    workflow_id: str,
    proven: list[_Place],
    doubtful: dict[_Place, str],
    left_out: list[LeftOut],
) -> list[_Place]:
    """The doubtful lines that follow a line of the `seq` before, wherever that stands, or open the ledger."""
    wanted = {place.seq - 1 for place in doubtful}
    endings: dict[int, set[bytes]] = {0: {b""}}
    for place in (*proven, *doubtful):
        if place.seq in wanted:
            end = files.read(file, place.byte + place.size - _ENDING_BYTES, _ENDING_BYTES) + b"\n"
            endings.setdefault(place.seq, set()).add(end)
    found = []
    for place, problem in doubtful.items():
        raw = files.read(file, place.byte, place.size) + b"\n"
        if any(problem_of(raw, before, workflow_id) is None for before in endings.get(place.seq - 1, ())):
            found.append(place)
        else:
            left_out.append(place.left_out(problem))
    return found


def _texts(piece: bytes, before: bytes, workflow_id: str) -> Iterator[tuple[int, int, list[int]]]:
    """Where in a piece the text of a line may begin and must stop, and where it may end; most often it is one line.

    There are several where a newline is lost, and what is no line has no end.
    """
    stop = len(piece) - piece.endswith(b"\n")
    if problem_of(piece, before, workflow_id) is None:
        yield 0, stop, [stop]
        return
    borders = {0, *(match.start() for match in LINE_BEGINS.finditer(piece)), stop}
    for start, until in pairwise(sorted(borders)) if stop else [(0, 0)]:
        yield start, until, [match.end() for match in _LINE_ENDS.finditer(piece, start, until)]


def _pieces(files: Files, file: OpenFile) -> Iterator[bytes]:
    """Lines with their newlines; what is much longer than a line may be comes in pieces."""
    offset, carry = 0, b""
    while data := files.read(file, offset, _CHUNK_BYTES):
        offset += len(data)
        pieces = (carry + data).split(b"\n")
        carry = pieces.pop()
        yield from (piece + b"\n" for piece in pieces)
        if len(carry) > 2 * LINE_BYTES_MAX:
            begun = carry.rfind(b'{"v":', len(carry) - LINE_BYTES_MAX)  # the line that may go on in the next chunk
            cut = begun if begun > 0 else len(carry)
            yield carry[:cut]
            carry = carry[cut:]
    if carry:
        yield carry


def _kept_aside(files: Files, path: Path) -> Path:
    number = 1
    while True:
        aside = _damaged_path(path, number)
        try:
            files.link(path, aside)
        except FileExistsError:
            number += 1
        else:
            files.sync_directory(path.parent)  # before it loses its own name
            return aside
