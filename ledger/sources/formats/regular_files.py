"""Opening the files of agents: regular ones only, so that no read waits for a writer or never ends."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO, Final, cast

__all__ = ["open_regular", "read_regular"]

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""Without O_NONBLOCK the opening of a pipe would wait for a process that writes into it."""


def open_regular(path: Path, *, buffering: int = -1) -> IO[bytes]:
    """Open a file to read its bytes.

    Raises:
        OSError: it cannot be opened, or is no regular file: a pipe, a terminal, a device, a folder.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        return cast(IO[bytes], os.fdopen(descriptor, "rb", buffering))
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path) -> bytes:
    """Return the bytes of a file; see `open_regular`."""
    with open_regular(path) as file:
        return file.read()
