"""Where ledgers are kept: a small port and its two adapters, a directory and memory."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from ledger.errors import (
    DamagedLedger,
    DurabilityUnknown,
    InvalidInput,
    LedgerUnavailable,
    LockedLedger,
    ReplacedLedger,
    StrayFile,
    UnknownWorkflow,
    reason,
)
from ledger.events import timestamps as clocks
from ledger.events.event import Event, Line, check_workflow_id, is_workflow_id
from ledger.events.timestamps import Clock
from ledger.storage import descriptors
from ledger.storage.append import Receipt, Tail, compose, drafts, find, with_runs
from ledger.storage.fence import is_fenced, set_fence
from ledger.storage.files import PATHS_KEPT, Files, OpenFile, locked
from ledger.storage.filesystem import network_file_system
from ledger.storage.journal import Durability, Journal
from ledger.storage.line import EMPTY, Head
from ledger.storage.locks import LockTimeout
from ledger.storage.origin import made_origin, misplaced, note_place
from ledger.storage.reader import LedgerReader, ReadAt
from ledger.storage.rewrite import held_before_renewal

__all__ = ["DirectoryStore", "LedgerStore", "MemoryStore", "sizes_of"]

_FIRST_BYTES: Final = 64 * 1024
"""Of a ledger, for a first look: its opening, its start and some readings."""

_OPEN_LEDGERS_MAX: Final = 64
"""Ledgers cached for the next append, where this process may have the usual 1,024 descriptors; an eighth of fewer."""

_SUFFIX: Final = ".jsonl"

_log = logging.getLogger("costledger")

_looked_at: set[Path] = set()
"""Data directories whose place this process has looked at, so that it warns once."""


class LedgerStore(Protocol):
    """Ledgers by workflow id. Calls for different workflows do not disturb each other."""

    @property
    def origin(self) -> str:
        """A stable id of this store, as its ledgers' first lines name it."""
        ...

    def append(self, events: Sequence[Event], *, expected_seq: int | None = None) -> list[Receipt]:
        """Append events of one workflow, all or none; one receipt each, in order.

        Idempotent by event id. `expected_seq` (0 for no ledger) makes the append conditional.

        Raises:
            InvalidInput: the events are of several workflows, or one's line would be too long.
            ConflictingEvent, LedgerMoved, DamagedLedger, LedgerUnavailable, DurabilityUnknown: nothing was
                acknowledged.
        """
        ...

    def open(self, workflow_id: str) -> None:
        """Make the ledger when there is none, with nothing in it but its opening line.

        Raises:
            InvalidWorkflowId, DamagedLedger, LedgerUnavailable, DurabilityUnknown: as for `append`.
        """
        ...

    def workflow_ids(self, prefix: str = "") -> Iterator[str]:
        """The ids of all ledgers, sorted; what else lies in their folder is in `strays`.

        Args:
            prefix: only those that begin with it.

        Raises:
            LedgerUnavailable: the folder cannot be listed.
        """
        ...

    def strays(self) -> list[StrayFile]:
        """What lies in the folder, is named as a ledger and is none, sorted by name.

        Raises:
            LedgerUnavailable: the folder cannot be listed.
        """
        ...

    def size(self, workflow_id: str) -> int | None:
        """The ledger's size in bytes; None when there is none. It costs one `stat`."""
        ...

    def read(
        self, workflow_id: str, *, checkpoint: Head | None = None, start: Head = EMPTY, locked_too: bool = False
    ) -> LedgerReader:
        """All lines after `start`, durable before they are read.

        Args:
            checkpoint: an earlier head that the ledger must still extend.
            start: an earlier head, whose line and all before it the caller has read; the ledger must still extend it.
            locked_too: read also what another process has locked, up to the last whole line; `LedgerReader.locked` says
                so. For a caller that stores nothing of it: an append that fails half-way takes its lines back.

        Raises:
            UnknownWorkflow: no such ledger.
            ReplacedLedger: it does not extend the checkpoint.
            DamagedLedger: it does not extend `start`.
            LockedLedger: another process does not release its lock.
            LedgerUnavailable: it cannot be opened or synced.
        """
        ...


def _one_workflow(events: Sequence[Event]) -> str:
    ids = {event.workflow_id for event in events}
    if len(ids) != 1:
        raise InvalidInput(f"an append takes the events of one workflow, not of {len(ids)}")
    return check_workflow_id(ids.pop())


class MemoryStore:
    """Ledgers in memory: the same lines, the same rules, gone with the process."""

    def __init__(self, *, clock: Clock = clocks.now, origin: str = "memory") -> None:
        self.origin = origin
        self._clock = clock
        self._lock = threading.Lock()
        self._ledgers: dict[str, bytearray] = {}
        self._tails: dict[str, Tail] = {}

    def append(self, events: Sequence[Event], *, expected_seq: int | None = None) -> list[Receipt]:
        """See `LedgerStore.append`; durability is "none"."""
        if not events:
            return []
        return self._append(_one_workflow(events), events, expected_seq)

    def open(self, workflow_id: str) -> None:
        """See `LedgerStore.open`."""
        self._append(check_workflow_id(workflow_id), [], None)

    def _append(self, workflow_id: str, events: Sequence[Event], expected_seq: int | None) -> list[Receipt]:
        batch = drafts(events)
        with self._lock:
            ledger = self._ledgers.get(workflow_id, bytearray())
            tail = with_runs(self._tails.get(workflow_id, Tail()), lambda: ledger)
            composed = compose(
                batch,
                tail,
                workflow_id=workflow_id,
                origin=lambda: self.origin,
                now=clocks.to_wire(self._clock()),
                found=find(ledger, {draft.id for draft in batch if draft.search}, _in_memory(workflow_id)),
                expected_seq=expected_seq,
                durability="none",
            )
            self._ledgers[workflow_id] = ledger + b"".join(composed.lines)
            self._tails[workflow_id] = composed.tail
            return composed.receipts

    def workflow_ids(self, prefix: str = "") -> Iterator[str]:
        """See `LedgerStore.workflow_ids`."""
        return iter(sorted(name for name in self._ledgers if name.startswith(prefix)))

    def strays(self) -> list[StrayFile]:
        """See `LedgerStore.strays`."""
        return []

    def size(self, workflow_id: str) -> int | None:
        """See `LedgerStore.size`."""
        ledger = self._ledgers.get(check_workflow_id(workflow_id))
        return None if ledger is None else len(ledger)

    def read(
        self,
        workflow_id: str,
        *,
        checkpoint: Head | None = None,
        start: Head = EMPTY,
        locked_too: bool = False,  # noqa: ARG002 (no other process has it)
    ) -> LedgerReader:
        """See `LedgerStore.read`."""
        ledger = self._ledgers.get(check_workflow_id(workflow_id))
        if ledger is None:
            raise UnknownWorkflow(workflow_id, "memory")
        data = bytes(ledger)
        return _reader(
            workflow_id,
            _in_memory(workflow_id),
            lambda at, count: data[at : at + count],
            len(data),
            checkpoint,
            start,
        )


def _in_memory(workflow_id: str) -> Path:
    """What an error names."""
    return Path("(memory)") / f"{workflow_id}{_SUFFIX}"


def _reader(
    workflow_id: str, path: Path, read_at: ReadAt, size: int, checkpoint: Head | None, start: Head
) -> LedgerReader:
    if checkpoint is not None and checkpoint.seq and checkpoint != start:
        try:
            LedgerReader(workflow_id, path, read_at, size, start=checkpoint)
        except DamagedLedger as error:
            if not held_before_renewal(lambda: LedgerReader(workflow_id, path, read_at, size).raw_lines(), checkpoint):
                raise ReplacedLedger(path, error.line, error.byte, error.problem) from None
    return LedgerReader(workflow_id, path, read_at, size, start=start)


def _problem_of(entry: os.DirEntry[str]) -> str | None:
    """Why a file of the folder is no ledger; one `stat` for a symbolic link, none for a file."""
    if not is_workflow_id(entry.name[: -len(_SUFFIX)]):
        return "its name is no workflow id"
    try:
        return None if entry.is_file() else "it is no regular file"
    except OSError as error:
        return f"it cannot be looked at: {reason(error)}"


def sizes_of(ledgers: LedgerStore) -> dict[str, int]:
    """Return the size of every ledger, in bytes; 0 of one that cannot be looked at, which its reader then reports.

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


@lru_cache(PATHS_KEPT)
def _path(directory: Path, workflow_id: str) -> Path:
    return directory / (workflow_id + _SUFFIX)


class DirectoryStore:
    """Ledgers as files `PATH/ledgers/<workflow_id>.jsonl`, shared by any number of processes of one machine.

    Nothing is created before the first append.

    Args:
        durability: "always": a receipt follows a sync; "batch": `flush` syncs, or, of many ledgers, an append that
            has to close another one first, whose failure it then raises; "none": nobody does.
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
        """Another process opens the same directory anew."""
        return DirectoryStore, (self.path,)

    @property
    def origin(self) -> str:
        """See `LedgerStore.origin`; made at the first append, kept in `PATH/origin`.

        Raises:
            LedgerUnavailable: it can be neither read nor made.
        """
        return made_origin(self.path, self._files)  # read each time: a renewal may have changed it

    def ledger_path(self, workflow_id: str) -> Path:
        """The file of one ledger, whether it exists or not.

        Raises:
            InvalidWorkflowId: the id could not safely become a file name.
        """
        return _path(self._directory, check_workflow_id(workflow_id))

    def append(self, events: Sequence[Event], *, expected_seq: int | None = None) -> list[Receipt]:
        """See `LedgerStore.append`."""
        if not events:
            return []
        workflow_id = _one_workflow(events)
        self._make_directory()
        return self._journal(workflow_id).append(events, expected_seq)

    def open(self, workflow_id: str) -> None:
        """See `LedgerStore.open`."""
        check_workflow_id(workflow_id)
        self._make_directory()
        self._journal(workflow_id).append([])

    def forget(self, workflow_id: str) -> None:
        """Look at a ledger anew at its next append, whatever was known of it: somebody accepted it as it is."""
        with self._lock:
            self._journals.pop(workflow_id, None)

    def close_idle(self) -> bool:
        """Close the ledgers that are cached for the next append; see `descriptors.Cache`.

        Raises:
            DurabilityUnknown: with durability "batch": the disk did not confirm one of them.
        """
        if self._pid != os.getpid() or not self._lock.acquire(blocking=False):
            return False  # a thread that the fork left behind has the lock, or one that closes a ledger
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
        return iter(sorted(name for name, problem in self._listed(prefix) if problem is None))

    def strays(self) -> list[StrayFile]:
        """See `LedgerStore.strays`."""
        found = [(name, problem) for name, problem in self._listed() if problem is not None]
        return [StrayFile(self._directory / (name + _SUFFIX), problem) for name, problem in sorted(found)]

    def _listed(self, prefix: str = "") -> list[tuple[str, str | None]]:
        """Every file that is named as a ledger and begins so, without its suffix, and why it is none."""
        try:
            with descriptors.retried(lambda: os.scandir(self._directory)) as entries:
                named = [e for e in entries if e.name.startswith(prefix) and e.name.endswith(_SUFFIX)]
                return [(entry.name[: -len(_SUFFIX)], _problem_of(entry)) for entry in named]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LedgerUnavailable(self._directory, "list", error) from error

    def size(self, workflow_id: str) -> int | None:
        """See `LedgerStore.size`; a file without a byte is no ledger yet."""
        try:
            return os.stat(f"{self._directory}/{check_workflow_id(workflow_id)}{_SUFFIX}").st_size or None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerUnavailable(self.ledger_path(workflow_id), "look at", error) from error

    def read(
        self, workflow_id: str, *, checkpoint: Head | None = None, start: Head = EMPTY, locked_too: bool = False
    ) -> LedgerReader:
        """See `LedgerStore.read`."""
        path, files = self.ledger_path(workflow_id), self._files
        held: LockedLedger | None = None
        try:
            if is_fenced(files, path):
                self._journal(workflow_id).mend()
            file = files.open_read(path)
            try:
                with locked(files, file, shared=True):
                    size = files.size(file)
            except LockTimeout as error:
                held, size = LockedLedger(path, error), files.size(file)
                if not locked_too:
                    raise held from None
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

        reader = _reader(workflow_id, path, read_at, size, checkpoint, start)
        reader.locked = held
        return reader

    def first_lines(self, workflow_id: str) -> list[Line]:
        """Return the first lines of a ledger as the file has them: neither verified nor synced, for no figure.

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
            with suppress(orjson.JSONDecodeError):  # `verify` names it
                found.append(orjson.loads(line))
        return [line for line in found if isinstance(line, dict)]

    def _sync_read(self, file: OpenFile, path: Path) -> None:
        """What is read is on the disk; a failure is told to one process only, so this one must tell all others."""
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
                )
            self._journals[workflow_id] = journal
            if len(self._journals) > self._open_max:
                _, closed = self._journals.popitem(last=False)
                if self._durability == "batch":
                    closed.flush()
            return journal

    def _make_directory(self) -> None:
        if self.path not in _looked_at:
            _looked_at.add(self.path)
            try:
                self._look_at_place()
            except LedgerUnavailable:
                _looked_at.discard(self.path)
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

    def _look_at_place(self) -> None:
        """Warn about a place in which appends mean less than they should; they succeed all the same."""
        if (kind := network_file_system(self.path)) is not None:
            _log.warning(
                "%s lies on %s: locks and syncs may mean less there than on a local disk; move it", self.path, kind
            )
        note_place(self.path, self._files)
        if (doubt := misplaced(self.path)) is not None:
            _log.warning("%s", doubt)
