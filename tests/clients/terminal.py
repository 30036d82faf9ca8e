"""A pseudo-terminal in which an interactive client runs: what it draws is read, what it asks a terminal is answered."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["Terminal"]

_ANSWERS: Final = {
    b"\x1b[6n": b"\x1b[1;1R",
    b"\x1b[c": b"\x1b[?62;22c",
    b"\x1b]11;?": b"\x1b]11;rgb:0000/0000/0000\x1b\\",
}
"""Cursor position, kind of terminal, background colour: some clients wait for them before they start."""

_ROWS, _COLUMNS = 50, 180


class Terminal:
    """One client at a terminal of its own."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.drawn = b""
        self._last = time.monotonic()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._ours, 65536)
            except OSError:  # Linux: the other side is closed
                return
            if not part:
                return
            self.drawn += part
            self._last = time.monotonic()
            for asked, answer in _ANSWERS.items():
                if asked in part:
                    os.write(self._ours, answer)

    def wait_until_quiet(self, quiet_seconds: float, most_seconds: float) -> None:
        """Wait until something was drawn, and then nothing for a while."""
        until = time.monotonic() + most_seconds
        while time.monotonic() < until and self.process.poll() is None:
            if self.drawn and time.monotonic() - self._last > quiet_seconds:
                return
            time.sleep(0.05)

    def type(self, text: str) -> None:
        """Type a line; Enter comes a moment later, so that it is not taken for a part of a pasted text."""
        os.write(self._ours, text.encode())
        time.sleep(1)
        self.enter()

    def enter(self) -> None:
        os.write(self._ours, b"\r")

    def end(self, seconds: float) -> None:
        """Wait for the end of the client, which was asked for; kill it when it does not come."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join(2)
        os.close(self._ours)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
