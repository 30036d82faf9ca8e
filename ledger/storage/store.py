"""The port of ledger stores; its adapters are a directory and memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from ledger.errors import DamagedLedger, InvalidInput, ReplacedLedger, StrayFile
from ledger.events.event import Event
from ledger.events.workflow_ids import check_workflow_id
from ledger.storage.append import Receipt
from ledger.storage.line import EMPTY, Head
from ledger.storage.reader import LedgerReader, ReadAt
from ledger.storage.rewrite import had_before_renewal

__all__ = ["LEDGER_SUFFIX", "LedgerStore", "one_workflow", "open_reader"]

LEDGER_SUFFIX: Final = ".jsonl"


class LedgerStore(Protocol):
    """Ledgers by workflow id. Calls for different workflows do not affect each other."""

    @property
    def origin(self) -> str:
        """Return the stable id of this store, which is in the first line of each ledger."""
        ...

    def append(self, events: Sequence[Event], *, expected_seq: int | None = None) -> list[Receipt]:
        """Append events of one workflow, all or none, and return one receipt each, in order.

        Idempotent by event id. `expected_seq` (0 for no ledger) makes the append conditional.

        Raises:
            InvalidInput: the events are of several workflows, or one's line would be too long.
            ConflictingEvent, LedgerMoved, DamagedLedger, LedgerUnavailable, DurabilityUnknown: nothing was
                acknowledged.
        """
        ...

    def head_after(self, receipt: Receipt) -> Head | None:
        """Return the head that a ledger had with the line of a receipt as its last; None unless this is still cached.

        It reads nothing, so it is no proof that the line is still the last one.
        """
        ...

    def open(self, workflow_id: str) -> None:
        """Create the ledger, with only its opening line, when it does not exist.

        Raises:
            InvalidWorkflowId, DamagedLedger, LedgerUnavailable, DurabilityUnknown: as for `append`.
        """
        ...

    def workflow_ids(self, prefix: str = "") -> Iterator[str]:
        """Return the sorted ids of all ledgers; other files in their folder are in `strays`.

        Args:
            prefix: only those that begin with it.

        Raises:
            LedgerUnavailable: the folder cannot be listed.
        """
        ...

    def strays(self) -> list[StrayFile]:
        """Return the files that are named as a ledger and are none, sorted by name.

        Raises:
            LedgerUnavailable: the folder cannot be listed.
        """
        ...

    def listing(self, prefix: str = "") -> Iterator[str | StrayFile]:
        """Yield the ids and the other files in the order of the folder, as it is read.

        Args:
            prefix: only those that begin with it.

        Raises:
            LedgerUnavailable: the folder cannot be listed.
        """
        ...

    def size(self, workflow_id: str) -> int | None:
        """Return the size of the ledger in bytes; None when there is none. It costs one `stat`."""
        ...

    def read(
        self, workflow_id: str, *, checkpoint: Head | None = None, start: Head = EMPTY, locked_too: bool = False
    ) -> LedgerReader:
        """Return a reader of all lines after `start`, which are synced first.

        Args:
            checkpoint: an earlier head that the ledger must still extend.
            start: an earlier head up to which the caller has read; the ledger must still extend it.
            locked_too: read a ledger that another process has locked, up to the last whole line, and set
                `LedgerReader.locked`. Only for callers that store nothing: a failed append removes its lines again.

        Raises:
            UnknownWorkflow: no such ledger.
            ReplacedLedger: it does not extend the checkpoint.
            DamagedLedger: it does not extend `start`.
            LockedLedger: another process does not release its lock.
            LedgerUnavailable: it cannot be opened or synced.
        """
        ...


def one_workflow(events: Sequence[Event]) -> str:
    """Return the workflow of the events of an append; InvalidInput when they are of several."""
    ids = {event.workflow_id for event in events}
    if len(ids) != 1:
        raise InvalidInput(f"an append takes the events of one workflow, not of {len(ids)}")
    return check_workflow_id(ids.pop())


def open_reader(
    workflow_id: str, path: Path, read_at: ReadAt, size: int, checkpoint: Head | None, start: Head
) -> LedgerReader:
    """Return a reader after a check that the ledger extends the checkpoint; see `LedgerStore.read`."""
    if checkpoint is not None and checkpoint.seq and checkpoint != start:
        try:
            LedgerReader(workflow_id, path, read_at, size, start=checkpoint)
        except DamagedLedger as error:
            if not had_before_renewal(lambda: LedgerReader(workflow_id, path, read_at, size).raw_lines(), checkpoint):
                raise ReplacedLedger(path, error.line, error.byte, error.problem) from None
    return LedgerReader(workflow_id, path, read_at, size, start=start)
