"""Recovery of a ledger by the next writer, under the lock, after a crash or a failed sync.

A tail without its newline was never acknowledged: it is moved to `<ledger>.torn-<n>`. NUL bytes after it, from a size
that was written before its bytes, contain nothing and are cut off: in a sparse file they can be larger than the disk.
A whole line that lacks only its newline is completed. Everything else that does not verify is `DamagedLedger`.
A fenced ledger (see `files.py`) is copied to a new file.
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
from ledger.storage.files import Files, OpenFile, lift_fence, write_all
from ledger.storage.line import EMPTY, LINE_BYTES_MAX, Head, ending_of, possible_ends, problem_of
from ledger.storage.reader import LedgerReader
from ledger.storage.rewrite import replaced

__all__ = ["Ending", "copy_verified", "ending", "last_tail"]

_WINDOW_BYTES: Final = 3 * LINE_BYTES_MAX  # two whole lines and a torn one
_SMALL_WINDOW_BYTES: Final = 16 * 1024
_COPY_BYTES: Final = 1024 * 1024

_log = logging.getLogger("costledger")


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a ledger before its recovery.

    Attributes:
        size: of the file, in bytes; what follows both tails was never acknowledged.
        stop: the end of its text; only NUL bytes follow.
        tail: the last line that ends with its newline.
        torn: the text after that line, when it is not a whole line.
        completed: the line after it, when it lacks only its newline.
    """

    size: int
    stop: int
    tail: Tail
    torn: bytes = b""
    completed: Tail | None = None


def last_tail(files: Files, file: OpenFile, path: Path, workflow_id: str) -> Tail:
    """Recover a ledger and return its end; call it under the exclusive lock.

    Raises:
        DamagedLedger: the last line does not verify against the one before it.
        OSError: the file system refused.
    """
    found = ending(files, file, path, workflow_id)
    if found.completed is not None:
        files.truncate(file, found.completed.head.size - 1)
        write_all(files, file, b"\n")
        return found.completed
    if found.torn:
        _move_aside(files, file, path, found.torn)
    if found.size > found.stop:
        nuls = f"{found.size - found.stop:,}"
        _log.warning("%s: %s NUL bytes after its text contain nothing and were cut off", path, nuls)
    if found.tail.head.size < found.size:
        files.truncate(file, found.tail.head.size)
    return found.tail


def ending(files: Files, file: OpenFile, path: Path, workflow_id: str) -> Ending:
    """Return the end of a ledger as the next writer will find it; nothing is changed.

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
    before = ending_of(lines[-1]) if lines else b""
    torn = data[end:]
    if torn and problem_of(torn + b"\n", before, workflow_id) is None:
        completed = _verified([*lines[-1:], torn + b"\n"], path, workflow_id, stop + 1)
        return Ending(size, stop, tail, completed=completed)
    _check_torn(torn, before, path, workflow_id, tail.head)
    return Ending(size, stop, tail, torn)


def _window(files: Files, file: OpenFile, stop: int) -> tuple[int, bytes]:
    """Return an offset and the bytes from there on: two whole lines and a torn one, most often a few kilobytes."""
    for size in (_SMALL_WINDOW_BYTES, _WINDOW_BYTES):
        start = max(0, stop - size)
        data = files.read(file, start, stop - start)
        if start == 0 or data.count(b"\n") > 2:
            break
    return start, data


def _end_of_text(files: Files, file: OpenFile, size: int) -> int:
    """Return the size without the NUL bytes at the end."""
    end = size
    while end > 0:
        start = max(0, end - _COPY_BYTES)
        text = files.read(file, start, end - start).rstrip(b"\0")
        if text:
            return start + len(text)
        end = start
    return 0


def _last_two(data: bytes, from_start: bool) -> list[bytes]:
    """Return the last two whole lines of a window; only the end of the first one may be there, which is enough."""
    if not data:
        return []
    before_last = data.rfind(b"\n", 0, len(data) - 1) + 1
    if before_last == 0:
        return [data] if from_start else [b"", data]
    return [data[data.rfind(b"\n", 0, before_last - 1) + 1 : before_last], data[before_last:]]


def _verified(lines: list[bytes], path: Path, workflow_id: str, size: int) -> Tail:
    """Return the tail after the last line, which is verified against the line before it."""
    if not lines:
        return Tail()
    before, last = (ending_of(lines[-2]) if len(lines) > 1 else b""), lines[-1]
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
    """Return the number of the last line, from the `seq` of the line before it when that can be parsed."""
    if len(lines) < 2:
        return 1
    try:
        return int(orjson.loads(lines[-2])["seq"]) + 1
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return 2


def _check_torn(torn: bytes, before: bytes, path: Path, workflow_id: str, head: Head) -> None:
    """Raise when a torn tail is a whole line and more: a torn write leaves only the beginning of a line."""
    for end in possible_ends(torn, 0, len(torn)):
        if end < len(torn) and problem_of(torn[:end] + b"\n", before, workflow_id) is None:
            problem = "the newline after a whole line was overwritten"
            raise DamagedLedger(path, head.seq + 1, head.size, problem)


def _move_aside(files: Files, of: OpenFile, path: Path, torn: bytes) -> None:
    """Write a torn tail to a file next to its ledger, on the disk; on failure remove that file."""
    aside, file = _new_file(files, lambda n: path.with_name(f"{path.name}.torn-{n}"))
    try:
        files.take_access(file, of)
        write_all(files, file, torn)
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
    """Replace a fenced ledger by a new, synced file with its verified lines, and lift the fence.

    Call it under the exclusive lock of the old file; a process that waits for that lock then finds that the path names
    another file. A crash before the marker is removed costs one more copy.

    Raises:
        DamagedLedger: a line does not verify; nothing is replaced.
        OSError: the file system refused; nothing is replaced.
    """
    with replaced(files, file, path) as new:
        last_tail(files, file, path, workflow_id)
        reader = LedgerReader(workflow_id, path, lambda at, n: files.read(file, at, n), files.size(file), start=EMPTY)
        for lines in reader.raw_chunks():
            write_all(files, new, lines)
        files.sync(new)
    lift_fence(files, path)
