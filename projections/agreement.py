"""Agreement: whether shared rows are what a replay of the replica's chains, of all origins, says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ledger.errors import CostledgerError
from ledger.replica import PARTITIONS, Replica, last_positions, partition_of
from projections.drift import Finding, differences
from projections.merge import Merge
from projections.store import HistoryStore

__all__ = ["disagreeing_rows"]

_LINES_MAX: Final = 5000
_LAG_SECONDS: Final = 3.0
"""How long a projector may take until a row that differs is one."""

_REBUILD: Final = "costledger project --rebuild"
_REPAIR: Final = "costledger replicate --repair, on the host of that origin"


def disagreeing_rows(
    replica: Replica, history: HistoryStore, *, progress: Callable[[int, int], None] | None = None
) -> Iterator[Finding]:
    """Every row that is not what the chains of its workflow say, partition by partition.

    Projectors may go on meanwhile: a row that differs is looked at again, until it has had the time to follow.

    Args:
        progress: called with partitions done and in all.

    Raises:
        ReplicaUnavailable, HistoryUnavailable: one of them cannot be read.
    """
    due: dict[int, int] = dict.fromkeys(range(PARTITIONS), 0)
    names: set[str] = set()
    for head, count in replica.heads():
        due[partition_of(head.workflow_id)] += count
        names.add(head.workflow_id)
    for done, (partition, lines) in enumerate(due.items(), 1):
        yield from _of_partition(replica, history, partition, lines)
        if progress is not None:
            progress(done, PARTITIONS)
    for name in sorted(set(history.stored()) - names):
        yield Finding(name, "a row that no chain in the shared engine stands behind", _REBUILD)


def _of_partition(replica: Replica, history: HistoryStore, partition: int, due: int) -> Iterator[Finding]:
    merges: dict[str, Merge] = {}
    positions, read = {partition: 0}, 0
    while read < due:
        read_now, positions = _read_on(replica, merges, positions, wait_seconds=_LAG_SECONDS)
        if not read_now:
            break  # it has lost lines since they were counted
        read += read_now
    deadline = time.monotonic() + _LAG_SECONDS
    while time.monotonic() < deadline and any(_follows(history, name, merge) for name, merge in merges.items()):
        _, positions = _read_on(replica, merges, positions, wait_seconds=0.2)
    for name, merge in merges.items():
        yield from _findings(history, name, merge)


def _read_on(
    replica: Replica, merges: dict[str, Merge], positions: Mapping[int, int], *, wait_seconds: float
) -> tuple[int, dict[int, int]]:
    """Take the next lines; how many there were, and the positions behind them."""
    lines = replica.read(positions, lines_max=_LINES_MAX, wait_seconds=wait_seconds)
    for line in lines:
        merge = merges.setdefault(line.workflow_id, Merge(line.workflow_id, keeps_lines=True))
        merge.take(line.origin, line.raw)
    return len(lines), last_positions(lines, positions)


def _follows(history: HistoryStore, name: str, merge: Merge) -> bool:
    """Whether a row was made of other lines than those read here: a projector may still be on its way."""
    stored = history.row(name)
    try:
        return stored is None or stored.ledger_hash != merge.projected().head.hash
    except CostledgerError:
        return False


def _findings(history: HistoryStore, name: str, merge: Merge) -> Iterator[Finding]:
    for problem in merge.problems.values():
        yield Finding(name, problem, _REPAIR)
    try:
        replayed = merge.projected().row
    except CostledgerError as error:
        yield Finding(name, str(error), "that workflow waits; its row is as it was before that line")
        return
    stored = history.row(name)
    if stored is None:
        yield Finding(name, "its row is missing", _REBUILD)
        return
    for difference in differences(stored, replayed, history.columns):
        yield Finding(name, difference, _REBUILD)
