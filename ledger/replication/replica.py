"""A replica: the ledgers of many hosts, line by line and unchanged, in a shared engine.

A *chain* is one origin's lines of one workflow, keyed `(workflow_id, origin)`. An engine keeps all chains in one
order; a line's place in it is its *position*. Within a chain the order is that of its ledger, with one exception: an
engine that lost lines is sent everything from the first lost line on again, behind what it has, so readers see
repetitions, and before them lines that come too early. `ledger.replication.chain.Chain` sorts that out.
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
"""Bytes of one run, or one line: the engine holds it in memory until the last line has come."""


def partition_of(workflow_id: str) -> int:
    """The partition that all chains of a workflow are in: the first byte of the id's SHA-256, modulo 64."""
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
    """A line as the engine holds it; `raw` has its newline."""

    position: int
    workflow_id: str
    origin: str
    raw: bytes

    @property
    def head(self) -> ChainHead:
        """What the chain's head is if this is its last line; seq 0 when it is no ledger line at all."""
        try:
            line = orjson.loads(self.raw)
            return ChainHead(self.workflow_id, self.origin, int(line["seq"]), str(line["hash"]))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return ChainHead(self.workflow_id, self.origin, 0, "")


class Replica(Protocol):
    """A shared engine. Calls from one thread at a time; a method that raises has changed nothing but what it says."""

    @property
    def address(self) -> str:
        """Where it is, to be shown: without user and password."""
        ...

    @property
    def identity(self) -> str:
        """Which engine, and which making of it: what was acknowledged by another identity says nothing about this.

        It is asked for each time.

        Raises:
            ReplicaUnavailable: the engine cannot be reached.
            ReplicaDiffers: it is not set up as it must be.
        """
        ...

    def publish(self, runs: Sequence[ChainSegment]) -> list[ChainHead | CostledgerError]:
        """Store runs of different chains, each whole or not at all; one answer each, in order.

        A run is taken only if it extends its chain exactly where the chain ends. The answer is then the run's last
        line, on stable storage as far as the engine promises that. Otherwise it is where the chain stands instead:
        nothing was taken. Where neither is known, or the engine refuses, it is the error; saying the run again is
        harmless. Never raises one of ours.
        """
        ...

    def repeat(self, run: ChainSegment) -> None:
        """Store a run behind whatever the engine has of its chain, because the engine lost its first line.

        Raises:
            ReplicaUnavailable: perhaps only a beginning of it was stored.
        """
        ...

    def head(self, workflow_id: str, origin: str) -> ChainHead:
        """The last line that was stored of a chain; everything before it was stored once, too.

        Raises:
            ReplicaUnavailable: the engine cannot be reached.
        """
        ...

    def heads(self, origin: str | None = None) -> Iterator[tuple[ChainHead, int]]:
        """The head of every chain, of one origin or of all, with the number of lines stored of it.

        Raises:
            ReplicaUnavailable: while iterating, too.
        """
        ...

    def chain(self, workflow_id: str, origin: str) -> Iterator[ReplicatedLine]:
        """Everything stored of one chain when this was called, by position.

        Raises:
            ReplicaUnavailable: while iterating, too.
        """
        ...

    def lines(self, origin: str) -> Iterator[ReplicatedLine]:
        """Everything stored of all chains of one origin when this was called, by position.

        Raises:
            ReplicaUnavailable: while iterating, too.
        """
        ...

    def read(self, positions: Mapping[int, int], *, lines_max: int, wait_seconds: float) -> list[ReplicatedLine]:
        """The next lines of some partitions, by position; what is read stays.

        Args:
            positions: by partition, the position behind which to read; 0 for the beginning.
            wait_seconds: for the first line, when there is none yet.

        Raises:
            ReplicaUnavailable: the engine cannot be reached; ask again with the same positions.
        """
        ...

    def ends(self) -> dict[int, int]:
        """The position of the last line of each partition, of all that the engine has now; 0 where there is none.

        What is read up to these is read to its end; a short or an empty `read` does not say so, since lines may be
        under way.

        Raises:
            ReplicaUnavailable: the engine cannot be reached.
        """
        ...

    def line_at(self, position: int) -> tuple[bytes | None, int]:
        """What is stored at a position, None when nothing is, and a position up to which the engine goes at least.

        Raises:
            ReplicaUnavailable: the engine cannot be reached.
        """
        ...

    def close(self) -> None:
        """Let go of the engine; idempotent."""
        ...


def mark_of(raw: bytes) -> str:
    """By what a line is known again: its SHA-256; it need not be a ledger's line."""
    return sha256(raw).hexdigest()


def last_positions(lines: Sequence[ReplicatedLine], positions: Mapping[int, int]) -> dict[int, int]:
    """The positions to read on from once these lines, of one `read` from these positions, have been dealt with.

    All partitions that were read together are then complete up to the last line, also those that had none.
    """
    last = lines[-1].position if lines else 0
    return {partition: max(position, last) for partition, position in positions.items()}
