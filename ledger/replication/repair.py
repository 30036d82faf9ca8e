"""Repair: find lines that a replica acknowledged and lost, and have them sent again.

Such engines do lose lines (https://jepsen.io/analyses/nats-2.12.1). Lost at its end, a chain is simply continued. Lost
in the middle, everything from the first lost line on is sent again, after what is there: readers continue where they
were blocked, and skip the lines that they have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.errors import CostledgerError, Diverged, ReplicaUnavailable
from ledger.events import timestamps as clocks
from ledger.replication.cursor import Cursor
from ledger.replication.replica import ChainHead, ChainSegment, Replica
from ledger.replication.sender import Replication, ReplicationProblem, head_at, runs_of
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.line import EMPTY, Head, ending_of, hash_of

__all__ = ["Loss", "Repair", "repair", "unsent"]


@dataclass(frozen=True, slots=True)
class Loss:
    """The lines that a replica had lost of one ledger.

    Attributes:
        seq: of the first line that was missing.
        lines: how many of those that it had acknowledged were missing.
    """

    workflow_id: str
    seq: int
    lines: int


@dataclass(slots=True)
class Repair:
    """The result of a repair; lines that it did not send again itself are sent by the pass that follows it.

    Attributes:
        foreign: ledgers that lost nothing, and whose chain ends with a message that is not their last line.
        lines, size_bytes: sent again already, and acknowledged.
        due: by workflow id, the seq up to which its chain has to be whole after that pass.
    """

    ledgers: int = 0
    losses: list[Loss] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    lines: int = 0
    size_bytes: int = 0
    due: dict[str, int] = field(default_factory=dict)
    problems: list[ReplicationProblem] = field(default_factory=list)


def repair(
    ledgers: DirectoryStore,
    replica: Replica,
    replication: Replication,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Repair:
    """Compare each ledger with its chain: the last line, and how many there are; where they differ, line by line.

    Args:
        progress: called with ledgers done and in all.

    Raises:
        ReplicaUnavailable, ReplicaDiffers: the replica cannot be asked.
    """
    cursor, found = replication.cursor(), Repair()
    if cursor is None:
        return found
    origin = ledgers.origin
    theirs = {head.workflow_id: (head, count) for head, count in replica.heads(origin)}
    names = sorted({*ledgers.workflow_ids(), *theirs})
    for done, workflow_id in enumerate(names, 1):
        head, count = theirs.get(workflow_id) or (ChainHead(workflow_id, origin, 0, ""), 0)
        try:
            if _differs(ledgers, cursor, head, count):
                _mend(ledgers, replica, cursor, head, count, found)
        except ReplicaUnavailable:
            raise
        except CostledgerError as error:
            found.problems.append(ReplicationProblem(workflow_id, error))
        found.ledgers += 1
        if progress is not None:
            progress(done, len(names))
    return found


def _differs(ledgers: DirectoryStore, cursor: Cursor, head: ChainHead, count: int) -> bool:
    """Return whether a chain has another head, or another number of lines, than was acknowledged.

    Raises:
        Diverged: there is no such ledger here.
    """
    if ledgers.size(head.workflow_id) is None:
        if head.seq:
            problem = "the replica has this ledger, and the data directory does not"
            raise Diverged(head.workflow_id, head.origin, 1, problem)
        return False
    acknowledged, repeats = cursor.heads.get(head.workflow_id, EMPTY), cursor.repeats.get(head.workflow_id, 0)
    return (head.seq, head.hash, count - head.seq) != (acknowledged.seq, acknowledged.hash, repeats)


def unsent(found: Repair, replication: Replication) -> list[str]:
    """Return ledgers of which lines were to be sent again, and were not acknowledged by the pass that followed.

    Raises:
        ReplicaUnavailable, ReplicaDiffers: the replica cannot be asked.
    """
    cursor = replication.cursor()
    heads = {} if cursor is None else cursor.heads
    return [workflow_id for workflow_id, seq in found.due.items() if heads.get(workflow_id, EMPTY).seq < seq]


def _mend(
    ledgers: DirectoryStore,
    replica: Replica,
    cursor: Cursor,
    head: ChainHead,
    count: int,
    found: Repair,
) -> None:
    """Find the first missing line of one chain, and repair the chain so far that the next pass completes it."""
    last, whole = head_at(ledgers, head), _whole_up_to(ledgers, replica, head)
    foreign = last.seq < whole.seq
    due = max(last.seq, whole.seq, cursor.heads.get(head.workflow_id, EMPTY).seq)
    acknowledged = cursor.heads.get(head.workflow_id, EMPTY)
    lost = max(acknowledged.seq, last.seq) - whole.seq
    if whole.seq < last.seq:
        lost -= _present_after(ledgers, replica, head, whole)
        lines = next(runs_of(ledgers, head.workflow_id, whole))
        run = ChainSegment(ChainHead(head.workflow_id, head.origin, whole.seq, whole.hash), lines)
        replica.repeat(run)
        found.lines += len(lines)
        found.size_bytes += sum(map(len, lines))
        count += len(lines)
        last = Head(run.last.seq, whole.size + sum(map(len, lines)), run.last.hash)
    if lost > 0:
        found.losses.append(Loss(head.workflow_id, whole.seq + 1, lost))
    elif foreign:
        found.foreign.append(head.workflow_id)
    if lost > 0 or foreign:
        found.due[head.workflow_id] = due
    cursor.repeats[head.workflow_id] = count - last.seq
    cursor.acknowledge({head.workflow_id: last}, clocks.to_wire(clocks.now()))


def _whole_up_to(ledgers: DirectoryStore, replica: Replica, head: ChainHead) -> Head:
    """Return up to where a chain has the ledger's lines without a gap, in the order they are stored."""
    ours = ledgers.read(head.workflow_id).raw_lines()
    whole, due = EMPTY, next(ours, None)
    for line in replica.chain(head.workflow_id, head.origin):
        if due is not None and line.raw == due:
            whole = Head(whole.seq + 1, whole.size + len(due), hash_of(due))
            due = next(ours, None)
    return whole


def _present_after(ledgers: DirectoryStore, replica: Replica, head: ChainHead, whole: Head) -> int:
    """Return how many of the ledger's lines after a position the replica has anywhere."""
    theirs = {ending_of(line.raw) for line in replica.chain(head.workflow_id, head.origin)}
    return sum(ending_of(raw) in theirs for raw in ledgers.read(head.workflow_id, start=whole).raw_lines())
