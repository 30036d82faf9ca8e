"""The comparison of a replica with the ledgers of a data directory, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ledger.errors import CostledgerError
from ledger.replication.chain import Chain
from ledger.replication.cursor import last_replica
from ledger.replication.replica import ChainHead, Replica
from ledger.replication.sender import ReplicationProblem, head_at
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.line import EMPTY
from ledger.storage.origin import origin_of

__all__ = ["Agreement", "disagreements"]


@dataclass(slots=True)
class Agreement:
    """The counts of a comparison; complete once the disagreements have been iterated.

    Attributes:
        ledgers, lines: those that agree, line by line; what was sent again counts once.
        waiting: lines of them that were not sent yet, which is no disagreement.
        differing: ledgers that do not agree.
    """

    ledgers: int = 0
    lines: int = 0
    waiting: int = 0
    differing: int = 0


def disagreements(
    ledgers: DirectoryStore,
    replica: Replica,
    agreement: Agreement,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[ReplicationProblem]:
    """Yield every ledger that its chain does not agree with; every line read is verified.

    Two chains of one origin and workflow that end with the same hash are the same bytes.

    Args:
        agreement: counts what was compared.
        progress: called with ledgers done and in all.

    Raises:
        ReplicaUnavailable, LedgerUnavailable: one of them cannot be read.
    """
    if (at := origin_of(ledgers.path)) is None:
        return
    origin = at.id
    _, acknowledged, _ = last_replica(ledgers.path, origin)
    chains, wrong = _chains(replica, origin)
    names = sorted({*ledgers.workflow_ids(), *chains})
    for done, workflow_id in enumerate(names, 1):
        chain = chains.get(workflow_id, Chain(workflow_id, origin))
        due = acknowledged.get(workflow_id, EMPTY).seq
        try:
            if workflow_id in wrong:
                raise wrong[workflow_id]
            if ledgers.size(workflow_id) is not None or chain.head.seq:
                _compare(ledgers, chain, due, agreement)
        except CostledgerError as error:
            agreement.differing += 1
            yield ReplicationProblem(workflow_id, error)
        if progress is not None:
            progress(done, len(names))


def _chains(replica: Replica, origin: str) -> tuple[dict[str, Chain], dict[str, CostledgerError]]:
    """Return the chains of an origin, and the errors of those that do not verify."""
    chains: dict[str, Chain] = {}
    wrong: dict[str, CostledgerError] = {}
    for line in replica.lines(origin):
        chain = chains.setdefault(line.workflow_id, Chain(line.workflow_id, origin))
        try:
            if chain.take(line.raw) == "next":
                wrong.pop(line.workflow_id, None)
        except CostledgerError as error:
            wrong[line.workflow_id] = error
    return chains, wrong


def _compare(ledgers: DirectoryStore, chain: Chain, due: int, agreement: Agreement) -> None:
    """Compare one ledger with its chain.

    Raises:
        CostledgerError: they do not agree.
    """
    head = chain.head
    start = head_at(ledgers, ChainHead(chain.workflow_id, chain.origin, head.seq, head.hash))
    if head.seq < due:
        raise LinesLost(chain.workflow_id, head.seq + 1, due)
    waiting = sum(len(lines) for lines in ledgers.read(chain.workflow_id, start=start).chunks())
    agreement.ledgers += 1
    agreement.lines += head.seq
    agreement.waiting += waiting


class LinesLost(CostledgerError):
    """A replica lost lines that it had acknowledged."""

    def __init__(self, workflow_id: str, seq: int, acknowledged: int) -> None:
        super().__init__(
            f"the replica lost lines of ledger {workflow_id!r} from seq {seq} on, of {acknowledged:,} that it had "
            "acknowledged: `costledger replicate --repair` sends them again"
        )
