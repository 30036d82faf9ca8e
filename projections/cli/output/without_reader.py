"""An output that goes on when no process reads it any more, for commands whose work must not end with `| head`."""

from __future__ import annotations

import io
import os
import stat
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["write_without_reader"]

_STDOUT = 1


def write_without_reader() -> None:
    """Let stdout, if it is a pipe, discard what is written after its reader has closed it.

    The command then ends with its own exit code, as if its output had been read.
    """
    mode = os.fstat(_STDOUT).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        sys.stdout.flush()
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Pipe()), encoding="utf-8", errors=sys.stdout.errors)


class _Pipe(io.RawIOBase):
    """The standard output as a pipe that never breaks."""

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def fileno(self) -> int:
        """Return its descriptor."""
        return _STDOUT

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes; without a reader, discard them and all that follow."""
        try:
            return os.write(_STDOUT, data)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
            return os.write(_STDOUT, data)
