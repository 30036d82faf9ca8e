"""A replica in memory: the same rules, gone with the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

from ledger.errors import CostledgerError
from ledger.replication.replica import PARTITIONS, ChainHead, ChainSegment, ReplicatedLine, partition_of
from ledger.replication.subjects import subject_of

__all__ = ["MemoryReplica"]


class MemoryReplica:
    """See `ledger.replication.replica.Replica`.

    Attributes:
        stored: all lines, by position; a test may remove lines, as an engine that loses them does.
    """

    def __init__(self, identity: str = "memory") -> None:
        self.identity, self.address = identity, "memory"
        self.stored: list[ReplicatedLine] = []
        self._lock, self._position = threading.Condition(), 0

    def publish(self, runs: Sequence[ChainSegment]) -> list[ChainHead | CostledgerError]:
        """See `Replica.publish`."""
        return [self._publish(run) for run in runs]

    def _publish(self, run: ChainSegment) -> ChainHead | CostledgerError:
        workflow_id, origin = run.after.workflow_id, run.after.origin
        try:
            subject_of(workflow_id, origin)
        except CostledgerError as error:
            return error
        with self._lock:
            head = self.head(workflow_id, origin)
            if head != run.after:
                return head
            self._store(run)
            return run.last

    def repeat(self, run: ChainSegment) -> None:
        """See `Replica.repeat`."""
        with self._lock:
            self._store(run)

    def _store(self, run: ChainSegment) -> None:
        for raw in run.lines:
            self._position += 1
            self.stored.append(ReplicatedLine(self._position, run.after.workflow_id, run.after.origin, raw))
        self._lock.notify_all()

    def head(self, workflow_id: str, origin: str) -> ChainHead:
        """See `Replica.head`."""
        lines = list(self.chain(workflow_id, origin))
        return lines[-1].head if lines else ChainHead(workflow_id, origin, 0, "")

    def heads(self, origin: str | None = None) -> Iterator[tuple[ChainHead, int]]:
        """See `Replica.heads`."""
        chains = {(line.workflow_id, line.origin) for line in self.stored if origin in (None, line.origin)}
        for workflow_id, named in sorted(chains):
            yield self.head(workflow_id, named), sum(1 for _ in self.chain(workflow_id, named))

    def chain(self, workflow_id: str, origin: str) -> Iterator[ReplicatedLine]:
        """See `Replica.chain`."""
        return iter([line for line in self.stored if (line.workflow_id, line.origin) == (workflow_id, origin)])

    def lines(self, origin: str) -> Iterator[ReplicatedLine]:
        """See `Replica.lines`."""
        return iter([line for line in self.stored if line.origin == origin])

    def read(self, positions: Mapping[int, int], *, lines_max: int, wait_seconds: float) -> list[ReplicatedLine]:
        """See `Replica.read`."""
        with self._lock:
            self._lock.wait_for(lambda: self._after(positions, 1), wait_seconds)
            return self._after(positions, lines_max)

    def ends(self) -> dict[int, int]:
        """See `Replica.ends`."""
        with self._lock:
            return dict.fromkeys(range(PARTITIONS), 0) | {
                partition_of(line.workflow_id): line.position for line in self.stored
            }

    def line_at(self, position: int) -> tuple[bytes | None, int]:
        """See `Replica.line_at`."""
        with self._lock:
            found = next((line.raw for line in self.stored if line.position == position), None)
            return found, self._position

    def go_back(self, position: int) -> None:
        """Return to the state in which this was the last position, as a store restored from a copy does."""
        with self._lock:
            self.stored = [line for line in self.stored if line.position <= position]
            self._position = position

    def _after(self, positions: Mapping[int, int], lines_max: int) -> list[ReplicatedLine]:
        found: list[ReplicatedLine] = []
        for line in self.stored:
            after = positions.get(partition_of(line.workflow_id))
            if after is not None and line.position > after and len(found) < lines_max:
                found.append(line)
        return found

    def close(self) -> None:
        """See `Replica.close`."""
