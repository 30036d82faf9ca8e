"""Where ledgers are kept: a small port and its two adapters, a directory and memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from ledger.errors import (
    DamagedLedger,
    InvalidInput,
    ReplacedLedger,
    StrayFile,
)
from ledger.events.event import Event
from ledger.events.workflow_ids import check_workflow_id
from ledger.storage.append import Receipt
from ledger.storage.line import EMPTY, Head
from ledger.storage.reader import LedgerReader, ReadAt
from ledger.storage.rewrite import had_before_renewal

__all__ = ["LedgerStore"]


LEDGER_SUFFIX: Final = ".jsonl"


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


def one_workflow(events: Sequence[Event]) -> str:
    ids = {event.workflow_id for event in events}
    if len(ids) != 1:
        raise InvalidInput(f"an append takes the events of one workflow, not of {len(ids)}")
    return check_workflow_id(ids.pop())


def open_reader(
    workflow_id: str, path: Path, read_at: ReadAt, size: int, checkpoint: Head | None, start: Head
) -> LedgerReader:
    if checkpoint is not None and checkpoint.seq and checkpoint != start:
        try:
            LedgerReader(workflow_id, path, read_at, size, start=checkpoint)
        except DamagedLedger as error:
            if not had_before_renewal(lambda: LedgerReader(workflow_id, path, read_at, size).raw_lines(), checkpoint):
                raise ReplacedLedger(path, error.line, error.byte, error.problem) from None
    return LedgerReader(workflow_id, path, read_at, size, start=start)
