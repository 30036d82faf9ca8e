"""`costledger` in this process, with files as its input and outputs: what a script sees, without a start of Python."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from projections.cli.app import main

__all__ = ["Done", "costledger"]


@dataclass(frozen=True)
class Done:
    """The exit code of a command, and what it has written."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def costledger(
    folder: Path, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str | None] | None = None
) -> Done:
    """Run a command in a folder; it ends with an exit code, as each command line does.

    Args:
        environment: variables that differ from those of this process; None for one that is not set.
    """
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        pytest.MonkeyPatch.context() as patch,
    ):
        given.write(stdin)
        given.seek(0)
        patch.chdir(folder)
        for name, value in (environment or {}).items():
            patch.delenv(name, raising=False) if value is None else patch.setenv(name, value)
        with (
            _logs_of_its_own(patch),
            _instead_of("stdin", given, patch),
            _instead_of("stdout", out, patch),
            _instead_of("stderr", err, patch),
            pytest.raises(SystemExit) as left,
        ):
            main(arguments)
        return Done(int(str(left.value.code)), _text(out), _text(err))


@contextlib.contextmanager
def _instead_of(name: str, file: IO[bytes], patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a standard stream of this process, and its descriptor, be a file during the block."""
    number = ["stdin", "stdout", "stderr"].index(name)
    before = os.dup(number)
    os.dup2(file.fileno(), number)
    stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115 (no path)
    patch.setattr(sys, name, stream)
    try:
        yield
    finally:
        stream.close()
        os.dup2(before, number)
        os.close(before)


@contextlib.contextmanager
def _logs_of_its_own(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """No handler and no level of this process concern the command during the block, nor its own what comes after."""
    ours = logging.getLogger("costledger")
    level = ours.level
    for logger in (ours, logging.root):
        patch.setattr(logger, "handlers", [])
    ours.setLevel(logging.NOTSET)
    try:
        yield
    finally:
        for handler in ours.handlers:
            handler.close()  # as at the end of a process
        ours.setLevel(level)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()
