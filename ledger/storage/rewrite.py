"""The replacement of a ledger file: the same lines under another opening line, renumbered.

The opening line of a renewed ledger has `"renewed":{"origin":…,"id":…,"hash":…}`: its former origin, the id of its
former opening line, and its former head. So the former file can be derived from the new one, and a checkpoint of the
former file still proves the ledger.
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
from ledger.storage.files import Files, OpenFile, write_all
from ledger.storage.line import Draft, Head, body_of, chain_hash, following, seed

__all__ = ["LINE_BEGINS", "before_renewal", "had_before_renewal", "renewed_opening", "replaced", "write_renumbered"]

LINE_BEGINS: Final = re.compile(rb'\{"v":([0-9]+),"seq":([0-9]{1,18}),')
"""The beginning of every line: its version and its `seq`."""

_OPENING = re.compile(rb'\{"v":[0-9]+,"seq":[0-9]+,"id":"(?:[^"\\]|\\.)*","type":"%b"' % LEDGER_OPENED.encode())
_OF_EVERY_LINE: Final = frozenset({"v", "seq", "id", "type", "workflow_id", "recorded_at", "hash"})
_LINES_PER_WRITE: Final = 1000
_RENEWALS_MAX: Final = 100
"""Renewals that are undone in a search for a checkpoint: each is a pass over the ledger."""


@contextlib.contextmanager
def replaced(files: Files, old: OpenFile, path: Path) -> Iterator[OpenFile]:
    """Replace a ledger file, as a whole, by a new file that the block writes and syncs.

    Call it under the exclusive lock of the old file. A writer that is about to acknowledge events on the old file
    detects the replacement and looks its events up in the new file. The new file has the access rights of the old one;
    where the path is a symbolic link, its target is replaced.
    """
    path = Path(os.path.realpath(path))
    copy = path.with_name(f"{path.name}.copy")
    with contextlib.suppress(FileNotFoundError):
        files.remove(copy)  # of a killed process: no other one has the lock
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


def write_renumbered(files: Files, new: OpenFile, lines: Iterable[bytes], opening: Event) -> int:
    """Write verified lines with new `seq` and `hash`; return how many, without opening lines.

    Args:
        lines: raw, with their newlines; `opening` replaces opening lines, with the time of the first line.
    """
    draft = Draft(opening, os.urandom(16).hex())
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
            write_all(files, new, b"".join(pending))
            pending = []
    write_all(files, new, b"".join(pending))
    return max(0, seq - 1)


def renewed_opening(opened: Line, origin: str, head_hash: str) -> Event:
    """Return the opening of a ledger under a new origin, from its opening line and its head."""
    before = {"origin": opened["origin"], "id": opened["id"], "hash": head_hash}
    return _opening(opened, origin, before | _renewal(opened))


def before_renewal(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the verified lines of a ledger as they were before its last renewal; none when there was no renewal."""
    before = b""
    for seq, line in enumerate(lines, 1):
        if seq > 1:
            raw, before = _renumbered(line, seq, before)
        else:
            opened = orjson.loads(line)
            if (renewed := _renewed(opened)) is None:
                return
            opening = _opening(opened, renewed["origin"], renewed.get("renewed"))
            draft = Draft(opening, renewed["id"])
            raw, digits = draft.encode(1, opened["recorded_at"], seed(opening.workflow_id, renewed["origin"]))
            before = following(digits)
        yield raw


def _opening(opened: Line, origin: str, renewed: Line | None) -> Event:
    """Return an opening of the same ledger with another origin and `renewed`."""
    fields = {name: value for name, value in opened.items() if name not in _OF_EVERY_LINE} | {"origin": origin}
    fields.pop("renewed", None)
    return Event(opened["workflow_id"], LEDGER_OPENED, fields if renewed is None else fields | {"renewed": renewed})


def _renewal(opened: Line) -> Line:
    return {"renewed": opened["renewed"]} if "renewed" in opened else {}


def _renewed(opened: Line) -> Line | None:
    """Return what an opening line records of the one before its renewal; None without a renewal of ours."""
    renewed = opened.get("renewed")
    if isinstance(renewed, dict) and all(isinstance(renewed.get(name), str) for name in ("origin", "id", "hash")):
        return renewed
    return None


def had_before_renewal(lines: Callable[[], Iterable[bytes]], head: Head) -> bool:
    """Return whether a ledger contained the line of this head before one of its renewals."""
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
    """Return a line with another `seq` and hash, otherwise unchanged, and its ending."""
    head = LINE_BEGINS.match(line)
    if head is None:
        raise OddLine(orjson.loads(line))
    body = b'{"v":%b,"seq":%d,%b' % (head[1], seq, body_of(line)[head.end() :])
    digits = chain_hash(before, body)
    return body + following(digits), following(digits)
