"""A projector: folds the lines of a replica into shared rows, as many processes as there is work for.

Each has some of the replica's partitions. The lines it reads are verified against their chains, folded, and written as
rows together with its position, so every line takes effect once. A chain that does not continue blocks its own workflow
only. State between two lines is a cache: it can be rebuilt from the replica.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, Protocol

from ledger.errors import CostledgerError
from ledger.replication.replica import Replica, ReplicatedLine, last_positions, mark_of, partition_of
from ledger.storage.line import Head
from projections.folding.projection import Projected
from projections.history.store import CostChange
from projections.projector.merge import Merge

__all__ = ["ChainState", "PartitionsMoved", "Projector", "ReplicaWentBack", "Shared"]

_LINES_MAX: Final = 4000
"""Lines of one transaction: some 0.1 s of folding, over which the cost of a commit spreads."""

_CLAIM_SECONDS: Final = 1.0
"""How often partitions are redistributed: how long those of a dead process wait."""

_CACHE_KILOBYTES: Final = 300_000
"""Of states of workflows, for their next lines."""

_REPAIR: Final = "where lines are missing, run `costledger replicate --repair` on the host of that origin"

_log = logging.getLogger("costledger")


class PartitionsMoved(CostledgerError):
    """Another projector has read further, or the rows were replaced: this projector's state is old; start again."""


class ReplicaWentBack(CostledgerError):
    """The replica is not the one that was read: its end was lost, or a copy replaced it."""

    def __init__(self, address: str, position: int, problem: str) -> None:
        super().__init__(
            f"replica {address} went back in time: the rows come from its lines up to position {position:,}, and "
            f"{problem}; run `costledger replicate --repair` on every host, then replay it into new rows: "
            "costledger project --rebuild"
        )


class ChainState(NamedTuple):
    """How far a chain is in the rows, and why it does not continue."""

    workflow_id: str
    origin: str
    seq: int
    size: int
    hash: str
    problem: str | None


class Shared(Protocol):
    """The shared storage of projectors: their rows and positions.

    Every method raises HistoryUnavailable when it cannot be used; then it cannot be used again.
    """

    def claim(self) -> dict[int, int]:
        """Claim partitions for this projector; return them, each with its position.

        Their number is a fair share among the running projectors; a partition of another one is never taken.

        Raises:
            PartitionsMoved: the rows were replaced.
        """
        ...

    def alive(self) -> None:
        """Report that this projector is alive during long work; one that is silent for long loses its partitions."""
        ...

    def furthest(self) -> tuple[int, str | None]:
        """Return the last position that any projector has read to, and the mark of its line; 0 and None at first."""
        ...

    def chains(self, workflow_ids: Collection[str]) -> dict[str, dict[str, Head]]:
        """Return how far the chains of these workflows are in the rows, by workflow and origin."""
        ...

    def commit(
        self,
        rows: Sequence[Projected],
        chains: Sequence[ChainState],
        *,
        before: Mapping[int, int],
        after: Mapping[int, int],
        mark: str,
    ) -> list[CostChange]:
        """Store rows, chains and new positions in one transaction.

        Args:
            mark: of the line at the last of the new positions.

        Raises:
            PartitionsMoved: a partition is not at the position before; nothing was stored.
        """
        ...


class Projector:
    """A reader of partitions, step by step.

    After any error it cannot be used again: its state may be ahead of what was stored.

    Attributes:
        lines: the number of lines read so far.
        lines_max: of one step.
    """

    def __init__(
        self, replica: Replica, shared: Shared, *, lines_max: int = _LINES_MAX, cache_kilobytes: int = _CACHE_KILOBYTES
    ) -> None:
        self._replica, self._shared = replica, shared
        self.lines_max, self._cache_kilobytes = lines_max, cache_kilobytes
        self._positions: dict[int, int] = {}
        self._furthest: tuple[int, str | None] = (0, None)
        self._claimed_at = float("-inf")
        self._merges: OrderedDict[str, Merge] = OrderedDict()
        self._weights: dict[str, int] = {}
        self._kilobytes = 0
        self._problems: dict[str, str] = {}
        self.lines = 0

    @property
    def workflows_held(self) -> int:
        """The number of workflows with a chain that does not continue."""
        return len(self._problems)

    def step(self, wait_seconds: float) -> int:
        """Project the next lines; return their number.

        Raises:
            HistoryUnavailable, ReplicaUnavailable, PartitionsMoved: start again with another projector.
            ReplicaWentBack: nothing of it was projected.
        """
        if time.monotonic() - self._claimed_at > _CLAIM_SECONDS:
            self._claim()
        if not self._positions:
            time.sleep(min(wait_seconds, _CLAIM_SECONDS))
            return 0
        before = self._positions
        lines = self._replica.read(before, lines_max=self.lines_max, wait_seconds=wait_seconds)
        if lines:
            self._check_replica()  # after reading: it may have gone back just before
            self._project(lines, before, last_positions(lines, before))
            self.lines += len(lines)
        return len(lines)

    def _claim(self) -> None:
        claimed = self._shared.claim()
        gained = claimed.keys() - self._positions.keys()
        for workflow_id in [name for name in self._merges if partition_of(name) not in claimed.keys() - gained]:
            self._drop(workflow_id)
        self._positions = claimed
        self._furthest = self._shared.furthest()
        self._check_replica()
        self._claimed_at = time.monotonic()

    def _check_replica(self) -> None:
        """Check that the positions belong to this replica, by its line at the furthest one."""
        position, mark = self._furthest
        if position == 0:
            return
        raw, last = self._replica.line_at(position)
        if raw is None and last < position:
            raise ReplicaWentBack(self._replica.address, position, f"it ends at {last:,}")
        if raw is not None and mark is not None and mark_of(raw) != mark:
            raise ReplicaWentBack(self._replica.address, position, "it has another line there")

    def _project(self, lines: Sequence[ReplicatedLine], before: Mapping[int, int], after: dict[int, int]) -> None:
        touched = dict.fromkeys(line.workflow_id for line in lines)
        self._load(touched)
        for line in lines:
            self._merges[line.workflow_id].take(line.origin, line.raw)
        rows: list[Projected] = []
        chains: list[ChainState] = []
        for workflow_id in touched:
            if self._merges[workflow_id].incomplete:
                self._merges[workflow_id] = self._read_again(workflow_id, self._merges[workflow_id].heads)
            self._conclude(self._merges[workflow_id], rows, chains)
        mark = mark_of(lines[-1].raw)
        self._shared.commit(rows, chains, before=before, after=after, mark=mark)
        self._positions = after
        self._furthest = max(self._furthest, (lines[-1].position, mark), key=itemgetter(0))
        self._cache(touched)

    def _load(self, workflow_ids: Collection[str]) -> None:
        """Load the state of each of these workflows."""
        missing = [name for name in workflow_ids if name not in self._merges]
        stored = self._shared.chains(missing) if missing else {}
        for workflow_id in missing:
            heads = stored.get(workflow_id)
            self._merges[workflow_id] = self._read_again(workflow_id, heads) if heads else Merge(workflow_id)

    def _read_again(self, workflow_id: str, heads: Mapping[str, Head]) -> Merge:
        """Return a workflow's state from all that the replica has of these chains."""
        merge = Merge(workflow_id, retains_lines=len(heads) > 1)
        for origin, head in heads.items():
            merge.expect(origin, head)
            for number, line in enumerate(self._replica.chain(workflow_id, origin), 1):
                merge.take(origin, line.raw)
                if number % _LINES_MAX == 0:
                    self._shared.alive()
        return merge

    def _conclude(self, merge: Merge, rows: list[Projected], chains: list[ChainState]) -> None:
        """Add a workflow's row and chains to those to store."""
        problems = dict(merge.problems)
        if any(head.seq for head in merge.heads.values()) and not merge.lags:
            try:
                rows.append(merge.projected())
            except CostledgerError as error:
                problems |= dict.fromkeys(merge.heads, str(error))
        for origin, head in merge.heads.items():
            chains.append(ChainState(merge.workflow_id, origin, head.seq, head.size, head.hash, problems.get(origin)))
        self._log_problem(
            merge.workflow_id, "; ".join(f"origin {origin}: {why}" for origin, why in sorted(problems.items()))
        )

    def _log_problem(self, workflow_id: str, problem: str) -> None:
        """Log once what blocks a workflow."""
        if problem and self._problems.get(workflow_id) != problem:
            _log.warning("[%s] blocked: %s; %s", workflow_id, problem, _REPAIR)
        if problem:
            self._problems[workflow_id] = problem
        elif self._problems.pop(workflow_id, ""):
            _log.warning("[%s] continues", workflow_id)

    def _cache(self, touched: Iterable[str]) -> None:
        """Cache the state of the workflows with the latest lines, within bounds."""
        for workflow_id in touched:
            merge = self._merges[workflow_id]
            self._merges.move_to_end(workflow_id)
            self._kilobytes += merge.weight - self._weights.get(workflow_id, 0)
            self._weights[workflow_id] = merge.weight
            if merge.lags:
                self._drop(workflow_id)
        while self._kilobytes > self._cache_kilobytes:
            self._drop(next(iter(self._merges)))

    def _drop(self, workflow_id: str) -> None:
        self._merges.pop(workflow_id)
        self._kilobytes -= self._weights.pop(workflow_id, 0)
