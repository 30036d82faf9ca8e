"""Ledgers in a data directory, one file each."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.errors import DurabilityUnknown, LedgerUnavailable, LockedLedger, StrayFile, UnknownWorkflow, reason
from ledger.events import timestamps as clocks
from ledger.events.event import Event, Line
from ledger.events.timestamps import Clock
from ledger.events.workflow_ids import check_workflow_id, is_workflow_id
from ledger.storage import descriptors
from ledger.storage.append import Receipt
from ledger.storage.files import PATHS_CACHED, Files, OpenFile, is_fenced, locked, set_fence
from ledger.storage.filesystem import network_file_system
from ledger.storage.journal import Durability, Journal
from ledger.storage.line import EMPTY, Head
from ledger.storage.locks import LockTimeout
from ledger.storage.origin import made_origin, misplaced, note_position
from ledger.storage.reader import LedgerReader
from ledger.storage.store import LEDGER_SUFFIX, LedgerStore, one_workflow, open_reader

__all__ = ["DirectoryStore", "sizes_of"]

_FIRST_BYTES: Final = 64 * 1024
"""The beginning of a ledger: its opening, its start and some readings."""

_OPEN_LEDGERS_MAX: Final = 64
"""Ledgers cached for the next append under the usual limit of 1,024 descriptors; an eighth of a lower limit."""

_log = logging.getLogger("costledger")

_checked: set[Path] = set()
"""Data directories whose position this process has checked, so that it warns once."""


def _problem_of(name: str, entry: os.DirEntry[str]) -> str | None:
    """Return why a file of the folder is not a ledger; one `stat` for a symbolic link, none for a file."""
    if not is_workflow_id(name):
        return "its name is no workflow id"
    try:
        return None if entry.is_file() else "it is no regular file"
    except OSError as error:
        return f"it cannot be inspected: {reason(error)}"


def sizes_of(ledgers: LedgerStore) -> dict[str, int]:
    """Return the size of every ledger, in bytes; 0 for a ledger whose reader will report an error.

    Raises:
        LedgerUnavailable: the folder cannot be listed.
    """
    sizes: dict[str, int] = {}
    for name in ledgers.workflow_ids():
        try:
            size = ledgers.size(name)
        except LedgerUnavailable:
            size = 0
        if size is not None:
            sizes[name] = size
    return sizes


@lru_cache(PATHS_CACHED)
def _path(directory: Path, workflow_id: str) -> Path:
    return directory / (workflow_id + LEDGER_SUFFIX)


class DirectoryStore:
    """Ledgers as files `PATH/ledgers/<workflow_id>.jsonl`, shared by any number of processes of one machine.

    Nothing is created before the first append.

    Args:
        durability: "always": a receipt follows a sync; "batch": `flush` syncs, and so does an append that closes
            another of many ledgers, whose failure it then raises; "none": nothing syncs.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        clock: Clock = clocks.now,
        durability: Durability = "always",
        files: Files | None = None,
    ) -> None:
        self.path = Path(path)
        self._directory = self.path / "ledgers"
        self._clock, self._durability, self._files = clock, durability, files or Files()
        self._journals: OrderedDict[str, Journal] = OrderedDict()
        self._lock, self._pid = threading.Lock(), os.getpid()
        self._open_max = max(1, min(_OPEN_LEDGERS_MAX, descriptors.limit() // 8))
        descriptors.register(self)

    def __reduce__(self) -> tuple[type[DirectoryStore], tuple[Path]]:
        """Open the same directory in another process."""
        return DirectoryStore, (self.path,)

    @property
    def origin(self) -> str:
        """Return the id in `PATH/origin`, which is created at the first append; see `LedgerStore.origin`.

        Raises:
            LedgerUnavailable: it can be neither read nor created.
        """
        return made_origin(self.path, self._files)  # read each time: a renewal may have changed it

    def ledger_path(self, workflow_id: str) -> Path:
        """Return the path of one ledger, whether it exists or not.

        Raises:
            InvalidWorkflowId: the id could not safely become a file name.
        """
        return _path(self._directory, check_workflow_id(workflow_id))

    def append(self, events: Sequence[Event], *, expected_seq: int | None = None) -> list[Receipt]:
        """See `LedgerStore.append`."""
        if not events:
            return []
        workflow_id = events[0].workflow_id if len(events) == 1 else one_workflow(events)
        return self._journal(workflow_id).append(events, expected_seq)

    def head_after(self, receipt: Receipt) -> Head | None:
        """See `LedgerStore.head_after`."""
        journal = self._journals.get(receipt.workflow_id)
        return None if journal is None else journal.head_after(receipt)

    def open(self, workflow_id: str) -> None:
        """See `LedgerStore.open`."""
        self._journal(workflow_id).append([])

    def forget(self, workflow_id: str) -> None:
        """Drop what is cached of a ledger, so that its next append accepts the file as it is."""
        with self._lock:
            self._journals.pop(workflow_id, None)

    def close_idle(self) -> bool:
        """Close the ledgers that are cached for the next append; see `descriptors.Cache`.

        Raises:
            DurabilityUnknown: with durability "batch": the disk did not confirm one of them.
        """
        if self._pid != os.getpid() or not self._lock.acquire(blocking=False):
            return False  # a thread of the parent process has the lock, or one that closes a ledger
        try:
            closed = [self._journals.popitem()[1] for _ in range(len(self._journals))]
        finally:
            self._lock.release()
        if self._durability == "batch":
            for journal in closed:
                journal.flush()
        return bool(closed)

    def flush(self) -> None:
        """Sync what was appended with durability "batch".

        Raises:
            DurabilityUnknown: the disk did not confirm one of them.
        """
        for journal in list(self._journals.values()):
            journal.flush()

    def workflow_ids(self, prefix: str = "") -> Iterator[str]:
        """See `LedgerStore.workflow_ids`."""
        return iter(sorted(found for found in self.listing(prefix) if isinstance(found, str)))

    def strays(self) -> list[StrayFile]:
        """See `LedgerStore.strays`."""
        strays = [found for found in self.listing() if not isinstance(found, str)]
        return sorted(strays, key=lambda stray: stray.path)

    def listing(self, prefix: str = "") -> Iterator[str | StrayFile]:
        """See `LedgerStore.listing`."""
        try:
            with descriptors.retried(lambda: os.scandir(self._directory)) as entries:
                for entry in entries:
                    if not (file := entry.name).endswith(LEDGER_SUFFIX) or not file.startswith(prefix):
                        continue
                    name = file[: -len(LEDGER_SUFFIX)]
                    problem = _problem_of(name, entry)
                    yield name if problem is None else StrayFile(self._directory / file, problem)
        except FileNotFoundError:
            return
        except OSError as error:
            raise LedgerUnavailable(self._directory, "list", error) from error

    def size(self, workflow_id: str) -> int | None:
        """See `LedgerStore.size`; a file without a byte is no ledger yet."""
        try:
            return os.stat(f"{self._directory}/{check_workflow_id(workflow_id)}{LEDGER_SUFFIX}").st_size or None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerUnavailable(self.ledger_path(workflow_id), "look at", error) from error

    def read(
        self, workflow_id: str, *, checkpoint: Head | None = None, start: Head = EMPTY, locked_too: bool = False
    ) -> LedgerReader:
        """See `LedgerStore.read`."""
        path, files = self.ledger_path(workflow_id), self._files
        blocked: LockedLedger | None = None
        try:
            if is_fenced(files, path):
                self._journal(workflow_id).mend()
            file = files.open_read(path)
            try:
                with locked(files, file, shared=True):
                    size = files.size(file)
            except LockTimeout as error:
                blocked, size = LockedLedger(path, error), files.size(file)
                if not locked_too:
                    raise blocked from None
            self._sync_read(file, path)
        except FileNotFoundError:
            raise UnknownWorkflow(workflow_id, self.path) from None
        except OSError as error:
            raise LedgerUnavailable(path, "read", error) from error
        if size == 0:
            raise UnknownWorkflow(workflow_id, self.path)

        def read_at(offset: int, count: int) -> bytes:
            try:
                return files.read(file, offset, count)
            except OSError as error:
                raise LedgerUnavailable(path, "read", error) from error

        reader = open_reader(workflow_id, path, read_at, size, checkpoint, start)
        reader.locked = blocked
        return reader

    def first_lines(self, workflow_id: str) -> list[Line]:
        """Return the first lines of a ledger, neither verified nor synced; do not compute figures from them.

        Raises:
            UnknownWorkflow: no such ledger.
            LedgerUnavailable: it cannot be read.
        """
        path = self.ledger_path(workflow_id)
        try:
            with path.open("rb") as file:
                raw = file.read(_FIRST_BYTES)
        except FileNotFoundError:
            raise UnknownWorkflow(workflow_id, self.path) from None
        except OSError as error:
            raise LedgerUnavailable(path, "read", error) from error
        found: list[Any] = []
        for line in raw[: raw.rfind(b"\n") + 1].splitlines():
            with suppress(orjson.JSONDecodeError):  # `verify` reports it
                found.append(orjson.loads(line))
        return [line for line in found if isinstance(line, dict)]

    def _sync_read(self, file: OpenFile, path: Path) -> None:
        """Sync what will be read. The kernel reports a failure to one process only, so set a fence for all others."""
        try:
            self._files.sync(file)
        except OSError as error:
            set_fence(self._files, path)
            raise DurabilityUnknown(path, error) from error

    def _journal(self, workflow_id: str) -> Journal:
        if self._pid != os.getpid():
            self._lock, self._pid = threading.Lock(), os.getpid()
        with self._lock:
            journal = self._journals.pop(workflow_id, None)
            if journal is None:
                journal = Journal(
                    self.ledger_path(workflow_id),
                    workflow_id,
                    origin=lambda: self.origin,
                    clock=self._clock,
                    files=self._files,
                    durability=self._durability,
                    prepare=self._make_directory,
                )
            self._journals[workflow_id] = journal
            if len(self._journals) > self._open_max:
                _, closed = self._journals.popitem(last=False)
                if self._durability == "batch":
                    closed.flush()
            return journal

    def _make_directory(self) -> None:
        if self.path not in _checked:
            _checked.add(self.path)
            try:
                self._check_position()
            except LedgerUnavailable:
                _checked.discard(self.path)
                raise
        if self._directory.is_dir():
            return
        try:
            made = [parent for parent in (self._directory, *self._directory.parents) if not parent.exists()]
            self._directory.mkdir(parents=True, exist_ok=True)
            for parent in made:
                self._files.sync_directory(parent.parent)
        except OSError as error:
            raise LedgerUnavailable(self._directory, "make the folder", error) from error

    def _check_position(self) -> None:
        """Warn about a file system or an origin that makes appends less reliable; they still succeed."""
        if (kind := network_file_system(self.path)) is not None:
            _log.warning(
                "%s is on %s: locks and syncs may mean less there than on a local disk; move it", self.path, kind
            )
        note_position(self.path, self._files)
        if (problem := misplaced(self.path)) is not None:
            _log.warning("%s", problem)
