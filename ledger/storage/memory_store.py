"""Ledgers in memory, for tests and experiments."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from ledger.errors import (
    StrayFile,
    UnknownWorkflow,
)
from ledger.events import timestamps as clocks
from ledger.events.event import Event
from ledger.events.timestamps import Clock
from ledger.events.workflow_ids import check_workflow_id
from ledger.storage.append import Receipt, Tail, compose, drafts, find, with_runs
from ledger.storage.line import EMPTY, Head
from ledger.storage.reader import LedgerReader
from ledger.storage.store import LEDGER_SUFFIX, one_workflow, open_reader

__all__ = ["MemoryStore"]


class MemoryStore:
    """A store with the same lines and rules as a directory, which ends with the process."""

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
        return self._append(one_workflow(events), events, expected_seq)

    def head_after(self, receipt: Receipt) -> Head | None:
        """See `LedgerStore.head_after`."""
        return self._tails.get(receipt.workflow_id, Tail()).head_after(receipt)

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

    def listing(self, prefix: str = "") -> Iterator[str | StrayFile]:
        """See `LedgerStore.listing`."""
        return self.workflow_ids(prefix)

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
        locked_too: bool = False,  # noqa: ARG002 (no other process can lock it)
    ) -> LedgerReader:
        """See `LedgerStore.read`."""
        ledger = self._ledgers.get(check_workflow_id(workflow_id))
        if ledger is None:
            raise UnknownWorkflow(workflow_id, "memory")
        data = bytes(ledger)
        return open_reader(
            workflow_id,
            _in_memory(workflow_id),
            lambda at, count: data[at : at + count],
            len(data),
            checkpoint,
            start,
        )


def _in_memory(workflow_id: str) -> Path:
    """Return the path that errors name."""
    return Path("(memory)") / f"{workflow_id}{LEDGER_SUFFIX}"
