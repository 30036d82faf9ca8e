"""A command whom the mode of a file binds, also when root runs the tests."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.command import costledger

__all__ = ["bound_by_modes", "costledger_at"]

_CAPABILITIES_V3: Final = 0x20080522
_READS_AND_WRITES_ALL: Final = 0b110
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root passes over the modes of files (capabilities(7))."""
_GET_SECURITY: Final = 27
_SET_SECURITY: Final = 28
_ACCESS_AS_EFFECTIVE: Final = 0b100
"""SECBIT_NO_SETUID_FIXUP: access(2) does not give root its permitted capabilities back."""
_header: Final = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
_Capabilities = ctypes.c_uint32 * 6
"""Effective, permitted and inheritable ones, twice 32 of them."""


def costledger_at(home: Path, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """Run `costledger` at a home of its own, in the folder of that; return its exit code, output and errors."""
    names = ("COSTLEDGER_DATA", "COSTLEDGER_CONFIG", "XDG_DATA_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME")
    environment = dict.fromkeys(names) | {"HOME": str(home), "COLUMNS": "200"}
    with bound_by_modes():
        done = costledger(home, *arguments, stdin=stdin.encode(), environment=environment)
    assert "this should not happen" not in done.err
    return done.code, done.out, done.err


@contextlib.contextmanager
def bound_by_modes() -> Iterator[None]:
    """Let the modes of files bind this thread, and the threads and processes that it starts, during the block."""
    if os.geteuid():
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    before, security = _Capabilities(), libc.prctl(_GET_SECURITY)
    _succeeded(libc.capget(_header, before))
    _succeeded(libc.prctl(_SET_SECURITY, security | _ACCESS_AS_EFFECTIVE, 0, 0, 0))
    _succeeded(libc.capset(_header, _Capabilities(before[0] & ~_READS_AND_WRITES_ALL, *before[1:])))
    try:
        yield
    finally:
        _succeeded(libc.capset(_header, before))
        _succeeded(libc.prctl(_SET_SECURITY, security, 0, 0, 0))


def _succeeded(answer: int) -> None:
    if answer:
        raise OSError(ctypes.get_errno(), "the capabilities of this thread cannot be changed")
