"""The few file-system calls that an append makes, in one place.

One method is one system call (Python retries EINTR itself, PEP 475), so a test can make the n-th one fail.
Errors stay `OSError`; the journal gives them their meaning.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from ledger.storage import descriptors, locks

__all__ = ["PATHS_KEPT", "Files", "OpenFile", "locked", "locked_file"]

PATHS_KEPT: Final = 1024
"""Paths of ledgers in use. A new `Path` interns its parts, and as those come and go Python makes the table of them
anew, 2 MB each time in the heap of whichever thread it is: a server would grow with its threads."""

_FLAGS: Final = os.O_CLOEXEC | os.O_NOCTTY


class OpenFile:
    """An open descriptor that closes when nobody holds it any more.

    A thread that syncs holds its own reference, so another thread that reopens the ledger can never close, and
    the system never reuse, the descriptor being synced.

    Attributes:
        path: where it was opened.
        reads: it is only read; a forked child may go on reading, for no lock is taken again.
        stuck: its lock could not be unlocked; who is done with it lets it go.
    """

    __slots__ = ("fd", "path", "reads", "stuck")

    def __init__(self, path: Path, flags: int) -> None:
        self.path, self.reads, self.stuck = path, flags & os.O_ACCMODE == os.O_RDONLY, False
        self.fd = descriptors.retried(lambda: locks.opened(lambda: os.open(path, flags | _FLAGS, 0o666)))

    def let_go(self) -> None:
        """Lift its lock when it cannot be unlocked: from now on the descriptor is of no file, so a sync of it fails."""
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_RDWR | _FLAGS)
            os.dup2(null, self.fd, inheritable=False)
            os.close(null)

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # it could not be opened
            locks.unshare(self.fd)
            os.close(self.fd)


def _regular(file: OpenFile) -> OpenFile:
    if not stat.S_ISREG(os.fstat(file.fd).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file; move it away")
    return file


class Files:
    """The operating system's files.

    Attributes:
        fenced: paths of ledgers whose sync has failed in this process; see `fence.py`.
    """

    fenced: ClassVar[set[Path]] = set()

    def open_append(self, path: Path) -> OpenFile:
        return _regular(OpenFile(path, os.O_RDWR | os.O_CREAT | os.O_APPEND))

    def open_read(self, path: Path) -> OpenFile:
        # Without O_NONBLOCK a FIFO would wait for a process that writes into it.
        return _regular(OpenFile(path, os.O_RDONLY | os.O_NONBLOCK))

    def open_existing(self, path: Path) -> OpenFile:
        """To read and append; FileNotFoundError when there is none."""
        return OpenFile(path, os.O_RDWR | os.O_APPEND)

    def create(self, path: Path) -> OpenFile:
        """A new file; FileExistsError when there is one."""
        return OpenFile(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)

    def take_access(self, new: OpenFile, old: OpenFile) -> None:
        """Give a new file the mode of the old one, and its owner and group where we may."""
        was = os.fstat(old.fd)
        try:
            os.fchown(new.fd, was.st_uid, was.st_gid)
        except PermissionError:
            with contextlib.suppress(PermissionError):
                os.fchown(new.fd, -1, was.st_gid)
        os.fchmod(new.fd, stat.S_IMODE(was.st_mode))

    def lock(self, file: OpenFile, *, shared: bool = False) -> None:
        """Wait for a lock, for a bounded time; LockTimeout when another process does not release it."""
        locks.lock(file.fd, file.path, shared=shared)

    def unlock(self, file: OpenFile) -> None:
        fcntl.flock(file.fd, fcntl.LOCK_UN)
        if file.reads:
            locks.unshare(file.fd)

    def size(self, file: OpenFile) -> int:
        return os.fstat(file.fd).st_size

    def is_at(self, file: OpenFile, path: Path) -> bool:
        """Whether the path still names this very file."""
        try:
            named = os.stat(path)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(file.fd))

    def exists(self, path: Path) -> bool:
        try:
            os.stat(path)
        except FileNotFoundError:
            return False
        return True

    def read(self, file: OpenFile, offset: int, count: int) -> bytes:
        return os.pread(file.fd, count, offset)

    def write(self, file: OpenFile, data: bytes) -> int:
        return os.write(file.fd, data)

    def truncate(self, file: OpenFile, size: int) -> None:
        os.ftruncate(file.fd, size)

    def sync(self, file: OpenFile) -> None:
        """The file's bytes and its size are on the disk (fdatasync; its manual page: sizes are included)."""
        os.fdatasync(file.fd)

    def sync_directory(self, path: Path) -> None:
        directory = OpenFile(path, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory.fd)

    def map(self, file: OpenFile, size: int) -> mmap.mmap:
        """The first `size` bytes, to be searched without reading them into memory; a context manager."""
        return descriptors.retried(lambda: mmap.mmap(file.fd, size, access=mmap.ACCESS_READ))

    def link(self, old: Path, new: Path) -> None:
        """A second name; FileExistsError when it is taken."""
        os.link(old, new)

    def replace(self, old: Path, new: Path) -> None:
        os.replace(old, new)

    def remove(self, path: Path) -> None:
        os.unlink(path)


@contextlib.contextmanager
def locked(files: Files, file: OpenFile, *, shared: bool = False) -> Iterator[None]:
    """A file, locked; its lock is lifted whatever happens.

    The traceback of an error, which somebody may keep, keeps the file open; a lock that could not be unlocked would
    then stay, and everybody else wait.
    """
    files.lock(file, shared=shared)
    try:
        yield
    finally:
        try:
            files.unlock(file)
        except BaseException:  # an interrupt, too, comes between
            file.let_go()
            raise


@contextlib.contextmanager
def locked_file(files: Files, path: Path, *, writable: bool = False) -> Iterator[OpenFile]:
    """The file that the path names, exclusively locked.

    Args:
        writable: it can also be appended to and cut.

    Raises:
        OSError: there is none, or the file system refused.
    """
    while True:
        file = files.open_existing(path) if writable else files.open_read(path)
        with locked(files, file):
            if files.is_at(file, path):
                yield file
                return
