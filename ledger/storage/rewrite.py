"""A ledger written anew in the place of its old file: the same lines under another opening line, renumbered.

A renewed ledger's opening line says `"renewed":{"origin":…,"id":…,"hash":…}`: the origin, the opening line's id and the
head it had before. So it can be read as it was, and a checkpoint of the old file still proves it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import orjson

from ledger.errors import OddLine
from ledger.events.event import LEDGER_OPENED, Event, Line
from ledger.storage.files import Files, OpenFile
from ledger.storage.line import HASH_CHARACTERS, Draft, Head, chain_hash, following, seed

__all__ = ["LINE_BEGINS", "before_renewal", "held_before_renewal", "renewed_opening", "write_anew", "written_anew"]

LINE_BEGINS: Final = re.compile(rb'\{"v":([0-9]+),"seq":([0-9]{1,18}),')
"""How every line that we write begins: its version and its seq."""

_OPENING = re.compile(rb'\{"v":[0-9]+,"seq":[0-9]+,"id":"(?:[^"\\]|\\.)*","type":"%b"' % LEDGER_OPENED.encode())
_FROM_HASH: Final = HASH_CHARACTERS + 3
_OF_EVERY_LINE: Final = frozenset({"v", "seq", "id", "type", "workflow_id", "recorded_at", "hash"})
_LINES_PER_WRITE: Final = 1000
_RENEWALS_MAX: Final = 100
"""Looked back through: each is a pass over the ledger, and a person made each."""


@contextlib.contextmanager
def written_anew(files: Files, old: OpenFile, path: Path) -> Iterator[OpenFile]:
    """A new file that takes the old one's place once the block, which also syncs it, has ended; never half of it.

    Call it under the exclusive lock of the old file. A writer that is about to acknowledge on that one sees that it was
    replaced, and looks its events up in the new one. Who could read and append to the old one can to the new one; where
    the path is a symbolic link, what it points at is replaced.
    """
    path = Path(os.path.realpath(path))
    copy = path.with_name(f"{path.name}.copy")
    with contextlib.suppress(FileNotFoundError):
        files.remove(copy)  # of one that was killed: whoever writes one holds the lock
    new = files.create(copy)
    try:
        files.take_access(new, old)
        yield new
        if not (files.is_at(old, path) and files.is_at(new, copy)):
            raise OSError(errno.ESTALE, "it was replaced by hand meanwhile")
        files.replace(copy, path)
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove(copy)
        raise
    files.sync_directory(path.parent)


def write_anew(files: Files, new: OpenFile, lines: Iterable[bytes], opening: Event) -> int:
    """Write verified lines with new `seq` and `hash`; how many there are, opening lines not counted.

    Args:
        lines: raw, with their newlines; those that opened a ledger give way to `opening`, which is dated as the first.
    """
    draft = Draft(opening, os.urandom(16).hex(), needs_run=False)
    pending, seq, before = [], 0, b""
    for line in lines:
        if seq == 0:
            moment = orjson.loads(line)["recorded_at"]
            raw, digits = draft.encode(1, moment, seed(opening.workflow_id, opening.fields["origin"]))
            pending, seq, before = [raw], 1, following(digits)
        if not _OPENING.match(line):
            seq += 1
            raw, before = _renumbered(line, seq, before)
            pending.append(raw)
        if len(pending) >= _LINES_PER_WRITE:
            _write(files, new, b"".join(pending))
            pending = []
    _write(files, new, b"".join(pending))
    return max(0, seq - 1)


def renewed_opening(opened: Line, origin: str, head_hash: str) -> Event:
    """The opening of a ledger under a new origin, from the line that opened it and its head."""
    before = {"origin": opened["origin"], "id": opened["id"], "hash": head_hash}
    return _opening(opened, origin, before | _renewal(opened))


def before_renewal(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The verified lines of a ledger as they were before its last renewal; none when there was no renewal."""
    before = b""
    for seq, line in enumerate(lines, 1):
        if seq > 1:
            raw, before = _renumbered(line, seq, before)
        else:
            opened = orjson.loads(line)
            if (renewed := _renewed(opened)) is None:
                return
            opening = _opening(opened, renewed["origin"], renewed.get("renewed"))
            draft = Draft(opening, renewed["id"], needs_run=False)
            raw, digits = draft.encode(1, opened["recorded_at"], seed(opening.workflow_id, renewed["origin"]))
            before = following(digits)
        yield raw


def _opening(opened: Line, origin: str, renewed: Line | None) -> Event:
    """An opening of the same ledger that differs in these two fields."""
    fields = {name: value for name, value in opened.items() if name not in _OF_EVERY_LINE} | {"origin": origin}
    fields.pop("renewed", None)
    return Event(opened["workflow_id"], LEDGER_OPENED, fields if renewed is None else fields | {"renewed": renewed})


def _renewal(opened: Line) -> Line:
    return {"renewed": opened["renewed"]} if "renewed" in opened else {}


def _renewed(opened: Line) -> Line | None:
    """Return what an opening line says of the one before its renewal; None when it was not renewed by us."""
    renewed = opened.get("renewed")
    if isinstance(renewed, dict) and all(isinstance(renewed.get(name), str) for name in ("origin", "id", "hash")):
        return renewed
    return None


def held_before_renewal(lines: Callable[[], Iterable[bytes]], head: Head) -> bool:
    """Whether a ledger ended with, or went through, this head before one of its renewals."""
    generation = lines
    for _ in range(_RENEWALS_MAX):
        generation = partial(_older, generation)
        size, seq = 0, 0
        for raw in generation():
            size, seq = size + len(raw), seq + 1
            if seq == head.seq:
                if size == head.size and raw.endswith(following(head.hash)):
                    return True
                break
        if seq == 0:
            break
    return False


def _older(lines: Callable[[], Iterable[bytes]]) -> Iterator[bytes]:
    return before_renewal(lines())


def _renumbered(line: bytes, seq: int, before: bytes) -> tuple[bytes, bytes]:
    """The line at another place: its bytes as they are, but for seq and hash."""
    head = LINE_BEGINS.match(line)
    if head is None:
        raise OddLine(orjson.loads(line))
    body = b'{"v":%b,"seq":%d,%b' % (head[1], seq, line[head.end() : -_FROM_HASH])
    digits = chain_hash(before, body)
    return body + following(digits), following(digits)


def _write(files: Files, file: OpenFile, data: bytes) -> None:
    if files.write(file, data) != len(data):
        raise OSError(28, "short write")
