"""The journal of one ledger file: many processes append, every receipt follows a sync.

The protocol, in order: take the in-process lock; `flock` the ledger file itself; check that the path still names this
file and that it is not fenced; read and verify what others appended; write the new lines in one call; unlock; **then**
sync, so that writers share a flush; check again that the path names this file; return the receipts.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar

from ledger.errors import DamagedLedger, DurabilityUnknown, LedgerUnavailable, LockedLedger
from ledger.events.event import Event, Line
from ledger.events.timestamps import Clock, to_wire
from ledger.storage.append import Composed, Receipt, Tail, compose, drafts, tail_after, with_runs
from ledger.storage.files import Files, OpenFile, is_fenced, set_fence, write_all
from ledger.storage.id_index import IdIndex
from ledger.storage.line import ENDING_BYTES, Draft, Head
from ledger.storage.locks import LockTimeout
from ledger.storage.reader import LedgerReader
from ledger.storage.recovery import copy_verified, last_tail

__all__ = ["Durability", "Journal"]

Durability = Literal["always", "batch", "none"]

T = TypeVar("T")

_WRITE_BYTES_MAX: Final = 8 * 1024 * 1024
"""One `write` of whole lines; larger batches take several."""
_READ_AT_ONCE_BYTES: Final = 64 * 1024
"""What other writers of a ledger append between two appends of this one is less, most often."""
_COPY: Final = "copy"
"""What a reader does that lifts a fence."""


class Journal:
    """The writer of one ledger file; safe between threads, processes and across forks.

    Args:
        origin: called when the ledger gets its first line.
        prepare: called before a file is opened to append; makes its folder.
    """

    def __init__(
        self,
        path: Path,
        workflow_id: str,
        *,
        origin: Callable[[], str],
        clock: Clock,
        files: Files,
        durability: Durability,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self.path, self.workflow_id, self._prepare = path, workflow_id, prepare
        self._origin, self._clock, self._files, self._durability = origin, clock, files, durability
        self._forget()

    def _forget(self) -> None:
        """Start without a lock, a file and a position; a forked child must not use those of its parent."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._file: OpenFile | None = None
        self._tail: Tail | None = None
        self._ids = IdIndex()
        self._directory_synced = False

    def append(self, events: Sequence[Event], expected_seq: int | None = None) -> list[Receipt]:
        """Append this workflow's events; all of them or none.

        Raises:
            InvalidEvent: a line would be too long.
            ConflictingEvent, LedgerMoved: see `compose`.
            DamagedLedger: the ledger's end does not verify.
            LedgerUnavailable: the operating system refused; the ledger is as it was.
            DurabilityUnknown: the disk did not confirm; the ledger is fenced.
        """
        batch = drafts(events)
        while True:
            if self._pid != os.getpid():
                self._forget()
            with self._lock:
                file, receipts = self._locked("append to", lambda file: self._write(file, batch, expected_seq))
            try:
                if self._durability != "always" or self._confirmed(file):
                    return receipts
            finally:
                if file.stuck:
                    file.let_go()  # an error's traceback may keep the file open, and so its lock
            # The file was replaced or fenced between our write and our sync. Only the new file shows whether our lines
            # were copied, so search for every id, also for those made here.
            for draft in batch:
                draft.search = True

    def head_after(self, receipt: Receipt) -> Head | None:
        """See `LedgerStore.head_after`."""
        return None if self._tail is None else self._tail.head_after(receipt)

    def flush(self) -> None:
        """Sync what was appended with durability "batch".

        Raises:
            DurabilityUnknown: the disk did not confirm.
        """
        if self._pid == os.getpid() and self._file is not None:
            self._sync(self._file)

    def mend(self) -> None:
        """Lift the fence of a ledger whose sync failed, by copying what verifies to a new file.

        Raises:
            DamagedLedger, LedgerUnavailable: it stays fenced.
        """
        if self._pid != os.getpid():
            self._forget()
        with self._lock:
            file, _ = self._locked(_COPY, lambda _: None)
        if file.stuck:
            file.let_go()

    def _locked(self, doing: str, work: Callable[[OpenFile], T]) -> tuple[OpenFile, T]:
        """Lock the file that the path names, work on it, and unlock it; when it is fenced, copy it first."""
        try:
            while True:
                file = self._file or self._opened(reads=doing == _COPY)
                self._files.lock(file)
                try:
                    if self._is_valid(file):
                        return file, work(file)
                    self._file = self._tail = None
                    if self._files.is_at(file, self.path):
                        copy_verified(self._files, file, self.path, self.workflow_id)
                finally:
                    self._unlock(file)
        except LockTimeout as error:
            raise LockedLedger(self.path, error) from None
        except OSError as error:
            raise LedgerUnavailable(self.path, doing, error) from error

    def _unlock(self, file: OpenFile) -> None:
        try:
            self._files.unlock(file)
        except OSError as refused:
            self._file = self._tail = None
            file.stuck = True  # let go of it after the sync
            if refused.__context__ is not None:
                file.let_go()  # another error is raised, so there will be no sync

    def _is_valid(self, file: OpenFile) -> bool:
        """Return whether the path still names this file, and no sync of it has failed."""
        return self._files.is_at(file, self.path) and not is_fenced(self._files, self.path)

    def _write(self, file: OpenFile, batch: Sequence[Draft], expected_seq: int | None) -> list[Receipt]:
        self._tail = tail = self._caught_up(file)
        composed = self._composed(file, tail, batch, expected_seq)
        if composed.lines:
            self._write_lines(file, tail.head.size, composed.lines, composed.tail.head.size - tail.head.size)
            self._tail = composed.tail
            for draft in batch:
                draft.written = True
        return composed.receipts

    def _opened(self, *, reads: bool) -> OpenFile:
        if not reads:  # a reader makes no folder
            self._prepare()
        self._file = self._files.open_append(self.path)
        self._tail = None
        self._directory_synced = False  # its creator may have died before it synced the folder
        return self._file

    def _caught_up(self, file: OpenFile) -> Tail:
        """Return the end of the ledger, after a check of what others appended since the last append."""
        tail = self._tail
        if tail is None or tail.head.seq == 0:
            return self._read_tail(file)
        size, head = self._files.size(file), tail.head
        if size == head.size:
            return tail
        if size < head.size:
            problem = f"was cut: it had {head.size:,} bytes when last appended to and has {size:,} now"
            raise DamagedLedger(self.path, head.seq, size, problem)
        return self._verified_from(file, tail, size) or self._read_tail(file)

    def _read_tail(self, file: OpenFile) -> Tail:
        """Return the end of the ledger without what was cached: it may be another file, or cut and grown again."""
        self._ids = IdIndex()
        return last_tail(self._files, file, self.path, self.workflow_id)

    def _verified_from(self, file: OpenFile, tail: Tail, size: int) -> Tail | None:
        """Return the tail after what others appended; None when a torn line follows it."""
        start = tail.head.size - ENDING_BYTES
        if size - start <= _READ_AT_ONCE_BYTES:
            data = self._files.read(file, start, size - start)
            if len(data) == size - start and (after := tail_after(tail, data, self.workflow_id)) is not None:
                return after

        def read_at(offset: int, count: int) -> bytes:
            return self._files.read(file, offset, count)

        reader, recorded_at = LedgerReader(self.workflow_id, self.path, read_at, size, start=tail.head), ""
        for lines in reader.chunks():
            recorded_at = lines[-1]["recorded_at"]
        return None if reader.torn_bytes else Tail(reader.head, recorded_at)

    def _composed(self, file: OpenFile, tail: Tail, batch: Sequence[Draft], expected_seq: int | None) -> Composed:
        wanted = [draft.id for draft in batch if draft.search]
        needs_runs = tail.runs is None and True in [draft.needs_run for draft in batch]
        found: dict[str, Line] = {}
        if tail.head.seq and (wanted or needs_runs):
            with self._files.map(file, tail.head.size) as ledger:
                found = self._ids.find(ledger, tail.head.size, set(wanted), self.path) if wanted else {}
                tail = with_runs(tail, lambda: ledger) if needs_runs else tail
        elif needs_runs:
            tail = with_runs(tail, lambda: b"")
        return compose(
            batch,
            tail,
            workflow_id=self.workflow_id,
            origin=self._origin,
            now=to_wire(self._clock()),
            found=found,
            expected_seq=expected_seq,
            durability=self._durability,
        )

    def _write_lines(self, file: OpenFile, start: int, lines: Sequence[bytes], size: int) -> None:
        """Write all lines, of so many bytes, or leave the ledger as it was."""
        try:
            for data in [b"".join(lines)] if size <= _WRITE_BYTES_MAX else _packed(lines):
                write_all(self._files, file, data)
        except OSError as error:
            self._tail = None
            try:
                self._files.truncate(file, start)
            except OSError:
                # Whole new lines may remain; no process may append to them before the ledger has been copied.
                self._file = None
                set_fence(self._files, self.path)
                raise DurabilityUnknown(self.path, error) from error
            raise LedgerUnavailable(self.path, "append to", error) from error

    def _confirmed(self, file: OpenFile) -> bool:
        """Sync; return False when the file was replaced or fenced meanwhile, so that the sync proves nothing."""
        self._sync(file)
        try:
            if not self._directory_synced:
                self._files.sync_directory(self.path.parent)
                self._directory_synced = True
            return self._is_valid(file)
        except OSError as error:
            raise LedgerUnavailable(self.path, "append to", error) from error

    def _sync(self, file: OpenFile) -> None:
        try:
            self._files.sync(file)
        except OSError as error:
            set_fence(self._files, self.path)
            if self._file is file:
                self._file = None
            raise DurabilityUnknown(self.path, error) from error


def _packed(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Join lines into writes of at most `_WRITE_BYTES_MAX`, whole lines each."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) > _WRITE_BYTES_MAX:
            yield b"".join(part)
            part, size = [], 0
        part.append(line)
        size += len(line)
    yield b"".join(part)
