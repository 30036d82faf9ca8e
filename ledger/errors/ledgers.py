"""Errors of ledgers and data directories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from ledger.errors.base import CostledgerError
from ledger.errors.sentences import readable, reason, shown


class ConflictingEvent(CostledgerError):
    """An id that is already in the ledger with other content; nothing was appended."""

    http_status = 409

    def __init__(self, workflow_id: str, event_id: str, seq: int, fields: Sequence[str]) -> None:
        self.workflow_id, self.event_id, self.seq, self.fields = workflow_id, event_id, seq, tuple(fields)
        super().__init__(
            f"event id {shown(event_id)} is already in ledger {workflow_id!r} at seq {seq} with another "
            f"{', '.join(fields)}; an event never changes: append the new observation under a new id"
        )


class LedgerMoved(CostledgerError):
    """A ledger that has changed since the caller read it."""

    http_status = 409

    def __init__(self, workflow_id: str, expected_seq: int, actual_seq: int) -> None:
        self.workflow_id, self.expected_seq, self.actual_seq = workflow_id, expected_seq, actual_seq
        super().__init__(
            f"ledger {workflow_id!r} is at seq {actual_seq}, not at {expected_seq} as expected; read it and plan again"
        )


_READS: Final = ("list", "look at", "read")


class LedgerUnavailable(CostledgerError):
    """A refusal of the operating system; nothing was acknowledged."""

    def __init__(self, path: Path, doing: str, error: OSError) -> None:
        self.path, self.error = path, error
        end = "" if doing in _READS else "; nothing was acknowledged"
        super().__init__(f"could not {doing} {path}: {reason(error)}{end}")


class LockedLedger(LedgerUnavailable):
    """A ledger that another process has locked for too long; nothing was acknowledged, other ledgers still work.

    Attributes:
        problem: which process, and for how long.
    """

    next_step: ClassVar[str] = "let that process go on (kill -CONT), or end it, and run this again"

    def __init__(self, path: Path, error: OSError) -> None:
        self.path, self.error, self.problem = path, error, error.strerror or str(error)
        CostledgerError.__init__(self, f"{path} is locked: {self.problem}; nothing was acknowledged: {self.next_step}")


class DurabilityUnknown(LedgerUnavailable):
    """A failed sync: the bytes may or may not be on the disk, so there is no receipt."""

    def __init__(self, path: Path, error: OSError) -> None:
        CostledgerError.__init__(
            self,
            f"the disk did not confirm {path}: {reason(error)}; no receipt was given and the ledger is "
            "fenced: check the disk, then append again with the same id (the next append copies the verified "
            "events to a new file first)",
        )
        self.path, self.error = path, error


class DamagedLedger(CostledgerError):
    """Bytes that no append can have written: reading stops there, other ledgers still work.

    A writer checks only the last two lines, so it continues to append when those verify.

    Args:
        path: the ledger file.
        line: 1-based number of the first bad line; the expected `seq` of that line.
        byte: offset of that line's first byte.
        problem: what does not verify.
    """

    http_status = 409

    def __init__(self, path: Path, line: int, byte: int, problem: str) -> None:
        self.path, self.line, self.byte, self.problem = path, line, byte, problem
        super().__init__(
            f"{path}, line {line} (byte {byte}): {problem}; no line after it is read until it is repaired: "
            f"`costledger salvage -- {path.stem}` recovers every line that verifies; salvage before you restore a "
            "backup, which lacks what was appended since"
        )


class ReplacedLedger(DamagedLedger):
    """A ledger that was cut, restored or salvaged below the checkpoint of its row; by itself it may verify."""

    def __init__(self, path: Path, line: int, byte: int, problem: str) -> None:
        super().__init__(path, line, byte, problem)
        self.args = (
            f"{path}, line {line} (byte {byte}): {problem}; what was read from it before is unchanged: restore "
            f"it, or accept it as it is: costledger resync --force -- {path.stem}",
        )


class NothingToSalvage(CostledgerError):
    """A ledger that is not damaged."""

    http_status = 409

    def __init__(self, workflow_id: str) -> None:
        super().__init__(f"every line of ledger {workflow_id!r} verifies; there is nothing to salvage")


class NothingVerifies(CostledgerError):
    """A damaged ledger without an event that verifies."""

    http_status = 409

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"no event in {path} verifies, so nothing was replaced: restore the file from a backup; without one, move "
            "it away, and let the agents append their events again"
        )


MOVE_AWAY: Final = "move it out of the folder: ledgers are read without it"


class StrayFile(CostledgerError):
    """A file in the folder of the ledgers that is named as a ledger and is none; ledgers are read without it."""

    http_status = 409

    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{readable(path)} is no ledger: {problem}; {MOVE_AWAY}")


NOT_OURS: Final = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
"""The errors of a fold that reads a line whose chain verifies and whose fields are of the wrong kind."""


class OddLine(CostledgerError):
    """A line that verifies, with a field value that no append can have written."""

    http_status = 409

    def __init__(self, line: Mapping[str, Any]) -> None:
        super().__init__(
            f"ledger {shown(line.get('workflow_id'))}, seq {shown(line.get('seq'))}: verifies, and is no event of "
            "ours; other workflows go on: move this ledger out of the folder, or restore it from a backup"
        )


class MisplacedOrigin(CostledgerError):
    """A data directory whose origin another data directory may use, too.

    Attributes:
        problem: why.
        next_step: what to do next.
    """

    def __init__(self, data: Path, problem: str, next_step: str) -> None:
        self.problem, self.next_step = f"{data.absolute()} {problem}", next_step
        super().__init__(f"{self.problem}; {self.next_step}")


class RenewalUnfinished(MisplacedOrigin):
    """A renewal of the origin of a data directory that is running or was interrupted."""
