"""The origin of a data directory: the stable id that its ledgers name, and where that id stands.

`PATH/origin` holds the id, and below it the inode of that very file: a copy of the folder has another one, a rename on
one file system keeps it. The file is only ever replaced whole.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ledger.errors import LedgerUnavailable, MisplacedOrigin
from ledger.files import Files, OpenFile, locked_file

__all__ = [
    "Origin",
    "begin_renewal",
    "end_renewal",
    "keep_origin",
    "made_origin",
    "misplaced",
    "note_place",
    "origin_of",
    "take_origin",
]

_SAID = re.compile(rb"(?P<id>[0-9a-f]+)\n?(?:inode (?P<inode>[0-9]+)\n(?P<renewing>renewing\n)?)?\Z")
_BYTES_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Origin:
    """What `PATH/origin` says.

    Attributes:
        inode: of the file as it was written; None when its writer did not note it yet.
        renewing: some ledgers may still name the origin before this one.
        elsewhere: the file was written in another place than the one it is read from.
    """

    id: str
    inode: int | None = None
    renewing: bool = False
    elsewhere: bool = False


def origin_of(data: Path) -> Origin | None:
    """The origin of a data directory; None when it has none yet.

    Raises:
        LedgerUnavailable: it cannot be read, or is none.
    """
    files = Files()
    with _errors(data):
        try:
            return _said(files, files.open_read(data / "origin"))
        except FileNotFoundError:
            return None


def made_origin(data: Path, files: Files) -> str:
    """The id of a data directory's origin, made when there is none.

    Raises:
        LedgerUnavailable: it can be neither read nor made.
    """
    found = origin_of(data)
    if found is None:
        with _errors(data):
            _put(data, Origin(os.urandom(8).hex()), files, first=True)
        found = origin_of(data)
    assert found is not None
    return found.id


def misplaced(data: Path) -> MisplacedOrigin | None:
    """Why what this data directory appends cannot be told from what another one does; None when it can.

    A copy of a whole file system keeps every inode, and is not seen.
    """
    try:
        found = origin_of(data)
    except LedgerUnavailable as error:
        return MisplacedOrigin(data, f"has no origin that can be read: {error}", "restore that file from a backup")
    command = f"costledger --data {data} origin"
    if found is not None and found.elsewhere:
        problem = f"was copied, moved or restored: another place may append as origin {found.id}, too"
        step = f"if this is the only one that goes on: {command} --moved; if both do: {command} --renew"
        return MisplacedOrigin(data, problem, step)
    if found is not None and found.renewing:
        problem = f"was given the new origin {found.id}, and some of its ledgers may still name the old one"
        return MisplacedOrigin(data, problem, f"{command} --renew, once more")
    return None


def note_place(data: Path, files: Files) -> None:
    """Let an origin that does not say where it stands say so, as far as the file system lets us."""
    with contextlib.suppress(OSError):
        _change(data, files, lambda found: found if found.inode is None else None)


def take_origin(data: Path, id: str, files: Files) -> None:
    """Make a data directory that has no origin the one of this id.

    Raises:
        LedgerUnavailable: the file system refused.
    """
    with _errors(data):
        _put(data, Origin(id), files, first=True)


def keep_origin(data: Path, files: Files | None = None) -> None:
    """Where the origin stands now is its place: no other directory goes on under it.

    Raises:
        LedgerUnavailable: there is none, or the file system refused; all is as it was.
    """
    with _errors(data):
        _change(data, files or Files(), lambda found: found)


def begin_renewal(data: Path, files: Files) -> str:
    """Give a data directory a new origin, or go on with a renewal that was interrupted; `renewing` until it ends.

    Raises:
        LedgerUnavailable: there is none to renew, or the file system refused; all is as it was.
    """
    new = Origin(os.urandom(8).hex(), renewing=True)
    with _errors(data):
        return _change(data, files, lambda found: None if found.renewing and not found.elsewhere else new).id


def end_renewal(data: Path, files: Files) -> None:
    """Every ledger names the new origin.

    Raises:
        LedgerUnavailable: the file system refused.
    """
    with _errors(data):
        _change(data, files, lambda found: replace(found, renewing=False))


def _change(data: Path, files: Files, change: Callable[[Origin], Origin | None]) -> Origin:
    """The origin that stands after a change, one process at a time; None changes nothing."""
    with locked_file(files, data / "origin") as file:
        found = _said(files, file)
        new = change(found)
        if new is not None:
            _put(data, new, files)
        return new or found


def _said(files: Files, file: OpenFile) -> Origin:
    match = _SAID.match(files.read(file, 0, _BYTES_MAX))
    if match is None:
        raise OSError(errno.EILSEQ, "it holds no origin")
    inode = None if match["inode"] is None else int(match["inode"])
    elsewhere = inode is not None and inode != os.fstat(file.fd).st_ino
    return Origin(match["id"].decode(), inode, match["renewing"] is not None, elsewhere)


def _put(data: Path, origin: Origin, files: Files, *, first: bool = False) -> None:
    """Put an origin in its place, whole and durable; as the first only when there is still none."""
    path, made = data / "origin", data / f"origin.{os.urandom(8).hex()}"
    new = files.create(made)
    try:
        text = f"{origin.id}\ninode {os.fstat(new.fd).st_ino}\n" + ("renewing\n" if origin.renewing else "")
        if files.write(new, text.encode()) != len(text):
            raise OSError(errno.ENOSPC, "short write")
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


@contextlib.contextmanager
def _errors(data: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LedgerUnavailable(data / "origin", "read or write", error) from error
