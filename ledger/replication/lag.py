"""The backlog of a replication, by the ledgers and the cursor alone: the replica may be away."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from ledger.errors import CostledgerError, DamagedLedger
from ledger.events import timestamps as clocks
from ledger.events.timestamps import Clock
from ledger.replication.cursor import BlockedLedger, ReplicaCursor, blocked_by, last_replica
from ledger.replication.replica import ChainHead
from ledger.replication.sender import ends_at, head_at
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.line import EMPTY, Head
from ledger.storage.origin import origin_of

__all__ = ["Backlog", "backlog"]


@dataclass(slots=True)
class Backlog:
    """Lines that no replica has acknowledged.

    Attributes:
        replica: the one that acknowledged a line last; None when none ever did.
        oldest: when the oldest waiting line was recorded; None when none waits.
        lag_seconds: how long it has waited.
        held: ledgers that are blocked; their waiting lines are counted as far as they can be read.
    """

    replica: ReplicaCursor | None
    ledgers: int = 0
    ledgers_behind: int = 0
    events_behind: int = 0
    bytes_behind: int = 0
    oldest: str | None = None
    lag_seconds: float = 0.0
    held: list[BlockedLedger] = field(default_factory=list)


def backlog(ledgers: DirectoryStore, *, clock: Clock = clocks.now) -> Backlog:
    """Count what waits; this reads the lines after the cursor, and nothing else.

    Raises:
        ReplicaUnavailable: the cursor cannot be read.
        LedgerUnavailable: the ledgers cannot be listed.
    """
    origin = origin_of(ledgers.path)
    replica, heads, recorded = last_replica(ledgers.path, origin.id) if origin is not None else (None, {}, {})
    found, blocked = Backlog(replica), dict[str, BlockedLedger]()
    for workflow_id in ledgers.workflow_ids():
        size, head = ledgers.size(workflow_id), heads.get(workflow_id, EMPTY)
        found.ledgers += size is not None
        if size is None or (size == head.size and ends_at(ledgers, workflow_id, head)):
            continue
        found.ledgers_behind += 1
        found.bytes_behind += max(0, size - head.size)
        try:
            _count(found, ledgers, workflow_id, head)
        except CostledgerError as error:
            blocked[workflow_id] = blocked_by(workflow_id, error)
        else:
            blocked |= {workflow_id: recorded[workflow_id]} if workflow_id in recorded else {}
    found.held = [blocked[name] for name in sorted(blocked)]
    if found.oldest is not None:
        found.lag_seconds = round(max(0.0, (clock() - clocks.from_wire(found.oldest)).total_seconds()), 3)
    return found


def _count(found: Backlog, ledgers: DirectoryStore, workflow_id: str, head: Head) -> None:
    """Count the lines of a ledger after the last acknowledged one.

    Raises:
        Diverged: that one is not in it any more.
        DamagedLedger, LedgerUnavailable: it cannot be read.
    """
    try:
        for index, raw in enumerate(ledgers.read(workflow_id, start=head).raw_lines()):
            found.events_behind += 1
            if index == 0:
                recorded_at = str(orjson.loads(raw)["recorded_at"])
                found.oldest = min(found.oldest or recorded_at, recorded_at)
    except DamagedLedger:
        head_at(ledgers, ChainHead(workflow_id, ledgers.origin, head.seq, head.hash))
        raise
