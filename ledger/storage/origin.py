"""The origin of a data directory: the stable id in its ledgers, and the position of the directory.

`PATH/origin` has the id, and below it the inodes of that file and of its folder. A copy has other inodes (a hard link
shares that of the file); a rename on one file system does not change them. Each tmpfs counts its inodes from 1 and does
not survive a boot, so there the device is compared, too; elsewhere its number may change with a boot. The file is only
replaced as a whole.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from ledger.errors import LedgerUnavailable, MisplacedOrigin, RenewalUnfinished, is_shortage
from ledger.storage.files import Files, OpenFile, locked_file, write_all
from ledger.storage.filesystem import file_system_of

__all__ = [
    "Origin",
    "begin_renewal",
    "end_renewal",
    "keep_origin",
    "made_origin",
    "misplaced",
    "named_origins",
    "note_position",
    "origin_of",
    "take_origin",
]

_CONTENT = re.compile(
    rb"(?P<id>[0-9a-f]+)\n?"
    rb"(?:inode (?P<inode>[0-9]+)(?: in (?P<folder>[0-9]+)(?: of (?P<device>[0-9]+))?)?\n(?P<renewing>renewing\n)?)?\Z"
)
_NAMED = re.compile(rb'"origin":"([0-9a-f]+)"')
_OPENING_BYTES: Final = 4096
_INSPECTED: Final = 16
"""Ledgers whose opening lines an append reads to check the origin."""
_BYTES_MAX: Final = 256


class NoOriginError(OSError):
    """A file without a valid origin."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The content of `PATH/origin`.

    Attributes:
        inode: of the file as it was written; None when it was not recorded yet.
        renewing: some ledgers may still name the former origin.
        elsewhere: the file was written at another position than this one.
    """

    id: str
    inode: int | None = None
    renewing: bool = False
    elsewhere: bool = False


def origin_of(data: Path) -> Origin | None:
    """Return the origin of a data directory; None when it has none yet.

    Raises:
        LedgerUnavailable: it cannot be read, or is not valid.
    """
    files = Files()
    with _errors(data):
        try:
            return _parsed(data, files, files.open_read(data / "origin"))
        except FileNotFoundError:
            return None


def made_origin(data: Path, files: Files) -> str:
    """Return the id of the origin of a data directory, which is created when there is none.

    Raises:
        LedgerUnavailable: it can be neither read nor created.
    """
    found = origin_of(data)
    if found is None:
        with _errors(data):
            _put(data, Origin(os.urandom(8).hex()), files, first=True)
        found = origin_of(data)
    assert found is not None
    return found.id


def named_origins(data: Path, limit: int | None = None) -> set[str]:
    """Return the origins in the first lines of the ledgers of a data directory, or of so many of them."""
    named = set()
    with contextlib.suppress(OSError), os.scandir(data / "ledgers") as entries:
        for entry in islice((entry for entry in entries if entry.name.endswith(".jsonl")), limit):
            if entry.is_file():
                with contextlib.suppress(OSError), open(entry.path, "rb") as file:  # noqa: PTH123
                    match = _NAMED.search(file.read(_OPENING_BYTES).partition(b"\n")[0])
                    named |= {match[1].decode()} if match else set()
    return named


def misplaced(data: Path, *, every: bool = False) -> MisplacedOrigin | None:
    """Return why another data directory may append under the same origin; None when the origin is valid here.

    A copy of a whole file system has the same inodes and is not detected.

    Args:
        every: compare the origin in every ledger; by default some ledgers are read, and only without a valid file.
    """
    command = f"costledger --data {data} origin"
    only_one = f"if this is the only one that goes on: {command} --moved, which takes the id from the ledgers"
    found, unreadable = None, None
    try:
        found = origin_of(data)
    except LedgerUnavailable as error:
        if is_shortage(error.error):
            raise  # the cause is not that file
        unreadable = error
    named = named_origins(data, None if every else _INSPECTED) if every or found is None else set()
    if found is None and unreadable is None and named:
        found = origin_of(data)  # a first append may have made it since, before its ledger
    if unreadable is not None:
        step = only_one if len(named) == 1 else "restore that file from a backup"
        return MisplacedOrigin(data, f"has no origin that can be read: {unreadable}", step)
    if found is None and named:
        step = only_one if len(named) == 1 else "restore the file `origin` from a backup"
        return MisplacedOrigin(data, f"has no origin, and its ledgers name {', '.join(sorted(named))}", step)
    if found is not None and found.elsewhere:
        problem = f"was copied, moved or restored: another directory may append as origin {found.id}, too"
        step = f"if this is the only one that goes on: {command} --moved; if both do: {command} --renew"
        return MisplacedOrigin(data, problem, step)
    if found is not None and found.renewing:
        problem = f"is being given the new origin {found.id}, and some of its ledgers may still name the old one"
        step = f"wait for {command} --renew, which is under way; if it was interrupted, run it again"
        return RenewalUnfinished(data, problem, step)
    if found is not None and (others := named - {found.id}):
        problem = f"is of origin {found.id}, and ledgers in it name {', '.join(sorted(others))}"
        return MisplacedOrigin(data, problem, f"to give all of them one new origin: {command} --renew")
    return None


def note_position(data: Path, files: Files) -> None:
    """Record the position of an origin that has none yet; ignore errors of the file system."""
    with contextlib.suppress(OSError):
        _change(data, files, lambda found: found if found.inode is None else None)


def take_origin(data: Path, id: str, files: Files) -> None:
    """Give an origin to a data directory that has none.

    Raises:
        LedgerUnavailable: the file system refused.
    """
    with _errors(data):
        _put(data, Origin(id), files, first=True)


def keep_origin(data: Path, files: Files | None = None) -> None:
    """Record the current position of the origin: no other directory appends under it.

    When the file is gone or not valid, the id is that of the ledgers, if they all have the same one.

    Raises:
        LedgerUnavailable: there is none, or the file system refused; nothing was changed.
    """
    calls, named = files or Files(), named_origins(data)
    with _errors(data):
        try:
            _change(data, calls, lambda found: found)
        except (FileNotFoundError, NoOriginError):
            if len(named) != 1:
                raise
            _put(data, Origin(named.pop()), calls)


def begin_renewal(data: Path, files: Files) -> str:
    """Give a data directory a new origin, or continue an interrupted renewal; return the id.

    Raises:
        LedgerUnavailable: there is none to renew, or the file system refused; nothing was changed.
    """
    new = Origin(os.urandom(8).hex(), renewing=True)
    with _errors(data):
        return _change(data, files, lambda found: None if found.renewing and not found.elsewhere else new).id


def end_renewal(data: Path, files: Files) -> None:
    """Record that every ledger names the new origin.

    Raises:
        LedgerUnavailable: the file system refused.
    """
    with _errors(data):
        _change(data, files, lambda found: replace(found, renewing=False))


def _change(data: Path, files: Files, change: Callable[[Origin], Origin | None]) -> Origin:
    """Change the origin under its lock and return it; a change of None leaves it as it is."""
    with locked_file(files, data / "origin") as file:
        found = _parsed(data, files, file)
        new = change(found)
        if new is not None:
            _put(data, new, files)
        return new or found


def _parsed(data: Path, files: Files, file: OpenFile) -> Origin:
    match = _CONTENT.match(files.read(file, 0, _BYTES_MAX))
    if match is None:
        raise NoOriginError(errno.EILSEQ, "it holds no origin")
    inode = None if match["inode"] is None else int(match["inode"])
    here = os.fstat(file.fd)
    elsewhere = inode is not None and inode != here.st_ino
    if match["folder"] is not None:
        elsewhere |= int(match["folder"]) != data.stat().st_ino
    if match["device"] is not None:
        elsewhere |= int(match["device"]) != here.st_dev
    return Origin(match["id"].decode(), inode, match["renewing"] is not None, elsewhere)


def _put(data: Path, origin: Origin, files: Files, *, first: bool = False) -> None:
    """Write the file of the origin, atomic and durable; a first origin only when there is still none."""
    path, made = data / "origin", data / f"origin.{os.urandom(8).hex()}"
    new = files.create(made)
    try:
        here = os.fstat(new.fd)
        device = _device(data, here.st_dev)
        position = f"inode {here.st_ino} in {data.stat().st_ino}" + ("" if device is None else f" of {device}")
        text = f"{origin.id}\n{position}\n" + ("renewing\n" if origin.renewing else "")
        write_all(files, new, text.encode())
        files.sync(new)
        if first:
            with contextlib.suppress(FileExistsError):
                files.link(made, path)
        else:
            files.replace(made, path)
    finally:
        with contextlib.suppress(OSError):
            files.remove(made)
    files.sync_directory(data)


def _device(data: Path, device: int) -> int | None:
    """Return the device of a tmpfs; None for another file system."""
    return device if file_system_of(data) in {"tmpfs", "ramfs"} else None


@contextlib.contextmanager
def _errors(data: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LedgerUnavailable(data / "origin", "read or write", error) from error
