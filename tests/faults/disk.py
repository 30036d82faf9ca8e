"""A disk that can lose power: it keeps what was synced, and of everything else whatever it likes.

Of what was not synced, sectors of 512 bytes reach the disk up to any point, or, on a disk with holes, in any order; a
file's size and a folder's entries reach it on their own. A sync that fails marks the pages clean although they were
never written, as Linux does (https://wiki.postgresql.org/wiki/Fsync_Errors): a later sync of the same file then
succeeds and proves nothing.
"""

from __future__ import annotations

import errno
import random
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

from ledger.storage.files import Files, OpenFile

SECTOR = 512


class Inode:
    """A file: what programs see, what the disk holds, and what the page cache believes it need not write again."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.durable = b""
        self.lost: list[tuple[int, int]] = []

    def _written_back(self) -> bytes:
        """What the page cache would ever write: the pages that a failed sync marked clean keep their old bytes."""
        content = bytearray(self.seen)
        for start, end in self.lost:
            end = min(end, len(content))
            if start < end:
                content[start:end] = self.durable[start:end].ljust(end - start, b"\0")
        return bytes(content)

    def sync(self) -> None:
        self.durable = self._written_back()

    def fail_sync(self) -> None:
        self.lost.append((len(self.durable), len(self.seen)))

    def crash(self, dice: random.Random, *, holes: bool) -> None:
        """What is left: every sector old or new, the size anything between; with holes, the old ones anywhere."""
        back = self._written_back()
        if back == self.durable:
            self.seen = bytearray(back)
        else:
            low, high = sorted((len(self.durable), len(back)))
            size = dice.choice([low, high, dice.randint(low, high)])
            old, new = self.durable.ljust(size, b"\0"), back.ljust(size, b"\0")
            content = bytearray(old[:size])
            written = size if dice.random() < 0.5 else dice.randint(0, size)  # often in order, sometimes not at all
            for at in range(0, size, SECTOR):
                if at < written and not (holes and dice.random() < 0.3):
                    content[at : at + SECTOR] = new[at : min(at + SECTOR, size)]
            self.seen = content
        self.durable, self.lost = bytes(self.seen), []


class Handle:
    """An open file of this disk; its lock can always be unlocked."""

    stuck = False

    def __init__(self, inode: Inode) -> None:
        self.inode = inode


class SimulatedDisk(Files):
    """`Files` without an operating system.

    Args:
        holes: sectors reach it in any order, so that what was not synced may be missing in the middle.

    Attributes:
        fail: the kinds of call that fail next, each once, with spaces between.
    """

    def __init__(self, *, holes: bool = False) -> None:
        self.holes = holes
        self.entries: dict[Path, Inode] = {}
        self.durable_entries: dict[Path, Inode] = {}
        self.fail: str | None = None
        self.fenced: set[Path] = set()  # type: ignore[misc]  # of this disk's programs alone

    def _called(self, kind: str) -> None:
        failing = (self.fail or "").split()
        if kind in failing:
            failing.remove(kind)
            self.fail = " ".join(failing) or None
            raise OSError(errno.EIO, "simulated")

    def _open(self, inode: Inode) -> OpenFile:
        return cast(OpenFile, Handle(inode))

    @staticmethod
    def _inode(file: OpenFile) -> Inode:
        return cast(Handle, file).inode

    def open_append(self, path: Path) -> OpenFile:
        return self._open(self.entries.setdefault(path, Inode()))

    def open_read(self, path: Path) -> OpenFile:
        if path not in self.entries:
            raise FileNotFoundError(path)
        return self._open(self.entries[path])

    def open_existing(self, path: Path) -> OpenFile:
        return self.open_read(path)

    def create(self, path: Path) -> OpenFile:
        self._called("create")
        if path in self.entries:
            raise FileExistsError(path)
        return self.open_append(path)

    def take_access(self, new: OpenFile, old: OpenFile) -> None:
        """It knows no users."""

    def lock(self, file: OpenFile, *, shared: bool = False) -> None:
        """One step happens at a time."""

    def unlock(self, file: OpenFile) -> None:
        """One step happens at a time."""

    def size(self, file: OpenFile) -> int:
        return len(self._inode(file).seen)

    def is_at(self, file: OpenFile, path: Path) -> bool:
        return self.entries.get(path) is self._inode(file)

    def exists(self, path: Path) -> bool:
        return path in self.entries

    def read(self, file: OpenFile, offset: int, count: int) -> bytes:
        return bytes(self._inode(file).seen[offset : offset + count])

    def write(self, file: OpenFile, data: bytes) -> int:
        self._called("write")
        self._inode(file).seen += data
        return len(data)

    def truncate(self, file: OpenFile, size: int) -> None:
        inode = self._inode(file)
        inode.seen = bytearray(inode.seen[:size].ljust(size, b"\0"))

    def sync(self, file: OpenFile) -> None:
        if self.fail == "sync":
            self._inode(file).fail_sync()
        self._called("sync")
        self._inode(file).sync()

    def sync_directory(self, path: Path) -> None:
        self._called("sync_directory")
        names = {name for name in (*self.entries, *self.durable_entries) if name.parent == path}
        for name in names:
            self._put(self.durable_entries, name, self.entries.get(name))

    def map(self, file: OpenFile, size: int) -> Any:
        found: AbstractContextManager[bytes] = nullcontext(bytes(self._inode(file).seen[:size]))
        return found

    def link(self, old: Path, new: Path) -> None:
        if new in self.entries:
            raise FileExistsError(new)
        self.entries[new] = self.entries[old]

    def replace(self, old: Path, new: Path) -> None:
        self.entries[new] = self.entries.pop(old)

    def remove(self, path: Path) -> None:
        if path not in self.entries:
            raise FileNotFoundError(path)
        del self.entries[path]

    @staticmethod
    def _put(entries: dict[Path, Inode], name: Path, inode: Inode | None) -> None:
        if inode is None:
            entries.pop(name, None)
        else:
            entries[name] = inode

    def lose_power(self, dice: random.Random) -> None:
        """Crash, and come up again with what the disk happens to hold."""
        for name in {*self.entries, *self.durable_entries}:
            if dice.random() < 0.5:
                self._put(self.durable_entries, name, self.entries.get(name))
        self.entries = dict(self.durable_entries)
        self.fenced.clear()
        for inode in {id(inode): inode for inode in self.entries.values()}.values():
            inode.crash(dice, holes=self.holes)
        self.fail = None
