"""Salvage: a new ledger from the lines of a damaged one that still verify; the damaged file is kept.

A line's hash covers its own bytes and the hash before it, so a damaged line condemns itself, and the one after it when
its hash was hit; all others still prove themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.errors import LedgerUnavailable, NothingToSalvage, UnknownWorkflow
from ledger.events import LEDGER_OPENED, Event
from ledger.files import Files, OpenFile, locked_file
from ledger.line import HASH_CHARACTERS, LINE_BYTES_MAX, problem_of
from ledger.rewrite import renumberable, write_anew, written_anew
from ledger.store import DirectoryStore

__all__ = ["LeftOut", "Salvage", "salvage"]

_FROM_HASH: Final = HASH_CHARACTERS + 3
_CHUNK_BYTES: Final = 1024 * 1024
_CUT: Final = "it is cut"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A line that does not verify: its number and offset in the damaged file, its size, and why."""

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


def salvage(store: DirectoryStore, workflow_id: str, *, files: Files | None = None) -> Salvage:
    """Replace a damaged ledger by one of its lines that still verify: same ids, fields, times; new seq and hash.

    A writer that was about to acknowledge on the old file sees that it was replaced, and looks its event up in the new
    one.

    Raises:
        UnknownWorkflow: there is no such ledger.
        NothingToSalvage: it is whole.
        LedgerUnavailable: the file system refused; nothing was replaced.
    """
    path, calls = store.ledger_path(workflow_id), files or Files()
    try:
        with locked_file(calls, path) as file:
            return _salvage(calls, file, path, workflow_id, store.origin)
    except FileNotFoundError:
        raise UnknownWorkflow(workflow_id, store.path) from None
    except OSError as error:
        raise LedgerUnavailable(path, "salvage", error) from error


def _salvage(files: Files, file: OpenFile, path: Path, workflow_id: str, origin: str) -> Salvage:
    found = Salvage(workflow_id, path)
    opening = Event(workflow_id, LEDGER_OPENED, {"format": 1, "origin": origin, "salvaged": True})
    with written_anew(files, path) as new:
        found.kept = write_anew(files, new, _judged(files, file, workflow_id, found), opening)
        if all(lost.problem == _CUT for lost in found.left_out):  # a torn tail is the next writer's to move aside
            raise NothingToSalvage(workflow_id)
        files.sync(new)
        found.damaged = _kept_aside(files, path)
    return found


def _judged(files: Files, file: OpenFile, workflow_id: str, found: Salvage) -> Iterator[bytes]:
    """The lines that verify; the others go to `found.left_out`."""
    before, offset = b"", 0
    for number, raw in enumerate(_lines(files, file), 1):
        problem = _CUT if not raw.endswith(b"\n") else problem_of(raw, before, workflow_id)
        if problem is None and not renumberable(raw):
            problem = "does not begin with its version and seq"
        if problem is None:
            yield raw
        else:
            found.left_out.append(LeftOut(number, offset, len(raw), problem))
        before = raw[-_FROM_HASH:]
        offset += len(raw)


def _lines(files: Files, file: OpenFile) -> Iterator[bytes]:
    """Lines with their newlines; what is longer than a line may be comes in pieces, none of which verifies."""
    offset, carry = 0, b""
    while data := files.read(file, offset, _CHUNK_BYTES):
        offset += len(data)
        pieces = (carry + data).split(b"\n")
        carry = pieces.pop()
        yield from (piece + b"\n" for piece in pieces)
        if len(carry) > 2 * LINE_BYTES_MAX:
            yield carry
            carry = b""
    if carry:
        yield carry


def _kept_aside(files: Files, path: Path) -> Path:
    number = 1
    while True:
        aside = path.with_name(f"{path.name}.damaged-{number}")
        try:
            files.link(path, aside)
        except FileExistsError:
            number += 1
        else:
            return aside
