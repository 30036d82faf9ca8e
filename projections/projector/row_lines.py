"""The lines that a row was folded from: a ledger here, or the chains of all origins in a replica."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from ledger.errors import CostledgerError, Diverged, LedgersElsewhere
from ledger.events.event import Line
from ledger.events.typed_line import TypedLine, typed
from ledger.replication.replica import Replica
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.line import EMPTY, Head
from ledger.storage.origin import origin_of
from projections.history.store import HistoryStore
from projections.projector.merge import Merge, merged_head

__all__ = ["RowLines", "lines_of"]


class RowLines(Protocol):
    """A workflow's lines in the order they are folded in; each one's seq is its number in that order."""

    @property
    def head(self) -> Head:
        """The head of a row that was folded from the lines yielded so far; as of a `LedgerReader`."""
        ...

    def __iter__(self) -> Iterator[Line]: ...

    def typed_chunks(self) -> Iterator[Sequence[TypedLine]]:
        """Yield the same lines with only the fields that are folded, some at a time."""
        ...


def lines_of(workflow_id: str, ledgers: DirectoryStore, history: HistoryStore, replica: Replica | None) -> RowLines:
    """Return the lines that a workflow's row was folded from; of a projected row, up to the projectors' position.

    Args:
        replica: with the lines of other data directories; None when none was named.

    Raises:
        LedgersElsewhere: no replica was named, and the ledger here is not all of it.
        UnknownWorkflow, DamagedLedger, LedgerUnavailable: see `LedgerStore.read`; while iterating, too.
        ReplicaUnavailable: the replica cannot be read.
        CostledgerError: it has lost lines that are in the row.
    """
    heads = history.origins(workflow_id)
    if not heads:
        return ledgers.read(workflow_id, locked_too=True)
    here = origin_of(ledgers.path)
    size = None if here is None else ledgers.size(workflow_id)
    if here is not None and size is not None and set(heads) == {here.id} and size >= heads[here.id].size:
        return _LedgerRead(workflow_id, ledgers, here.id, heads[here.id])
    if replica is None:
        found = history.row(workflow_id)
        here_lines = sum(1 for _ in ledgers.read(workflow_id).raw_lines()) if size else 0
        raise LedgersElsewhere(workflow_id, 0 if found is None else found.event_count, here_lines, len(heads))
    return _Merged(workflow_id, replica, heads)


class _LedgerRead:
    """The lines of the one ledger that a row was folded from, up to the projectors' position."""

    def __init__(self, workflow_id: str, ledgers: DirectoryStore, origin: str, head: Head) -> None:
        self._workflow_id, self._origin = workflow_id, origin
        self._reader, self._head = ledgers.read(workflow_id), head

    @property
    def head(self) -> Head:
        return self._reader.head

    def __iter__(self) -> Iterator[Line]:
        for line in self._reader:
            yield line
            if line["seq"] >= self._head.seq:
                break
        if self.head != self._head:
            raise Diverged(self._workflow_id, self._origin, self._head.seq, "the row was folded from another line")

    def typed_chunks(self) -> Iterator[Sequence[TypedLine]]:
        return ((typed(line),) for line in self)


class _Merged:
    """The chains of all origins, up to the projectors' position; all are read before the first line is yielded."""

    def __init__(self, workflow_id: str, replica: Replica, heads: Mapping[str, Head]) -> None:
        self._merge, self.head = Merge(workflow_id, retains_lines=True), EMPTY
        for origin, head in heads.items():
            self._merge.expect(origin, head)
            for line in replica.chain(workflow_id, origin):
                self._merge.take(origin, line.raw)
                if self._merge.reached(origin):
                    break
        for origin, problem in self._merge.problems.items():
            raise CostledgerError(
                f"the chain of workflow {workflow_id!r} and origin {origin} does not lead to its row: {problem}; "
                "`costledger replicate --repair` on the host of that origin sends what is missing"
            )

    def __iter__(self) -> Iterator[Line]:
        for head, line in self._merge.lines():
            self.head = head
            yield line
        self.head = merged_head(self._merge.heads, self.head.seq)  # the last lines may have ids that counted before

    def typed_chunks(self) -> Iterator[Sequence[TypedLine]]:
        return ((typed(line),) for line in self)
