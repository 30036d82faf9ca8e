"""What a crash or a failed sync can leave behind, and how the next writer deals with it, under the lock.

A tail without its newline was never acknowledged: it is moved aside to `<ledger>.torn-<n>`. NUL bytes behind it, a
size that was written before its bytes, hold nothing and are cut off: of a sparse file they may be more than the disk
can hold. A whole line that lacks only its newline is completed. Everything else that does not verify is
`DamagedLedger`.
After a failed sync a marker file `<ledger>.fenced` stands until the verified bytes have been copied to a new
file: reading back proves nothing about the disk (https://lwn.net/Articles/752063/).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from ledger.errors import DamagedLedger
from ledger.storage.append import Tail
from ledger.storage.fence import lift_fence
from ledger.storage.files import Files, OpenFile
from ledger.storage.line import EMPTY, HASH_CHARACTERS, LINE_BYTES_MAX, Head, problem_of
from ledger.storage.reader import LedgerReader
from ledger.storage.rewrite import written_anew

__all__ = ["Ending", "copy_verified", "ending", "last_tail"]

_WINDOW_BYTES: Final = 3 * LINE_BYTES_MAX  # two whole lines and a torn one
_SMALL_WINDOW_BYTES: Final = 16 * 1024
_COPY_BYTES: Final = 1024 * 1024
_FROM_HASH: Final = HASH_CHARACTERS + 3

_log = logging.getLogger("costledger")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a ledger ends, before anybody mends it.

    Attributes:
        size: of the file, in bytes; what lies beyond both tails was never acknowledged.
        stop: where its text ends; nothing but NUL bytes stands behind.
        tail: up to the last line that ends with its newline.
        torn: the text behind it, when that is no whole line.
        completed: up to the line behind it, when that lacks only its newline.
    """

    size: int
    stop: int
    tail: Tail
    torn: bytes = b""
    completed: Tail | None = None


def last_tail(files: Files, file: OpenFile, path: Path, workflow_id: str) -> Tail:
    """Where a ledger ends, its unacknowledged tail dealt with; call it under the exclusive lock.

    Raises:
        DamagedLedger: the last line does not verify against the one before it.
        OSError: the file system refused.
    """
    found = ending(files, file, path, workflow_id)
    if found.completed is not None:
        files.truncate(file, found.completed.head.size - 1)
        if files.write(file, b"\n") != 1:
            raise OSError(28, "short write")
        return found.completed
    if found.torn:
        _move_aside(files, file, path, found.torn)
    if found.size > found.stop:
        nuls = f"{found.size - found.stop:,}"
        _log.warning("%s: %s NUL bytes behind its text hold nothing and were cut off", path, nuls)
    if found.tail.head.size < found.size:
        files.truncate(file, found.tail.head.size)
    return found.tail


def ending(files: Files, file: OpenFile, path: Path, workflow_id: str) -> Ending:
    """How a ledger ends, by the writer's own rule; nothing is changed.

    Raises:
        DamagedLedger: the last line does not verify against the one before it.
        OSError: the file system refused.
    """
    size = files.size(file)
    stop = _end_of_text(files, file, size)
    window_start, data = _window(files, file, stop)
    end = data.rfind(b"\n") + 1
    if end == 0 and (window_start > 0 or stop > LINE_BYTES_MAX):
        raise DamagedLedger(path, 1, window_start, f"no line ends within the last {len(data):,} bytes")
    lines = _last_two(data[:end], window_start == 0)
    tail = _verified(lines, path, workflow_id, window_start + end)
    if window_start + end == size:
        return Ending(size, stop, tail)
    before = lines[-1][-_FROM_HASH:] if lines else b""
    torn = data[end:]
    if torn and problem_of(torn + b"\n", before, workflow_id) is None:
        completed = _verified([*lines[-1:], torn + b"\n"], path, workflow_id, stop + 1)
        return Ending(size, stop, tail, completed=completed)
    _check_torn(torn, before, path, workflow_id, tail.head)
    return Ending(size, stop, tail, torn)


def _window(files: Files, file: OpenFile, stop: int) -> tuple[int, bytes]:
    """The end of a ledger, from which offset: two whole lines and a torn one, most often a few kilobytes."""
    for size in (_SMALL_WINDOW_BYTES, _WINDOW_BYTES):
        start = max(0, stop - size)
        data = files.read(file, start, stop - start)
        if start == 0 or data.count(b"\n") > 2:
            break
    return start, data


def _end_of_text(files: Files, file: OpenFile, size: int) -> int:
    """The size without the NUL bytes at the end."""
    end = size
    while end > 0:
        start = max(0, end - _COPY_BYTES)
        kept = files.read(file, start, end - start).rstrip(b"\0")
        if kept:
            return start + len(kept)
        end = start
    return 0


def _last_two(data: bytes, from_start: bool) -> list[bytes]:
    """The last two whole lines of a window; the second-last may be cut in front, which its hash does not mind."""
    if not data:
        return []
    before_last = data.rfind(b"\n", 0, len(data) - 1) + 1
    if before_last == 0:
        return [data] if from_start else [b"", data]
    return [data[data.rfind(b"\n", 0, before_last - 1) + 1 : before_last], data[before_last:]]


def _verified(lines: list[bytes], path: Path, workflow_id: str, size: int) -> Tail:
    """The tail that the last line makes, proven against the one before it."""
    if not lines:
        return Tail()
    before, last = (lines[-2][-_FROM_HASH:] if len(lines) > 1 else b""), lines[-1]
    problem = problem_of(last, before, workflow_id)
    line = None
    if problem is None:
        with contextlib.suppress(orjson.JSONDecodeError):
            line = orjson.loads(last)
        if not (
            isinstance(line, dict)
            and isinstance(line.get("seq"), int)
            and isinstance(line.get("recorded_at"), str)
            and line.get("workflow_id") == workflow_id
        ):
            problem = f"is not a line of ledger {workflow_id!r}"
    if problem is not None or line is None:
        raise DamagedLedger(path, _line_number(lines), size - len(last), f"the last line: {problem}")
    return Tail(Head(line["seq"], size, line["hash"]), line["recorded_at"])


def _line_number(lines: list[bytes]) -> int:
    """The number of the last line, from the seq of the one before it when that can be read."""
    if len(lines) < 2:
        return 1
    try:
        return int(orjson.loads(lines[-2])["seq"]) + 1
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return 2


def _check_torn(torn: bytes, before: bytes, path: Path, workflow_id: str, head: Head) -> None:
    """A torn write is the beginning of a line; a whole line with more behind it is not one."""
    at = torn.find(b',"hash":"')
    while at >= 0:
        end = at + 9 + HASH_CHARACTERS + 2
        if end < len(torn) and problem_of(torn[:end] + b"\n", before, workflow_id) is None:
            problem = "the newline after a whole line was overwritten"
            raise DamagedLedger(path, head.seq + 1, head.size, problem)
        at = torn.find(b',"hash":"', at + 1)


def _move_aside(files: Files, of: OpenFile, path: Path, torn: bytes) -> None:
    """Keep a torn tail, on the disk, beside its ledger; a copy that cannot be made leaves no trace."""
    aside, file = _new_file(files, lambda n: path.with_name(f"{path.name}.torn-{n}"))
    try:
        files.take_access(file, of)
        if files.write(file, torn) != len(torn):
            raise OSError(28, "short write")
        files.sync(file)
        files.sync_directory(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove(aside)
        raise


def _new_file(files: Files, name: Callable[[int], Path]) -> tuple[Path, OpenFile]:
    number = 1
    while True:
        try:
            return name(number), files.create(name(number))
        except FileExistsError:
            number += 1


def copy_verified(files: Files, file: OpenFile, path: Path, workflow_id: str) -> None:
    """Put the verified lines of a fenced ledger into a new, synced file in its place, and lift the fence.

    Call it under the exclusive lock of the old file; whoever waits for that lock then sees that the path names
    another file. The crash that leaves the marker behind costs one more copy.

    Raises:
        DamagedLedger: a line does not verify; nothing is replaced.
        OSError: the file system refused; nothing is replaced.
    """
    with written_anew(files, file, path) as new:
        last_tail(files, file, path, workflow_id)
        reader = LedgerReader(workflow_id, path, lambda at, n: files.read(file, at, n), files.size(file), start=EMPTY)
        for lines in reader.raw_chunks():
            if files.write(new, lines) != len(lines):
                raise OSError(28, "short write")
        files.sync(new)
    lift_fence(files, path)
