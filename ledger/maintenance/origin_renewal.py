"""Renewal: a copied data directory gets an origin of its own, and its ledgers are rewritten for that origin.

Nothing is lost: the new opening line names the old one and the old head, and the same events follow with the same ids,
fields, times and `seq`. So the old file can be derived from the new one, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ledger.errors import CostledgerError, LedgerUnavailable, LockedLedger
from ledger.events.event import Line
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.files import Files, OpenFile, is_fenced, locked_file
from ledger.storage.line import LINE_BYTES_MAX
from ledger.storage.locks import LockTimeout
from ledger.storage.origin import begin_renewal, end_renewal
from ledger.storage.reader import LedgerReader
from ledger.storage.recovery import copy_verified, last_tail
from ledger.storage.rewrite import renewed_opening, replaced, write_renumbered

__all__ = ["Renewal", "renew"]


@dataclass(slots=True)
class Renewal:
    """The result of a renewal.

    Attributes:
        carried: how many ledgers were rewritten now.
        problems: why some ledgers could not be rewritten; those are unchanged.
    """

    origin: str
    carried: int = 0
    problems: dict[str, CostledgerError] = field(default_factory=dict)


def renew(
    store: DirectoryStore, *, files: Files | None = None, progress: Callable[[int, int], None] | None = None
) -> Renewal:
    """Rewrite every ledger for a new origin, or continue an interrupted renewal.

    Agents and folds may continue meanwhile: a checkpoint of an old ledger still proves the new one.

    Args:
        progress: called with the number of ledgers done and of all ledgers.

    Raises:
        LedgerUnavailable: the origin could not be renewed, or the folder could not be listed.
    """
    calls = files or Files()
    done = Renewal(begin_renewal(store.path, calls))
    # A writer reads the origin after it created the file, so this list has every ledger that names the old origin.
    names = list(store.workflow_ids())
    for number, workflow_id in enumerate(names, 1):
        try:
            done.carried += _carried_over(calls, store.ledger_path(workflow_id), workflow_id, done.origin)
        except CostledgerError as error:
            done.problems[workflow_id] = error
        if progress is not None:
            progress(number, len(names))
    if not done.problems:
        end_renewal(store.path, calls)
    return done


def _carried_over(files: Files, path: Path, workflow_id: str, origin: str) -> bool:
    """Give one ledger another origin; return False when it is empty or already has it.

    Raises:
        DamagedLedger: it does not verify; it is unchanged.
        LedgerUnavailable: the file system refused; it is unchanged.
    """
    try:
        while True:
            with locked_file(files, path, writable=True) as file:
                if not is_fenced(files, path):
                    return _carried_over_locked(files, file, path, workflow_id, origin)
                copy_verified(files, file, path, workflow_id)
    except LockTimeout as error:
        raise LockedLedger(path, error) from None
    except OSError as error:
        raise LedgerUnavailable(path, "carry over", error) from error


def _carried_over_locked(files: Files, file: OpenFile, path: Path, workflow_id: str, origin: str) -> bool:
    head = last_tail(files, file, path, workflow_id).head
    if head.seq == 0:
        return False
    opened = _opening(files, file, path, workflow_id)
    if opened["origin"] == origin:
        return False
    reader = LedgerReader(workflow_id, path, lambda at, count: files.read(file, at, count), head.size)
    with replaced(files, file, path) as new:
        write_renumbered(files, new, reader.raw_lines(), renewed_opening(opened, origin, head.hash))
        files.sync(new)
    return True


def _opening(files: Files, file: OpenFile, path: Path, workflow_id: str) -> Line:
    """Return the first line of a ledger, verified.

    Raises:
        DamagedLedger: it does not verify.
    """
    raw = files.read(file, 0, LINE_BYTES_MAX).partition(b"\n")[0] + b"\n"
    first = LedgerReader(workflow_id, path, lambda at, count: raw[at : at + count], len(raw))
    return next(iter(first))
