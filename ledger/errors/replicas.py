"""Errors of the shared engine."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors.base import CostledgerError


class ReplicaUnavailable(CostledgerError):
    """A shared engine that cannot be reached or refuses everything; the ledgers work without it."""

    def __init__(self, where: str, problem: str) -> None:
        self.problem = problem
        super().__init__(f"replica {where}: {problem}")


class ReplicaRefused(CostledgerError):
    """A shared engine that refuses lines of one ledger; other ledgers still work."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"replica {where}: {problem}; raise max_payload of the servers, or max_msg_size of the stream")


class ReplicaDiffers(CostledgerError):
    """A stream of the shared engine with other settings than required; it was not changed."""

    def __init__(self, where: str, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        super().__init__(f"replica {where}: {'; '.join(differences)}; see docs/scale.md about setting it up")


class Diverged(CostledgerError):
    """A ledger that differs from its chain, or ends before it; replication of other workflows continues."""

    next_step = (
        "ledger and replica have diverged: if this data directory was restored or a ledger salvaged, "
        "`costledger origin --renew` gives it chains of its own"
    )

    def __init__(self, workflow_id: str, origin: str, seq: int, problem: str) -> None:
        self.workflow_id, self.origin, self.seq, self.problem = workflow_id, origin, seq, problem
        super().__init__(f"ledger {workflow_id!r} of origin {origin}, seq {seq}: {problem}; {self.next_step}")


class BrokenChain(Diverged):
    """A message that does not extend its chain; replication of other workflows continues."""

    next_step = "`costledger replicate --repair` on the host of that origin sends its lines again, after that message"
