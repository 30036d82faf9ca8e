"""What waits to be replicated, seen from the ledgers and the cursor alone: the replica may be away."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from ledger import clock as clocks
from ledger.clock import Clock
from ledger.cursor import Seen, last_seen
from ledger.errors import CostledgerError
from ledger.line import EMPTY
from ledger.origin import origin_of
from ledger.store import DirectoryStore

__all__ = ["Backlog", "backlog"]


@dataclass(slots=True)
class Backlog:
    """Lines that no replica has acknowledged.

    Attributes:
        replica: the one that acknowledged a line last; None when none ever did.
        oldest: when the oldest waiting line was recorded; None when none waits.
        lag_seconds: how long it has waited.
        unreadable: ledgers whose waiting lines could not be counted.
    """

    replica: Seen | None
    ledgers: int = 0
    ledgers_behind: int = 0
    events_behind: int = 0
    bytes_behind: int = 0
    oldest: str | None = None
    lag_seconds: float = 0.0
    unreadable: int = 0


def backlog(ledgers: DirectoryStore, *, clock: Clock = clocks.now) -> Backlog:
    """Count what waits; it reads what is behind the cursor, and nothing else.

    Raises:
        ReplicaUnavailable: the cursor cannot be read.
        LedgerUnavailable: the ledgers cannot be listed.
    """
    origin = origin_of(ledgers.path)
    seen, heads = last_seen(ledgers.path, origin.id) if origin is not None else (None, {})
    found = Backlog(seen)
    for workflow_id in ledgers.workflow_ids():
        size, head = ledgers.size(workflow_id), heads.get(workflow_id, EMPTY)
        found.ledgers += size is not None
        if size is None or size == head.size:
            continue
        found.ledgers_behind += 1
        found.bytes_behind += max(0, size - head.size)
        try:
            for index, raw in enumerate(ledgers.read(workflow_id, start=head).raw_lines()):
                found.events_behind += 1
                if index == 0:
                    recorded_at = str(orjson.loads(raw)["recorded_at"])
                    found.oldest = min(found.oldest or recorded_at, recorded_at)
        except CostledgerError:
            found.unreadable += 1
    if found.oldest is not None:
        found.lag_seconds = round(max(0.0, (clock() - clocks.from_wire(found.oldest)).total_seconds()), 3)
    return found
