"""A pseudo-terminal for commands that behave differently at one."""

from __future__ import annotations

import os
import subprocess

__all__ = ["shown_until_end"]


def shown_until_end(ours: int, theirs: int, process: subprocess.Popen[bytes]) -> bytes:
    """Return what a process writes to a pseudo-terminal until it ends; both sides are closed."""
    with process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux: the other side is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    return shown
