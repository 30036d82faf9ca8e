"""Restore: the ledgers of a lost host, byte for byte, from what it replicated."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.errors import CostledgerError, DamagedLedger, InvalidInput, LedgerUnavailable
from ledger.events import timestamps as clocks
from ledger.events.timestamps import Clock
from ledger.replication.chain import Chain
from ledger.replication.cursor import Cursor, cursor_path
from ledger.replication.replica import Replica, ReplicatedLine
from ledger.replication.sender import ReplicationProblem
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.files import Files, write_all
from ledger.storage.origin import origin_of, take_origin
from ledger.text import counted

__all__ = ["Restored", "origins", "restore"]

_LINES_PER_WRITE: Final = 5000


@dataclass(slots=True)
class Restored:
    """The result of a restore.

    Attributes:
        problems: ledgers of which the replica lacks lines: they were restored up to the first missing one.
    """

    origin: str
    ledgers: int = 0
    events: int = 0
    size_bytes: int = 0
    problems: list[ReplicationProblem] = field(default_factory=list)


@dataclass(slots=True)
class _Restoring:
    chain: Chain
    due: list[bytes] = field(default_factory=list)
    seq_max: int = 0
    last_hash: str = ""
    count: int = 0
    error: CostledgerError | None = None


def origins(replica: Replica) -> dict[str, int]:
    """Return the origins of a replica's ledgers, and the number of ledgers of each.

    Raises:
        ReplicaUnavailable: it cannot be reached.
    """
    found: dict[str, int] = {}
    for head, _ in replica.heads():
        found[head.origin] = found.get(head.origin, 0) + 1
    return found


def restore(
    replica: Replica,
    data: Path,
    *,
    origin: str | None = None,
    clock: Clock = clocks.now,
    progress: Callable[[int, int], None] | None = None,
    files: Files | None = None,
) -> Restored:
    """Write all ledgers of one origin into a data directory that has none; it takes over that origin.

    They appear all at once, when all are written and synced; after an interruption, restore again.

    Args:
        origin: which one; None: the only one.
        progress: called with lines done and in all.

    Raises:
        InvalidInput: the data directory has ledgers or another origin, or the replica has several origins, or none,
            or not that one; nothing was written.
        ReplicaUnavailable: the replica cannot be read; no ledger was restored.
        LedgerUnavailable: the file system refused; no ledger was restored.
    """
    calls, chosen = files or Files(), _chosen(origins(replica), origin)
    _check_empty(data, chosen)
    try:
        new = data / "restoring"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        chains = _written(replica, chosen, new, calls, progress)
        _move(new, data, chosen, calls)
    except OSError as error:
        raise LedgerUnavailable(data, "restore into", error) from error
    _store_cursor(replica, data, chosen, chains, clocks.to_wire(clock()))
    return _restored(chosen, data, chains)


def _restored(origin: str, data: Path, chains: dict[str, _Restoring]) -> Restored:
    heads = [one.chain.head for one in chains.values()]
    problems = [(workflow_id, one.error or _gap(one, data)) for workflow_id, one in chains.items()]
    return Restored(
        origin,
        ledgers=sum(head.seq > 0 for head in heads),
        events=sum(head.seq for head in heads),
        size_bytes=sum(head.size for head in heads),
        problems=[ReplicationProblem(name, problem) for name, problem in problems if problem is not None],
    )


def _chosen(counts: dict[str, int], origin: str | None) -> str:
    """Return the origin to restore.

    Raises:
        InvalidInput: the replica does not have it, or has several and none was named.
    """
    if not counts:
        raise InvalidInput("the replica has no ledgers")
    shown = ", ".join(f"{name} ({counted(count, 'ledger')})" for name, count in sorted(counts.items()))
    if origin is not None and origin not in counts:
        raise InvalidInput(f"the replica has no ledgers of origin {origin!r}; it has: {shown}")
    if origin is None and len(counts) > 1:
        raise InvalidInput(f"the replica has ledgers of several origins; name one with --origin: {shown}")
    return origin or next(iter(counts))


def _check_empty(data: Path, origin: str) -> None:
    if next(DirectoryStore(data).workflow_ids(), None) is not None:
        raise InvalidInput(f"{data} has ledgers already; restore into an empty data directory")
    found = origin_of(data)
    if found is not None and found.id != origin:
        raise InvalidInput(f"{data} is of origin {found.id}, not of {origin}; restore into an empty data directory")


def _written(
    replica: Replica, origin: str, folder: Path, files: Files, progress: Callable[[int, int], None] | None
) -> dict[str, _Restoring]:
    """Write every chain of an origin into a file of this folder; return the chains."""
    chains: dict[str, _Restoring] = {}
    total = sum(count for _, count in replica.heads(origin)) if progress is not None else 0
    for number, line in enumerate(replica.lines(origin), 1):
        one = chains.get(line.workflow_id)
        if one is None:
            one = chains[line.workflow_id] = _Restoring(Chain(line.workflow_id, origin))
        _take(one, line)
        if number % _LINES_PER_WRITE == 0:
            _flush(chains, folder, files)
            if progress is not None:
                progress(number, total)
    _flush(chains, folder, files)
    for workflow_id, one in chains.items():
        if one.chain.head.seq:
            files.sync(files.open_read(folder / f"{workflow_id}.jsonl"))
    return chains


def _take(one: _Restoring, line: ReplicatedLine) -> None:
    """Add a line; a correct repetition of a bad line clears its error."""
    head = line.head
    one.last_hash, one.seq_max = head.hash, max(one.seq_max, head.seq)
    one.count += 1
    try:
        if one.chain.take(line.raw) == "next":
            one.due.append(line.raw)
            one.error = None
    except CostledgerError as error:
        one.error = error


def _flush(chains: dict[str, _Restoring], folder: Path, files: Files) -> None:
    for workflow_id, one in chains.items():
        if one.due:
            data = b"".join(one.due)
            write_all(files, files.open_append(folder / f"{workflow_id}.jsonl"), data)
            one.due = []


def _gap(one: _Restoring, data: Path) -> CostledgerError | None:
    head = one.chain.head
    if one.seq_max <= head.seq:
        return None
    path = DirectoryStore(data).ledger_path(one.chain.workflow_id)
    lost = f"the replica lacks lines from here on, and has some up to seq {one.seq_max}"
    return DamagedLedger(path, head.seq + 1, head.size, lost)


def _move(new: Path, data: Path, origin: str, files: Files) -> None:
    files.sync_directory(new)
    take_origin(data, origin, files)
    ledgers = data / "ledgers"
    if ledgers.is_dir():
        ledgers.rmdir()  # empty, or else this is refused
    os.replace(new, ledgers)
    files.sync_directory(data)


def _store_cursor(replica: Replica, data: Path, origin: str, chains: dict[str, _Restoring], moment: str) -> None:
    """Store where each chain ends, so that the next replication need not ask for it."""
    cursor = Cursor(cursor_path(data), replica.identity, origin, replica.address)
    whole = {name: one for name, one in chains.items() if one.last_hash == one.chain.head.hash}
    cursor.repeats |= {name: one.count - one.chain.head.seq for name, one in whole.items()}
    cursor.acknowledge({name: one.chain.head for name, one in whole.items()}, moment)
    cursor.close()
