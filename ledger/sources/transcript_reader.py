"""Reading a transcript's records from a mark on, in bounded memory, and finding the transcripts below a folder."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import IO, Any, Final, cast

import orjson

from ledger.errors import NoLogs, SourceUnreadable, reason
from ledger.sources.findings import Skipped
from ledger.sources.formats.folders import is_folder, unreadable, walked
from ledger.sources.formats.jsonl import records_of_line
from ledger.sources.formats.regular_files import open_regular
from ledger.sources.transcript import BEGINNING, Mark

__all__ = ["TranscriptLines", "files_below"]

_BUFFER_BYTES: Final = 1024 * 1024
_LINE_BYTES_MAX: Final = 64 * 1024 * 1024
"""As for any log: a line may contain a tool's whole output, images included; the largest observed has 9 MB."""
_ENDING_BYTES: Final = 1024
"""Enough for ids and a moment, which distinguish a rewritten file from a grown one; smaller files are read whole."""
_NEAR_THE_END: Final = 2048
"""Most lines that matter do so by what is in their last bytes, such as the usage of a response."""
_HEAD_LINES: Final = 8
"""Lines at the beginning that are always parsed: they show where and when a session began."""
_GZIP: Final = ".gz"
_SUFFIXES: Final = (".jsonl", f".jsonl{_GZIP}")


def files_below(
    path: Path,
    *more: Path,
    skipped: list[Skipped] | None = None,
    wanted: Callable[[str], bool] | None = None,
    ignored: Container[str] = (),
) -> list[Path]:
    """Return all transcripts below folders, or the one file; symbolic links are followed, each folder once.

    Args:
        wanted: returns whether the path of a file is that of a transcript; None: it ends in `.jsonl` or `.jsonl.gz`.
        ignored: names of folders that are not searched.
        skipped: gets each folder that cannot be read.

    Raises:
        SourceUnreadable: the path is missing, holds none, or nothing of it can be read.
    """
    if not is_folder(path):
        if path.is_file():
            return [path]
        raise SourceUnreadable(path, "is no file or folder" if path.exists() else "there is no such file or folder")
    is_wanted = _is_transcript if wanted is None else wanted
    found: list[str] = []
    unread: list[Skipped] = []
    visited: set[tuple[int, int]] = set()
    for root in (path, *more):
        _is_new(str(root), visited, unread)
        for where, folders, names in walked(root, unread, followlinks=True):
            folders[:] = [
                name for name in folders if name not in ignored and _is_new(os.path.join(where, name), visited, unread)
            ]
            found += [file for name in names if (file := f"{where}/{name}") and is_wanted(file)]
    if not found and unread:
        raise SourceUnreadable(unread[0].path, unread[0].reason)
    if not found:
        raise NoLogs(path, "holds no transcript (no file *.jsonl)" if wanted is None else "holds no log of this agent")
    if skipped is not None:
        skipped += unread
    return sorted(map(Path, found))


def _is_transcript(path: str) -> bool:
    return path.endswith(_SUFFIXES)


def _is_new(folder: str, visited: set[tuple[int, int]], unread: list[Skipped]) -> bool:
    """Add a folder to those visited; False for one that was visited, or cannot be."""
    try:
        found = os.stat(folder)
    except OSError as error:
        unread.append(unreadable(Path(folder), error))
        return False
    before = len(visited)
    visited.add((found.st_dev, found.st_ino))
    return len(visited) > before


class _UnreadableLines:
    """Successive lines that could not be read, reported as one."""

    def __init__(self, path: Path, skipped: list[Skipped]) -> None:
        self._path, self._skipped = path, skipped
        self._first, self._last, self._reason = 0, 0, ""

    def add(self, line: int, reason: str) -> None:
        """Add a line and why it cannot be read."""
        if self._first and line == self._last + 1 and reason == self._reason:
            self._last = line
            return
        self.end()
        self._first, self._last, self._reason = line, line, reason

    def end(self) -> None:
        """Report the lines so far."""
        if self._first:
            more = self._last - self._first
            after = "the line" if more == 1 else f"the {more:,} lines"
            reason = f"{self._reason}; the same holds for {after} after it" if more else self._reason
            self._skipped.append(Skipped(self._path, self._first, reason))
        self._first = 0


class TranscriptLines:
    """The records of a transcript that can matter, from a mark on, in bounded memory.

    Args:
        wanted: a record can matter when its line contains one of these, mostly the first; the first lines always can.
            Without any, all can.

    Attributes:
        skipped: what could not be read.
        mark: after the last whole line that was yielded; `beginnings` is the caller's.
        resumed: the records are those after the mark; False: the file was rewritten, they are all.
        failed: until the file was read to its end.
    """

    def __init__(self, path: Path, mark: Mark, *wanted: bytes) -> None:
        self.path, self.mark, self.skipped = path, mark, list[Skipped]()
        self.resumed, self.failed = False, True
        self._usual, self._wanted = b"".join(wanted[:1]), re.compile(b"|".join(map(re.escape, wanted)))
        self._unread = _UnreadableLines(path, self.skipped)

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            with _opened(self.path) as file:
                self.resumed = self._resume(file)
                if not self.resumed:
                    self.mark = BEGINNING
                    file.seek(0)
                yield from self._records(file)
            self.failed = False
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self._unread.end()
            self.skipped.append(Skipped(self.path, self.mark.lines + 1, f"the gzip file is cut or damaged: {error}"))
        except OSError as error:
            self.skipped.append(Skipped(self.path, None, f"cannot be read: {reason(error)}"))
        self._unread.end()

    def _resume(self, file: IO[bytes]) -> bool:
        """Go to the mark; False when the bytes before it are not the ones that were read."""
        if self.mark.offset < _ENDING_BYTES:
            return False
        file.seek(self.mark.offset - _ENDING_BYTES)
        return _ending(file.read(_ENDING_BYTES)) == self.mark.ending

    def _records(self, file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Nearly all bytes are in lines that cannot matter: those are searched once for all texts, and never parsed."""
        lines, offset, ending = self.mark.lines, self.mark.offset, b""
        usual, search = self._usual, self._wanted.search
        try:
            while line := file.readline(_LINE_BYTES_MAX):
                number, size = lines + 1, len(line)
                if line.endswith(b"}\n") and line.startswith(b"{"):
                    if line.rfind(usual, -_NEAR_THE_END) >= 0 or number <= _HEAD_LINES or search(line):
                        try:
                            record = orjson.loads(line)  # an object, by its first character
                        except orjson.JSONDecodeError:
                            yield from self._of_odd_line(line, number)
                        else:
                            yield number, record
                elif line.endswith(b"\n"):
                    yield from self._of_odd_line(line.removeprefix(codecs.BOM_UTF8), number)
                elif size < _LINE_BYTES_MAX:  # its newline is missing: read now, and again once it is written
                    yield from self._of_odd_line(line, number)
                    break
                else:
                    self._unread.add(number, f"is longer than {_LINE_BYTES_MAX:,} bytes")
                    while not line.endswith(b"\n") and (line := file.readline(_LINE_BYTES_MAX)):
                        size += len(line)
                ending = line[-_ENDING_BYTES:] if len(line) >= _ENDING_BYTES else (ending + line)[-_ENDING_BYTES:]
                lines, offset = number, offset + size
        finally:
            resumable = len(ending) == _ENDING_BYTES and not self.path.name.endswith(_GZIP)
            self.mark = Mark(offset, lines, _ending(ending) if resumable else "", self.mark.beginnings, self.mark.state)

    def _of_odd_line(self, line: bytes, number: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """The objects of a line that may not be one object."""
        if not line.strip():
            return
        for found in records_of_line(self.path, number, line):
            if isinstance(found, Skipped):
                self._unread.add(number, found.reason)
            else:
                yield found


def _opened(path: Path) -> IO[bytes]:
    if not path.name.endswith(_GZIP):
        return open_regular(path, buffering=_BUFFER_BYTES)
    file = open_regular(path)
    unpacked = gzip.GzipFile(fileobj=file, mode="rb")
    unpacked.myfileobj = file  # type: ignore[assignment]  # so that it closes the file, too
    return cast(IO[bytes], unpacked)


def _ending(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
