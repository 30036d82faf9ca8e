"""Values, paths and refusals of the operating system, as parts of a sentence."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

_SHOWN_CHARACTERS = 60


def shown(value: object) -> str:
    """Return a value as part of a sentence: printable, short, and with the words of JSON instead of Python's."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str) and value.isprintable():
        text = repr(value)
    else:
        text = str(value) if isinstance(value, Decimal) else ascii(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def readable(path: str | Path) -> str:
    """Return a path as text; bytes that are not text, and control characters, become "\ufffd"."""
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


_TOO_FEW: Final = {
    errno.EMFILE: "this process has as many files open as it may: raise that with `ulimit -n 1024` (of a systemd unit: "
    "LimitNOFILE=) and run this again",
    errno.ENFILE: "the programs of this machine have as many files open as they may together: end some, or raise "
    "fs.file-max (sysctl), and run this again",
}
"""What to do when the operating system has no file descriptor left."""


def is_shortage(error: BaseException) -> bool:
    """Return whether the cause of an error is too few file descriptors, and not a file."""
    return isinstance(error, OSError) and error.errno in _TOO_FEW


def reason(error: OSError) -> str:
    """Return why the operating system refused, and what to do when no file is the cause."""
    refused = error.strerror or str(error)
    return f"{refused}: {_TOO_FEW[error.errno]}" if error.errno in _TOO_FEW else refused
