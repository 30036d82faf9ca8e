"""The comparison of shared rows with a replay of the replica's chains, of all origins."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ledger.errors import CostledgerError, ReplicaUnavailable
from ledger.replication.replica import Replica, last_positions
from projections.folding.moves import LedgerPart, composed
from projections.folding.row import Row, is_empty
from projections.history.store import HistoryStore
from projections.projector.merge import Merge
from projections.replay.drift import Finding, differences

__all__ = ["disagreeing_rows"]

_LINES_MAX: Final = 5000
_LAG_SECONDS: Final = 3.0
"""How long a projector may lag until a row that differs is a finding."""

_SILENT_READS_MAX: Final = 5
"""How many reads in a row may be empty although there are more lines."""

_REBUILD: Final = "costledger project --rebuild"
_REPAIR: Final = "costledger replicate --repair, on the host of that origin"


def disagreeing_rows(
    replica: Replica, history: HistoryStore, *, progress: Callable[[int, int], None] | None = None
) -> Iterator[Finding]:
    """Yield every row that differs from a replay of its workflow's chains, partition by partition.

    Projectors may continue meanwhile: a row that differs is compared again, until they have had time to update it.

    Args:
        progress: called with partitions done and in all.

    Raises:
        ReplicaUnavailable, HistoryUnavailable: one of them cannot be read.
    """
    names = {head.workflow_id for head, _ in replica.heads()}
    ends, moved = replica.ends(), history.parts().keys()
    connected: dict[str, Merge] = {}
    for done, (partition, end) in enumerate(ends.items(), 1):
        merges = _merges_of_partition(replica, history, partition, end)
        for name, merge in merges.items():
            if name in moved:
                connected[name] = merge
            else:
                yield from _findings(history, name, merge, None)
        if progress is not None:
            progress(done, len(ends))
    yield from _of_connected(history, connected)
    for name in sorted(set(history.stored()) - names):
        yield Finding(name, "a row without a chain in the shared engine", _REBUILD)


def _of_connected(history: HistoryStore, merges: Mapping[str, Merge]) -> Iterator[Finding]:
    """Yield the findings about workflows that moves connect: their rows follow from the chains of all of them."""
    parts: dict[str, LedgerPart] = {}
    for name, merge in merges.items():
        with contextlib.suppress(CostledgerError):
            made = merge.projected()
            parts[name] = LedgerPart(made.row, made.spend, made.moves)
    made_of_all = composed(parts)
    for name, merge in merges.items():
        group = made_of_all.get(name)
        yield from _findings(history, name, merge, None if group is None else group.row)


def _merges_of_partition(replica: Replica, history: HistoryStore, partition: int, end: int) -> dict[str, Merge]:
    merges: dict[str, Merge] = {}
    positions, silent = {partition: 0}, 0
    while positions[partition] < end:
        read, positions = _read_on(replica, merges, positions, wait_seconds=_LAG_SECONDS)
        silent = 0 if read else silent + 1
        if silent > _SILENT_READS_MAX:
            raise ReplicaUnavailable(replica.address, f"it sends no more lines of partition {partition}")
    deadline = time.monotonic() + _LAG_SECONDS
    while time.monotonic() < deadline and any(_follows(history, name, merge) for name, merge in merges.items()):
        _, positions = _read_on(replica, merges, positions, wait_seconds=0.2)
    return merges


def _read_on(
    replica: Replica, merges: dict[str, Merge], positions: Mapping[int, int], *, wait_seconds: float
) -> tuple[int, dict[int, int]]:
    """Read the next lines; return their number and the positions after them."""
    lines = replica.read(positions, lines_max=_LINES_MAX, wait_seconds=wait_seconds)
    for line in lines:
        merge = merges.setdefault(line.workflow_id, Merge(line.workflow_id, retains_lines=True))
        merge.take(line.origin, line.raw)
    return len(lines), last_positions(lines, positions)


def _follows(history: HistoryStore, name: str, merge: Merge) -> bool:
    """Return whether a row comes from other lines than those read here: a projector may be about to update it."""
    stored = history.row(name)
    try:
        return stored is None or stored.ledger_hash != merge.projected().head.hash
    except CostledgerError:
        return False


def _findings(history: HistoryStore, name: str, merge: Merge, row: Row | None) -> Iterator[Finding]:
    """Yield the findings about one workflow.

    Args:
        row: the one that moves make of its chains; None without a move.
    """
    for problem in merge.problems.values():
        yield Finding(name, problem, _REPAIR)
    try:
        replayed = row or merge.projected().row
    except CostledgerError as error:
        yield Finding(name, str(error), "that workflow waits; its row is as it was before that line")
        return
    stored = history.row(name)
    if stored is None:
        if not is_empty(replayed):
            yield Finding(name, "its row is missing", _REBUILD)
        return
    for difference in differences(stored, replayed):
        yield Finding(name, difference, _REBUILD)
