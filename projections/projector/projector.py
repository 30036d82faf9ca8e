"""A projector: folds the lines of a replica into shared rows, as many processes as there is work for.

Each has some of the replica's partitions. The lines it reads are proven against their chains, folded, and written as
rows together with its position, so every line takes effect once. A chain that does not go on holds its own workflow
only. State that is kept between two lines is a cache: it is made again from the replica.
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
"""Lines of one transaction: some 0.1 s of folding, which shares out what a commit costs."""

_CLAIM_SECONDS: Final = 1.0
"""How often partitions are shared out again: how long those of a dead process wait."""

_KEPT_KILOBYTES: Final = 300_000
"""State that is kept for the next line of a workflow."""

_REPAIR: Final = "where lines are missing, run `costledger replicate --repair` on the host of that origin"

_log = logging.getLogger("costledger")


class PartitionsMoved(CostledgerError):
    """Somebody else has read on, or the rows were replaced: what this projector knows is old; begin again."""


class ReplicaWentBack(CostledgerError):
    """The replica is not the one that was read, or no longer: its end was lost, or a copy was put in its place."""

    def __init__(self, address: str, position: int, problem: str) -> None:
        super().__init__(
            f"replica {address} went back in time: the rows come from its lines up to position {position:,}, and "
            f"{problem}; run `costledger replicate --repair` on every host, then replay it beside the rows: "
            "costledger project --rebuild"
        )


class ChainState(NamedTuple):
    """How far a chain is in the rows, and why it does not go on."""

    workflow_id: str
    origin: str
    seq: int
    size: int
    hash: str
    problem: str | None


class Shared(Protocol):
    """Where projectors keep their rows and positions.

    Every method raises HistoryUnavailable when it cannot be used; it is of no more use then.
    """

    def claim(self) -> dict[int, int]:
        """The partitions that are this one's from now on, each with its position.

        As many as its fair share among those that live; what another has is never taken from it.

        Raises:
            PartitionsMoved: the rows were replaced.
        """
        ...

    def alive(self) -> None:
        """Say that this one still works, amid work of many seconds; who says nothing for long loses its partitions."""
        ...

    def furthest(self) -> tuple[int, str | None]:
        """The last position that any projector has read to, and the mark of the line there; 0 and None at first."""
        ...

    def chains(self, workflow_ids: Collection[str]) -> dict[str, dict[str, Head]]:
        """How far the chains of these workflows are, by workflow and origin."""
        ...

    def commit(
        self,
        rows: Sequence[Projected],
        chains: Iterable[ChainState],
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
    """Reads on in its partitions, step by step.

    After any error it is of no more use: what it knows may be ahead of what was stored.

    Attributes:
        lines, workflows_held: what it read so far, and how many workflows' chains do not go on.
        lines_max: of one step.
    """

    def __init__(
        self, replica: Replica, shared: Shared, *, lines_max: int = _LINES_MAX, kept_kilobytes: int = _KEPT_KILOBYTES
    ) -> None:
        self._replica, self._shared = replica, shared
        self.lines_max, self._kept_kilobytes = lines_max, kept_kilobytes
        self._positions: dict[int, int] = {}
        self._furthest: tuple[int, str | None] = (0, None)
        self._claimed_at = float("-inf")
        self._merges: OrderedDict[str, Merge] = OrderedDict()
        self._weights: dict[str, int] = {}
        self._kilobytes = 0
        self._held: dict[str, str] = {}
        self.lines = 0

    @property
    def workflows_held(self) -> int:
        return len(self._held)

    def step(self, wait_seconds: float) -> int:
        """Project the next lines; how many there were.

        Raises:
            HistoryUnavailable, ReplicaUnavailable, PartitionsMoved: begin again with another projector.
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
        """Positions mean something only in what they were read in; its line at the furthest stands for all before."""
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
        self._keep(touched)

    def _load(self, workflow_ids: Collection[str]) -> None:
        """Have the state of each of these workflows at hand."""
        unknown = [name for name in workflow_ids if name not in self._merges]
        stored = self._shared.chains(unknown) if unknown else {}
        for workflow_id in unknown:
            known = stored.get(workflow_id)
            self._merges[workflow_id] = self._read_again(workflow_id, known) if known else Merge(workflow_id)

    def _read_again(self, workflow_id: str, known: Mapping[str, Head]) -> Merge:
        """A workflow's state from all that the replica has of these chains."""
        merge = Merge(workflow_id, keeps_lines=len(known) > 1)
        for origin, head in known.items():
            merge.expect(origin, head)
            for number, line in enumerate(self._replica.chain(workflow_id, origin), 1):
                merge.take(origin, line.raw)
                if number % _LINES_MAX == 0:
                    self._shared.alive()
        return merge

    def _conclude(self, merge: Merge, rows: list[Projected], chains: list[ChainState]) -> None:
        """What is to be stored of a workflow."""
        problems = dict(merge.problems)
        if any(head.seq for head in merge.heads.values()) and not merge.behind:
            try:
                rows.append(merge.projected())
            except CostledgerError as error:
                problems |= dict.fromkeys(merge.heads, str(error))
        for origin, head in merge.heads.items():
            chains.append(ChainState(merge.workflow_id, origin, head.seq, head.size, head.hash, problems.get(origin)))
        self._tell(merge.workflow_id, "; ".join(f"origin {origin}: {why}" for origin, why in sorted(problems.items())))

    def _tell(self, workflow_id: str, problem: str) -> None:
        """Say what holds a workflow, once."""
        if problem and self._held.get(workflow_id) != problem:
            _log.warning("[%s] held: %s; %s", workflow_id, problem, _REPAIR)
        if problem:
            self._held[workflow_id] = problem
        elif self._held.pop(workflow_id, ""):
            _log.warning("[%s] goes on", workflow_id)

    def _keep(self, touched: Iterable[str]) -> None:
        """Keep the state of the workflows that lines came for last, within bounds."""
        for workflow_id in touched:
            merge = self._merges[workflow_id]
            self._merges.move_to_end(workflow_id)
            self._kilobytes += merge.weight - self._weights.get(workflow_id, 0)
            self._weights[workflow_id] = merge.weight
            if merge.behind:
                self._drop(workflow_id)
        while self._kilobytes > self._kept_kilobytes:
            self._drop(next(iter(self._merges)))

    def _drop(self, workflow_id: str) -> None:
        self._merges.pop(workflow_id)
        self._kilobytes -= self._weights.pop(workflow_id, 0)
