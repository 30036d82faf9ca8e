"""The file-system calls of an append, and the rules that all writers of ledger files follow.

One method of `Files` is one system call (Python retries EINTR itself, PEP 475), so a test can make the n-th call fail.
Errors stay `OSError`; the callers decide what they mean.

A failed sync leaves pages that look clean and are not on the disk, and the kernel reports the error only once: the next
sync succeeds (https://lwn.net/Articles/752063/). So the process that gets the error, writer or reader, fences the
ledger: it creates a marker `<ledger>.fenced` before it does anything else, and remembers the fence itself in case the
marker cannot be created. No process uses a fenced ledger until its bytes have been copied to a new file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import stat
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Final

from ledger.storage import descriptors, locks

__all__ = [
    "PATHS_CACHED",
    "Files",
    "OpenFile",
    "fence_path",
    "is_fenced",
    "lift_fence",
    "locked",
    "locked_file",
    "set_fence",
    "write_all",
]

PATHS_CACHED: Final = 1024
"""Paths of ledgers in use. Each new `Path` interns its parts; without a cache the table of interned strings is rebuilt
again and again, 2 MB each time in the heap of the calling thread, and a server would grow with its threads."""

_FLAGS: Final = os.O_CLOEXEC | os.O_NOCTTY


class OpenFile:
    """An open descriptor that closes with its last reference.

    A thread that syncs has a reference of its own. So another thread that reopens the ledger cannot close the
    descriptor, and the system cannot reuse its number during the sync.

    Attributes:
        path: where it was opened.
        identity: device and inode, which do not change while it is open.
        reads: it is only read; a forked child may continue to read, since no lock is taken again.
        stuck: its lock could not be released; its last user must call `let_go`.
    """

    __slots__ = ("fd", "identity", "path", "reads", "stuck")

    def __init__(self, path: Path, flags: int) -> None:
        self.path, self.reads, self.stuck = path, flags & os.O_ACCMODE == os.O_RDONLY, False
        self.fd = descriptors.retried(lambda: locks.opened(lambda: os.open(path, flags | _FLAGS, 0o666)))
        self.identity: tuple[int, int] | None = _identity(os.fstat(self.fd))

    def let_go(self) -> None:
        """Release a lock that cannot be unlocked: the descriptor becomes one of /dev/null, so a sync of it fails."""
        self.identity = None
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_RDWR | _FLAGS)
            os.dup2(null, self.fd, inheritable=False)
            os.close(null)

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # it could not be opened
            locks.unshare(self.fd)
            os.close(self.fd)


def _identity(of: os.stat_result) -> tuple[int, int]:
    return of.st_dev, of.st_ino


def _regular(file: OpenFile) -> OpenFile:
    if not stat.S_ISREG(os.fstat(file.fd).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file; move it away")
    return file


class Files:
    """The files of the operating system.

    Attributes:
        fenced: paths of ledgers whose sync has failed in this process.
    """

    fenced: ClassVar[set[Path]] = set()

    def open_append(self, path: Path) -> OpenFile:
        """Open a file for reading and appending; it is created when there is none."""
        return _regular(OpenFile(path, os.O_RDWR | os.O_CREAT | os.O_APPEND))

    def open_read(self, path: Path) -> OpenFile:
        """Open a file for reading. Without O_NONBLOCK a FIFO would wait for a process that writes to it."""
        return _regular(OpenFile(path, os.O_RDONLY | os.O_NONBLOCK))

    def open_existing(self, path: Path) -> OpenFile:
        """Open a file for reading and appending; FileNotFoundError when there is none."""
        return OpenFile(path, os.O_RDWR | os.O_APPEND)

    def create(self, path: Path) -> OpenFile:
        """Create a file; FileExistsError when there is one."""
        return OpenFile(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)

    def take_access(self, new: OpenFile, old: OpenFile) -> None:
        """Give a new file the mode of the old one, and its owner and group where permitted."""
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
        """Release the lock of a file."""
        fcntl.flock(file.fd, fcntl.LOCK_UN)
        if file.reads:
            locks.unshare(file.fd)

    def size(self, file: OpenFile) -> int:
        """Return the size of a file in bytes."""
        return os.lseek(file.fd, 0, os.SEEK_END)

    def is_at(self, file: OpenFile, path: Path) -> bool:
        """Return whether the path still names this file."""
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == file.identity

    def exists(self, path: Path) -> bool:
        """Return whether there is anything at a path."""
        try:
            os.stat(path)
        except FileNotFoundError:
            return False
        return True

    def read(self, file: OpenFile, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from an offset."""
        return os.pread(file.fd, count, offset)

    def write(self, file: OpenFile, data: bytes) -> int:
        """Append bytes and return how many were written; callers use `write_all`."""
        return os.write(file.fd, data)

    def truncate(self, file: OpenFile, size: int) -> None:
        """Cut a file to a size."""
        os.ftruncate(file.fd, size)

    def sync(self, file: OpenFile) -> None:
        """Put the bytes of a file and its size on the disk (fdatasync; its manual page: sizes are included)."""
        os.fdatasync(file.fd)

    def sync_directory(self, path: Path) -> None:
        """Put the names in a folder on the disk."""
        directory = OpenFile(path, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory.fd)

    def map(self, file: OpenFile, size: int) -> mmap.mmap:
        """Map the first `size` bytes, so that a search does not read them into memory; a context manager."""
        return descriptors.retried(lambda: mmap.mmap(file.fd, size, access=mmap.ACCESS_READ))

    def link(self, old: Path, new: Path) -> None:
        """Give a file a second name; FileExistsError when it is taken."""
        os.link(old, new)

    def replace(self, old: Path, new: Path) -> None:
        """Move a file to a name, which may be that of another file."""
        os.replace(old, new)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        os.unlink(path)


def write_all(files: Files, file: OpenFile, data: bytes) -> None:
    """Append bytes to a file in one call, all of them.

    Raises:
        OSError: the file system refused, or wrote only a part, as when the disk becomes full; the part stays.
    """
    written = files.write(file, data)
    if written != len(data):
        raise OSError(errno.ENOSPC, f"only {written:,} of {len(data):,} bytes were written")


@contextlib.contextmanager
def locked(files: Files, file: OpenFile, *, shared: bool = False) -> Iterator[None]:
    """Lock a file during the block, and release the lock in every case.

    The traceback of an error can keep the file open for long. A lock that could not be released would then block all
    other processes, so the descriptor lets go of it.
    """
    files.lock(file, shared=shared)
    try:
        yield
    finally:
        try:
            files.unlock(file)
        except BaseException:  # an interrupt, too
            file.let_go()
            raise


@contextlib.contextmanager
def locked_file(files: Files, path: Path, *, writable: bool = False) -> Iterator[OpenFile]:
    """Open the file that a path names, exclusively locked during the block.

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


@lru_cache(PATHS_CACHED)
def fence_path(ledger: Path) -> Path:
    """Return the path of the marker of a fenced ledger, whether it exists or not."""
    return ledger.with_name(ledger.name + ".fenced")


def set_fence(files: Files, ledger: Path) -> None:
    """Fence a ledger; other processes may miss it, since the disk is failing."""
    files.fenced.add(ledger)
    with contextlib.suppress(OSError):
        marker = fence_path(ledger)
        with contextlib.suppress(FileExistsError):
            files.create(marker)
        files.sync_directory(marker.parent)


def is_fenced(files: Files, ledger: Path) -> bool:
    """Return whether a sync of this ledger has failed since it was last copied.

    Raises:
        OSError: the file system refused.
    """
    return (files.fenced and ledger in files.fenced) or files.exists(fence_path(ledger))


def lift_fence(files: Files, ledger: Path) -> None:
    """Remove the fence of a ledger whose bytes were copied to a new, synced file at the same path.

    Raises:
        OSError: the file system refused; a marker that remains costs one more copy.
    """
    with contextlib.suppress(FileNotFoundError):
        files.remove(fence_path(ledger))
    files.sync_directory(ledger.parent)
    files.fenced.discard(ledger)
