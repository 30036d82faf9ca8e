"""A replica: the ledgers of many hosts, line by line and unchanged, in a shared engine.

A *chain* is one origin's lines of one workflow, keyed `(workflow_id, origin)`. An engine stores all chains in one
order; *position* is a line's number in it. Within a chain the order is that of its ledger, with one exception: an
engine that lost lines gets everything from the first lost line on again, after what it has. So readers get
repetitions, and before them lines that come too early; `ledger.replication.chain.Chain` handles both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

import orjson

from ledger.errors import CostledgerError
from ledger.storage.line import hash_of

__all__ = [
    "PARTITIONS",
    "RUN_BYTES_MAX",
    "RUN_LINES_MAX",
    "ChainHead",
    "ChainSegment",
    "Replica",
    "ReplicatedLine",
    "last_positions",
    "mark_of",
    "partition_of",
]

PARTITIONS: Final = 64
"""Shares in which readers divide the chains among themselves; it is part of every subject, so it never changes."""

RUN_LINES_MAX: Final = 1000
"""Lines of one run; an atomic batch of JetStream holds no more."""

RUN_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes of one run, or one line: the engine buffers it in memory until the last line has come."""


def partition_of(workflow_id: str) -> int:
    """Return the partition of all chains of a workflow: the first byte of the id's SHA-256, modulo 64."""
    return sha256(workflow_id.encode()).digest()[0] % PARTITIONS


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last line of a chain; seq 0 and no hash when there is none."""

    workflow_id: str
    origin: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class ChainSegment:
    """Lines of one chain that follow one another.

    Attributes:
        after: the line before the first of them.
        lines: raw bytes with their newlines; at least one, at most `RUN_LINES_MAX`, of `RUN_BYTES_MAX` together.
    """

    after: ChainHead
    lines: Sequence[bytes]

    @property
    def last(self) -> ChainHead:
        """The chain's head once this run is taken."""
        digits = hash_of(self.lines[-1])
        return ChainHead(self.after.workflow_id, self.after.origin, self.after.seq + len(self.lines), digits)


@dataclass(frozen=True, slots=True)
class ReplicatedLine:
    """A line as the engine stores it; `raw` has its newline."""

    position: int
    workflow_id: str
    origin: str
    raw: bytes

    @property
    def head(self) -> ChainHead:
        """The chain's head if this is its last line; seq 0 when it is no ledger line at all."""
        try:
            line = orjson.loads(self.raw)
            return ChainHead(self.workflow_id, self.origin, int(line["seq"]), str(line["hash"]))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return ChainHead(self.workflow_id, self.origin, 0, "")


class Replica(Protocol):
    """A shared engine, called from one thread at a time. A method that raises has changed nothing unless stated."""

    @property
    def address(self) -> str:
        """Its address for display: without user and password."""
        ...

    @property
    def identity(self) -> str:
        """Which engine, and which creation of its stream; what another identity acknowledged does not count for this.

        The engine is asked each time.

        Raises:
            ReplicaUnavailable: the engine cannot be reached.
            ReplicaDiffers: its configuration is not the required one.
        """
        ...

    def publish(self, runs: Sequence[ChainSegment]) -> list[ChainHead | CostledgerError]:
        """Store runs of different chains, each whole or not at all; one answer each, in order.

        A run is taken only if it extends its chain exactly where the chain ends. The answer is then the run's last
        line, on stable storage as far as the engine promises that. Otherwise it is the chain's actual head, and nothing
        was taken. When the engine refuses or does not answer, it is the error; to publish the run again is harmless.
        Never raises a `CostledgerError`.
        """
        ...

    def repeat(self, run: ChainSegment) -> None:
        """Store a run after all that the engine has of its chain, because the engine lost its first line.

        Raises:
            ReplicaUnavailable: possibly only the first lines of it were stored.
        """
        ...

    def head(self, workflow_id: str, origin: str) -> ChainHead:
        """Return the last line that was stored of a chain; all lines before it were stored once, too.

        Raises:
            ReplicaUnavailable: the engine cannot be reached.
        """
        ...

    def heads(self, origin: str | None = None) -> Iterator[tuple[ChainHead, int]]:
        """Yield the head of every chain, of one origin or of all, with the number of lines stored of it.

        Raises:
            ReplicaUnavailable: while iterating, too.
        """
        ...

    def chain(self, workflow_id: str, origin: str) -> Iterator[ReplicatedLine]:
        """Yield all lines stored of one chain at the time of the call, by position.

        Raises:
            ReplicaUnavailable: while iterating, too.
        """
        ...

    def lines(self, origin: str) -> Iterator[ReplicatedLine]:
        """Yield all lines stored of all chains of one origin at the time of the call, by position.

        Raises:
            ReplicaUnavailable: while iterating, too.
        """
        ...

    def read(self, positions: Mapping[int, int], *, lines_max: int, wait_seconds: float) -> list[ReplicatedLine]:
        """Return the next lines of some partitions, by position; reading removes nothing.

        Args:
            positions: by partition, the position after which to read; 0 for the beginning.
            wait_seconds: how long to wait for the first line.

        Raises:
            ReplicaUnavailable: the engine cannot be reached; ask again with the same positions.
        """
        ...

    def ends(self) -> dict[int, int]:
        """Return the position of the last line that the engine has now of each partition; 0 where there is none.

        Reading up to these positions is complete; a short or an empty `read` does not mean that, since lines may be
        on their way.

        Raises:
            ReplicaUnavailable: the engine cannot be reached.
        """
        ...

    def line_at(self, position: int) -> tuple[bytes | None, int]:
        """Return the line at a position, None without one, and a position that the engine has reached at least.

        Raises:
            ReplicaUnavailable: the engine cannot be reached.
        """
        ...

    def close(self) -> None:
        """Close the connection to the engine; idempotent."""
        ...


def mark_of(raw: bytes) -> str:
    """Return what identifies a line, its SHA-256; it need not be a ledger's line."""
    return sha256(raw).hexdigest()


def last_positions(lines: Sequence[ReplicatedLine], positions: Mapping[int, int]) -> dict[int, int]:
    """Return the positions to continue from after these lines, of one `read` from these positions.

    All partitions that were read together are then complete up to the last line, also those that had none.
    """
    last = lines[-1].position if lines else 0
    return {partition: max(position, last) for partition, position in positions.items()}
