"""The spool: what status lines and hooks reported, until a drain has appended it to the ledgers.

One JSON object per line in `DATA/live/spool.jsonl`. A writer appends under the file's lock, in one write. A drain,
of which there is one at a time, renames the file to `taken-<n>`, appends its lines to the ledgers, and removes it; a
drain that dies, or cannot append, leaves it to the next. Nothing is synced: after a power cut the next status line
reports the same counter again, and the next hook reads the transcript from where the last drain stopped.

Small and plain: it runs while an agent waits, and imports nothing that would take longer than it does (`pathlib`,
`typing` and `contextlib` would).
"""

from __future__ import annotations

import fcntl
import json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

__all__ = ["LATE_MAX_MS", "Spool", "file_name", "is_file_name", "same_start"]

LATE_MAX_MS: Final = 5_000
"""How late a line may come, and so how far two computations of one counter's start may differ: Claude Code's clock
is read before ours, and a busy machine takes its time in between."""

_LOG_BYTES_MAX: Final = 1024 * 1024
"""Of `capture.log`; then it becomes `capture.log.1`, which replaces the one before."""

_LOCK_SECONDS: Final = 2.0
"""A writer has the lock for less than a millisecond, unless it was stopped."""

_NAME_CHARACTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.")


def is_file_name(name: object) -> bool:
    """Return whether a session id can be part of a file name; the same rule as for workflow ids."""
    return isinstance(name, str) and 0 < len(name) <= 128 and name[0] != "." and set(name) <= _NAME_CHARACTERS


def file_name(session_id: str) -> str:
    """Return a session's id as a file name or a workflow's id; the same as `ledger.sources.names.name_id`.

    That one takes longer to import than an agent should wait.
    """
    if is_file_name(session_id):
        return session_id
    from hashlib import sha256

    parts = "".join(c if c in _NAME_CHARACTERS and c != "." else " " for c in session_id).split()
    shown = "-".join(parts).strip("-")[:64] or "unnamed"
    return f"{shown}-{sha256(session_id.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def same_start(one: int | None, other: int | None) -> bool:
    """Return whether two computations of a counter's start, in milliseconds, may be of the same counter."""
    return one is not None and other is not None and abs(one - other) <= LATE_MAX_MS


class Spool:
    """The spool of a data directory, and the other files of `DATA/live`."""

    def __init__(self, data: str) -> None:
        self.data = data
        self.folder = os.path.join(data, "live")
        self.path = os.path.join(self.folder, "spool.jsonl")
        self._taken_prefix = os.path.join(self.folder, "taken-")
        self._drain_lock = os.path.join(self.folder, "drain.lock")

    def add(self, entry: Mapping[str, Any]) -> None:
        """Append one line.

        Raises:
            OSError: the line could not be written; the spool is unchanged.
        """
        line = json.dumps(entry, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        os.makedirs(self.folder, exist_ok=True)
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            try:
                _lock(fd)
                if self._is_at(fd):
                    self._write(fd, line)
                    return
            finally:
                os.close(fd)

    def _write(self, fd: int, line: bytes) -> None:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            line = b"\n" + line  # a writer was killed, or the power went, in the middle of the line before
        if os.write(fd, line) != len(line):
            os.ftruncate(fd, size)
            raise OSError(28, "no space for the whole line")

    def _is_at(self, fd: int) -> bool:
        """Return whether the path still names this file; a drain may have renamed it."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(fd))
        except FileNotFoundError:
            return False

    def waits(self) -> bool:
        """Return whether lines wait to be drained, including those that a drain has left."""
        return self.has_new() or bool(self._taken())

    def has_new(self) -> bool:
        """Return whether there are lines that no drain has taken yet."""
        try:
            return os.stat(self.path).st_size > 0
        except FileNotFoundError:
            return False

    def take(self) -> bytes:
        """Take and return all waiting lines, those that earlier drains have left first. Under `drain_lock` only."""
        taken = self._taken()
        number = int(taken[-1].rpartition("-")[2]) + 1 if taken else 1
        if self._renamed(path := f"{self._taken_prefix}{number:09d}"):
            taken.append(path)
        return b"".join(_read(path) for path in taken)

    def _renamed(self, path: str) -> bool:
        """Rename the spool to this path; return whether there was one."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            _lock(fd)  # no writer is in the middle of a line
            os.rename(self.path, path)
        finally:
            os.close(fd)
        return True

    def retain(self, lines: bytes) -> None:
        """Leave these of the taken lines to the next drain, and delete the others. Under `drain_lock` only."""
        taken, retained = self._taken(), f"{self._taken_prefix}{0:09d}"
        if lines:
            with open(f"{self.path}.new", "wb") as file:
                file.write(lines)
            os.replace(f"{self.path}.new", retained)
        for path in taken:
            if not (lines and path == retained):
                os.unlink(path)

    def _taken(self) -> list[str]:
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        return sorted(os.path.join(self.folder, name) for name in names if name.startswith("taken-"))

    def drain_lock(self) -> int | None:
        """Return the lock of the one process that drains; None when another has it: that one looks again at its end.

        A descriptor: the lock lasts until it is closed here and in the process that inherited it.
        """
        os.makedirs(self.folder, exist_ok=True)
        fd = os.open(self._drain_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            if isinstance(error, BlockingIOError):
                return None
            raise
        return fd

    def session(self, session_id: str) -> dict[str, Any]:
        """Return what the last drain cached of a session; empty when there is nothing, or nothing readable."""
        try:
            found = json.loads(_read(self.session_path(session_id)))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def session_path(self, session_id: str) -> str:
        """Return the path of the cache of a session."""
        return os.path.join(self.folder, "sessions", f"{file_name(session_id)}.json")

    def log(self, at: str, sentence: str) -> None:
        """Append a line to `DATA/log/capture.log`; a failure to do so is ignored."""
        folder = os.path.join(self.data, "log")
        path = os.path.join(folder, "capture.log")
        try:
            os.makedirs(folder, exist_ok=True)
            if os.path.exists(path) and os.stat(path).st_size > _LOG_BYTES_MAX:
                os.replace(path, f"{path}.1")
            with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{at} {' '.join(sentence.split())[:2000]}\n")
        except OSError:
            return


def _lock(fd: int) -> None:
    """Lock the spool, and wait for the lock no longer than an agent may wait.

    Raises:
        OSError: another process has not released it in time.
    """
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise OSError(
                    11, f"another process has not released the spool's lock for {_LOCK_SECONDS:g} s"
                ) from None
            time.sleep(0.001)
        else:
            return


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
