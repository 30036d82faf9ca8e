"""Small files of a data directory that are written whole: a reader sees the old one or the new one, never a half."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ledger.storage import files

__all__ = ["locked", "write_whole"]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """While the block runs, no other process is in such a block of this folder; it is made when it is not there.

    Raises:
        OSError: the folder cannot be made, opened or locked; LockTimeout, another process is in such a block for long.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with files.locked(files.Files(), files.OpenFile(folder, os.O_RDONLY | os.O_DIRECTORY)):
        yield


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Put these bytes there, on the disk when this returns.

    Args:
        mode: who may read it, before the umask.

    Raises:
        OSError: the file system refused; what was there is still there.
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
