"""Atomic writes of small files: a reader gets the old content or the new content, never a part."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ledger.storage import files

__all__ = ["locked", "write_whole"]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder during the block against other processes that do the same; it is created when it does not exist.

    Raises:
        OSError: the folder cannot be created, opened or locked; LockTimeout: another process has locked it for long.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with files.locked(files.Files(), files.OpenFile(folder, os.O_RDONLY | os.O_DIRECTORY)):
        yield


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Replace the content of a file; it is on the disk when this returns.

    Args:
        mode: who may read it, before the umask.

    Raises:
        OSError: the file system refused; the old content is still there.
    """
    new = path.with_name(f"{path.name}.new-{os.getpid()}")
    try:
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(file, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
