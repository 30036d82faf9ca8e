"""Salvage: a new ledger from the lines of a damaged one that still verify; the damaged file is kept.

A line's hash covers its own bytes and the hash before it, so a damaged line condemns itself, and the one after it when
its hash was hit; all others still prove themselves.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from ledger.errors import LedgerUnavailable, NothingToSalvage, UnknownWorkflow
from ledger.events import LEDGER_OPENED, Event
from ledger.files import Files, OpenFile
from ledger.line import HASH_CHARACTERS, LINE_BYTES_MAX, Draft, chain_hash, following, problem_of, seed
from ledger.store import DirectoryStore

__all__ = ["LeftOut", "Salvage", "salvage"]

_FROM_HASH: Final = HASH_CHARACTERS + 3
_HEAD = re.compile(rb'\{"v":([0-9]+),"seq":[0-9]+,')
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
        while True:
            file = calls.open_read(path)
            calls.lock(file)
            try:
                if calls.is_at(file, path):
                    return _salvage(calls, file, path, workflow_id, store.origin)
            finally:
                calls.unlock(file)
    except FileNotFoundError:
        raise UnknownWorkflow(workflow_id, store.path) from None
    except OSError as error:
        raise LedgerUnavailable(path, "salvage", error) from error


def _salvage(files: Files, file: OpenFile, path: Path, workflow_id: str, origin: str) -> Salvage:
    copy = path.with_name(f"{path.name}.copy-{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        files.remove(copy)
    new = files.create(copy)
    try:
        found = Salvage(workflow_id, path)
        opening = Event(workflow_id, LEDGER_OPENED, {"format": 1, "origin": origin, "salvaged": True})
        draft = Draft(opening, os.urandom(16).hex(), needs_run=False)
        pending, started, seq, before = [], False, 1, b""
        for line in _judged(files, file, workflow_id, found):
            if not started:
                moment = orjson.loads(line)["recorded_at"]
                raw, digits = draft.encode(1, moment, seed(workflow_id, origin))
                pending, before, started = [raw], following(digits), True
            if b'"type":"ledger_opened"' not in line[:200]:
                seq += 1
                found.kept += 1
                raw, before = _renumbered(line, seq, before)
                pending.append(raw)
            if len(pending) >= 1000:
                _write(files, new, b"".join(pending))
                pending = []
        if all(lost.problem == _CUT for lost in found.left_out):  # a torn tail is the next writer's to move aside
            raise NothingToSalvage(workflow_id)
        _write(files, new, b"".join(pending))
        files.sync(new)
        found.damaged = _kept_aside(files, path)
        files.replace(copy, path)
        files.sync_directory(path.parent)
        return found
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove(copy)
        raise


def _judged(files: Files, file: OpenFile, workflow_id: str, found: Salvage) -> Iterator[bytes]:
    """The lines that verify; the others go to `found.left_out`."""
    before, offset = b"", 0
    for number, raw in enumerate(_lines(files, file), 1):
        problem = _CUT if not raw.endswith(b"\n") else problem_of(raw, before, workflow_id)
        if problem is None and not _HEAD.match(raw):
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


def _renumbered(line: bytes, seq: int, before: bytes) -> tuple[bytes, bytes]:
    """The line at another place: its bytes as they are, but for seq and hash."""
    head = _HEAD.match(line)
    assert head is not None
    body = b'{"v":%b,"seq":%d,%b' % (head[1], seq, line[head.end() : -_FROM_HASH])
    digits = chain_hash(before, body)
    return body + following(digits), following(digits)


def _write(files: Files, file: OpenFile, data: bytes) -> None:
    if files.write(file, data) != len(data):
        raise OSError(28, "short write")


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
