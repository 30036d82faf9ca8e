"""Every error this project raises, each building its own sentence.

A sentence says what is wrong, where, and what to do next.

    CostledgerError
    ├── InvalidInput             the caller asked for something that cannot be
    │   ├── InvalidMoney
    │   ├── InvalidWorkflowId
    │   ├── InvalidEvent
    │   ├── InvalidAnchor
    │   ├── InvalidReplica
    │   ├── AmbiguousWorkflow    several workflows fit what was given for an id
    │   ├── SharedHistory        rows that projectors write are not made from local ledgers
    │   └── InvalidConfig        costledger.toml says what cannot be
    ├── UnknownWorkflow          no ledger, or no row, by that id
    ├── BudgetExceeded           a reading took a workflow over its budget
    ├── UnknownModel             no price for it
    ├── NothingToSalvage         the ledger is whole
    ├── NothingVerifies          no event of a damaged ledger can be kept
    ├── ConflictingEvent         this id is already in the ledger with other content
    ├── LedgerMoved              expected_seq is not the ledger's head any more
    ├── LedgerUnavailable        the operating system refused to open, lock, read or write
    │   ├── LockedLedger         another process does not release its lock
    │   └── DurabilityUnknown    the disk did not confirm; there is no receipt
    ├── LedgersElsewhere         a row of several origins' ledgers, of which not all are here
    ├── MisplacedOrigin          the data directory may be one of two of the same origin
    │   └── RenewalUnfinished    it is being given a new one
    ├── DamagedLedger            bytes that no append of ours can have left
    │   └── ReplacedLedger       it does not hold what was read from it before
    ├── StrayFile                something among the ledgers that is none
    ├── OddLine                  a line that verifies and is no event of ours
    ├── UnstorableRow            what a ledger adds up to is more than a row can hold
    ├── SourceUnreadable         a file or folder that an import was pointed at
    ├── HistoryUnavailable       the history database cannot be used
    │   └── HistoryUnwritable    nothing can be written where it lies
    ├── ReplicaUnavailable       the shared engine cannot be reached, or refuses everything
    ├── ReplicaRefused           it refuses these lines, and takes others
    ├── ReplicaDiffers           the shared engine is not set up as it must be
    ├── Diverged                 a ledger and its chain in the shared engine have parted
    │   └── BrokenChain          a message there that is no line of the chain that it stands in
    └── MissingExtra             an optional package is not installed
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Final

__all__ = [
    "NOT_OURS",
    "AmbiguousWorkflow",
    "BrokenChain",
    "BudgetExceeded",
    "ConflictingEvent",
    "CostledgerError",
    "DamagedLedger",
    "Diverged",
    "DurabilityUnknown",
    "HistoryUnavailable",
    "HistoryUnwritable",
    "InvalidAnchor",
    "InvalidConfig",
    "InvalidEvent",
    "InvalidInput",
    "InvalidMoney",
    "InvalidReplica",
    "InvalidWorkflowId",
    "LedgerMoved",
    "LedgerUnavailable",
    "LedgersElsewhere",
    "LockedLedger",
    "MisplacedOrigin",
    "MissingExtra",
    "NothingToSalvage",
    "NothingVerifies",
    "OddLine",
    "RenewalUnfinished",
    "ReplacedLedger",
    "ReplicaDiffers",
    "ReplicaRefused",
    "ReplicaUnavailable",
    "SharedHistory",
    "SourceUnreadable",
    "StrayFile",
    "UnknownModel",
    "UnknownWorkflow",
    "UnstorableRow",
]

_SHOWN_CHARACTERS = 60


def shown(value: object) -> str:
    """A value as it may stand in a sentence: printable, never long, and no word of Python's for what is JSON."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str) and value.isprintable():
        text = repr(value)
    else:
        text = str(value) if isinstance(value, Decimal) else ascii(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def readable(path: str | Path) -> str:
    """A path as text; bytes that are no text, and control characters, become "\ufffd"."""
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


_TOO_FEW: Final = {
    errno.EMFILE: "this process has as many files open as it may: raise that with `ulimit -n 1024` (of a systemd unit: "
    "LimitNOFILE=) and run this again",
    errno.ENFILE: "the programs of this machine have as many files open as they may together: end some, or raise "
    "fs.file-max (sysctl), and run this again",
}
"""What to do when the operating system has no file descriptor left."""


def is_shortage(error: BaseException) -> bool:
    """Return whether an error says that there are too few file descriptors, which says nothing about any file."""
    return isinstance(error, OSError) and error.errno in _TOO_FEW


def reason(error: OSError) -> str:
    """Return why the operating system refused, and what to do where no file is the cause."""
    refused = error.strerror or str(error)
    return f"{refused}: {_TOO_FEW[error.errno]}" if error.errno in _TOO_FEW else refused


class CostledgerError(Exception):
    """The root: whoever catches this catches all of ours and nothing else."""

    http_status: ClassVar[int] = 503
    """What a server answers with: by default that it cannot do this now."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets it as it is; `__init__`, which builds the sentence, is not run again."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class InvalidInput(CostledgerError):
    """The caller asked for something that cannot be; nothing was written."""

    http_status = 422


class InvalidMoney(InvalidInput):
    """An amount that is not a non-negative, finite number of US dollars."""

    def __init__(self, value: object, problem: str) -> None:
        super().__init__(f"{shown(value)} is not an amount in USD: {problem}")


class InvalidWorkflowId(InvalidInput):
    """A workflow id that could not safely become a file name."""

    def __init__(self, value: object) -> None:
        problem = "there is no workflow id" if value is None else f"{shown(value)} is not a workflow id"
        super().__init__(f"{problem}: use 1 to 128 letters, digits, '_', '-' or '.', not starting with '.'")


class InvalidEvent(InvalidInput):
    """An event whose field is missing, of the wrong kind or out of range."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        super().__init__(f"field {field!r}: {problem}")


class InvalidAnchor(InvalidInput):
    """A text that holds no anchor; `line` counts from 1, 0 means that there is none at all."""

    def __init__(self, line: int) -> None:
        where = f"line {line} is" if line else "there is"
        super().__init__(f"{where} no anchor: expected the line that `costledger anchor` printed")


PERCENT_ENCODE: Final = (
    "in a user name or password write @ as %40, : as %3A, / as %2F, # as %23, ? as %3F, comma as %2C"
)


class InvalidReplica(InvalidInput):
    """A name by which no replica can be reached."""

    def __init__(self, name: str, *, has_user: bool = False) -> None:
        hint = f"; {PERCENT_ENCODE}" if has_user else ""
        super().__init__(f"{name!r} names no replica: expected nats://HOST:PORT, several separated by commas{hint}")


class InvalidConfig(InvalidInput):
    """A configuration file that cannot be used; each problem has its line, from 1, where there is one."""

    def __init__(self, file: Path, problems: Sequence[tuple[int | None, str]]) -> None:
        self.file, self.problems = file, tuple(problems)
        told = [f"{file}{'' if line is None else f', line {line}'}: {problem}" for line, problem in problems]
        super().__init__("\n".join(told))


class UnknownWorkflow(CostledgerError):
    """No ledger by that id."""

    http_status = 404

    def __init__(self, workflow_id: str, where: object) -> None:
        self.workflow_id = workflow_id
        super().__init__(f"no workflow {workflow_id!r} in {where}; `costledger history` lists the ones there are")


class AmbiguousWorkflow(InvalidInput):
    """Several workflows fit what was given for an id.

    Args:
        candidates: the first of them, a line each.
        count: how many there are in all.
    """

    def __init__(self, given: str, candidates: Sequence[str], count: int) -> None:
        self.given, self.candidates, self.count = given, tuple(candidates), count
        more = count - len(candidates)
        lines = [*candidates, *([f"… and {more:,} more"] if more > 0 else [])]
        listed = "".join(f"\n  {line}" for line in lines)
        super().__init__(f"{shown(given)} fits {count:,} workflows; give more of the id of the one you mean:{listed}")


class BudgetExceeded(CostledgerError):
    """A workflow is over its budget; the reading that was appended is in its ledger.

    Attributes:
        cost_usd: what it cost by its ledger, at least.
        budget_usd: what it may cost.
    """

    http_status = 409

    def __init__(self, workflow_id: str, cost_usd: Decimal, budget_usd: Decimal, standing: str) -> None:
        self.workflow_id, self.cost_usd, self.budget_usd = workflow_id, cost_usd, budget_usd
        super().__init__(f"workflow {workflow_id!r} is over its budget: {standing}; its last reading is in the ledger")


class UnknownModel(CostledgerError):
    """No price for a model, served that way, at that moment."""

    def __init__(self, model: str, near: Sequence[str], service_tier: str | None = None) -> None:
        self.model, self.near = model, tuple(near)
        served = "" if service_tier is None else f" served as {shown(service_tier)}"
        alike = f"; similar names that have one: {', '.join(near)}" if near else ""
        super().__init__(
            f"no price for model {shown(model)}{served}{alike}; give it rates under [[prices]] in costledger.toml "
            "(docs/prices.md), then `costledger reprice`"
        )


class NothingToSalvage(CostledgerError):
    """The ledger is whole."""

    http_status = 409

    def __init__(self, workflow_id: str) -> None:
        super().__init__(f"every line of ledger {workflow_id!r} verifies; there is nothing to salvage")


class NothingVerifies(CostledgerError):
    """A salvage would keep no event at all."""

    http_status = 409

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"no event in {path} verifies, so nothing was replaced: restore the file from a backup; without one, move "
            "it away, and let the agents say their events again"
        )


class ConflictingEvent(CostledgerError):
    """The id is in the ledger already, with other content; nothing was appended."""

    http_status = 409

    def __init__(self, workflow_id: str, event_id: str, seq: int, fields: Sequence[str]) -> None:
        self.workflow_id, self.event_id, self.seq, self.fields = workflow_id, event_id, seq, tuple(fields)
        super().__init__(
            f"event id {shown(event_id)} is already in ledger {workflow_id!r} at seq {seq} with another "
            f"{', '.join(fields)}; an event never changes: append the new observation under a new id"
        )


class LedgerMoved(CostledgerError):
    """The ledger is not where the caller planned against; plan again."""

    http_status = 409

    def __init__(self, workflow_id: str, expected_seq: int, actual_seq: int) -> None:
        self.workflow_id, self.expected_seq, self.actual_seq = workflow_id, expected_seq, actual_seq
        super().__init__(
            f"ledger {workflow_id!r} is at seq {actual_seq}, not at {expected_seq} as expected; read it and plan again"
        )


class LedgerUnavailable(CostledgerError):
    """The operating system refused; nothing was acknowledged."""

    def __init__(self, path: Path, doing: str, error: OSError) -> None:
        self.path, self.error = path, error
        super().__init__(f"could not {doing} {path}: {reason(error)}; nothing was acknowledged")


class LockedLedger(LedgerUnavailable):
    """Another process does not release the lock of a ledger; nothing was acknowledged, other ledgers go on.

    Attributes:
        problem: which process, and for how long.
    """

    next_step: ClassVar[str] = "let that process go on (kill -CONT), or end it, and run this again"

    def __init__(self, path: Path, error: OSError) -> None:
        self.path, self.error, self.problem = path, error, error.strerror or str(error)
        CostledgerError.__init__(self, f"{path} is locked: {self.problem}; nothing was acknowledged: {self.next_step}")


class DurabilityUnknown(LedgerUnavailable):
    """A sync failed: the bytes may or may not be on the disk, so there is no receipt."""

    def __init__(self, path: Path, error: OSError) -> None:
        CostledgerError.__init__(
            self,
            f"the disk did not confirm {path}: {reason(error)}; no receipt was given and the ledger is "
            "fenced: check the disk, then append again with the same id (the next append copies the verified "
            "events to a new file first)",
        )
        self.path, self.error = path, error


class DamagedLedger(CostledgerError):
    """Bytes that no append of ours can have left: reading stops there, other ledgers go on.

    A writer looks at the last two lines alone, so above sound ones it goes on appending.

    Args:
        path: the ledger file.
        line: 1-based number of the first bad line; the expected `seq` of that line.
        byte: offset of that line's first byte.
        problem: what does not fit.
    """

    http_status = 409

    def __init__(self, path: Path, line: int, byte: int, problem: str) -> None:
        self.path, self.line, self.byte, self.problem = path, line, byte, problem
        super().__init__(
            f"{path}, line {line} (byte {byte}): {problem}; nothing behind it is read until it is mended: "
            f"`costledger salvage -- {path.stem}` keeps every line that verifies; salvage before restoring a backup, "
            "which lacks what was appended since"
        )


class ReplacedLedger(DamagedLedger):
    """A ledger that was cut, restored or salvaged below what a row was folded from; by itself it may verify."""

    def __init__(self, path: Path, line: int, byte: int, problem: str) -> None:
        super().__init__(path, line, byte, problem)
        self.args = (
            f"{path}, line {line} (byte {byte}): {problem}; what was read from it before was kept: restore it, or "
            f"accept what stands there: costledger resync --force -- {path.stem}",
        )


class StrayFile(CostledgerError):
    """Something in the folder of the ledgers that is named as one and is none; ledgers are read without it."""

    http_status = 409

    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{readable(path)} is no ledger: {problem}; {MOVE_AWAY}")


MOVE_AWAY: Final = "move it out of the folder: ledgers are read without it"


class OddLine(CostledgerError):
    """A line that verifies, and holds in one of our fields what no append of ours can have put there."""

    http_status = 409

    def __init__(self, line: Mapping[str, Any]) -> None:
        super().__init__(
            f"ledger {shown(line.get('workflow_id'))}, seq {shown(line.get('seq'))}: verifies, and is no event of "
            "ours; other workflows go on: move this ledger out of the folder, or restore it from a backup"
        )


NOT_OURS: Final = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
"""What reading a line raises whose chain verifies and whose fields are of other kinds than ours."""


class UnstorableRow(CostledgerError):
    """A workflow whose figures no database column holds; its row stays as it was, other workflows go on."""

    http_status = 409

    def __init__(self, workflow_id: str, problem: str) -> None:
        super().__init__(
            f"the row of {workflow_id!r} cannot be stored: {problem}; it stays as it was, and other workflows go on: "
            f"costledger explain -- {workflow_id} names the events"
        )


class MisplacedOrigin(CostledgerError):
    """What a data directory appends cannot be told from what another one does.

    Attributes:
        problem: why.
        next_step: what to do about it.
    """

    def __init__(self, data: Path, problem: str, next_step: str) -> None:
        self.problem, self.next_step = f"{data.absolute()} {problem}", next_step
        super().__init__(f"{self.problem}; {self.next_step}")


class RenewalUnfinished(MisplacedOrigin):
    """A new origin is being given to a data directory, or that was interrupted."""


class SourceUnreadable(CostledgerError):
    """A file or folder that an import was pointed at cannot be used."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{readable(path)}: {problem}")


class ImportBusy(SourceUnreadable):
    """Another import of the same data directory is running."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "another import of this data directory is running; try again when it has ended")


class HistoryUnavailable(CostledgerError):
    """The history database cannot be used; the ledgers are untouched."""

    def __init__(self, where: object, problem: str) -> None:
        super().__init__(f"history {where}: {problem}")


class HistoryUnwritable(HistoryUnavailable):
    """Rows cannot be stored: the file system is read-only, full, or somebody else's."""

    def __init__(self, where: object, cause: str) -> None:
        super().__init__(
            f"{where}", f"rows cannot be stored: {cause}; make room there, or make it writable, and run this again"
        )


class HistoryReplaced(HistoryUnavailable):
    """The file of rows in use is gone or damaged, or another one lies in its place."""

    def __init__(self) -> None:
        super().__init__(
            "in use", "its file was deleted, replaced or damaged; its rows are being replayed from the ledgers"
        )


class ReplicaUnavailable(CostledgerError):
    """The shared engine cannot be reached, or refuses; the ledgers are untouched, and go on without it."""

    def __init__(self, where: str, problem: str) -> None:
        self.problem = problem
        super().__init__(f"replica {where}: {problem}")


class ReplicaRefused(CostledgerError):
    """The shared engine refuses lines of one ledger; others go on."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"replica {where}: {problem}; raise max_payload of the servers, or max_msg_size of the stream")


class ReplicaDiffers(CostledgerError):
    """The shared engine holds a stream that is not set up as it must be; it was left as it is."""

    def __init__(self, where: str, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        super().__init__(f"replica {where}: {'; '.join(differences)}; see docs/scale.md about setting it up")


class Diverged(CostledgerError):
    """A ledger holds another line than its chain, or ends before it; that workflow waits, others go on."""

    next_step = (
        "ledger and replica have parted: if this data directory was restored or a ledger salvaged, "
        "`costledger origin --renew` gives it chains of its own"
    )

    def __init__(self, workflow_id: str, origin: str, seq: int, problem: str) -> None:
        self.workflow_id, self.origin, self.seq, self.problem = workflow_id, origin, seq, problem
        super().__init__(f"ledger {workflow_id!r} of origin {origin}, seq {seq}: {problem}; {self.next_step}")


class BrokenChain(Diverged):
    """A message where a line of a chain is due, and it does not extend it; that workflow waits, others go on."""

    next_step = "`costledger replicate --repair` on the host of that origin sends its lines again, behind that message"


class SharedHistory(InvalidInput):
    """Rows that projectors write, from many hosts' ledgers, and a command that knows only the local ones."""

    http_status = 409

    def __init__(self) -> None:
        super().__init__(
            "projectors write this history, from many hosts' ledgers: see `costledger project --status`, "
            "`costledger verify --shared` to prove it, and `costledger project --rebuild` to replay it"
        )


class LedgersElsewhere(CostledgerError):
    """A row that projectors folded, and a question that only all of its lines answer."""

    http_status = 409

    def __init__(self, workflow_id: str, events: int, here: int, origins: int) -> None:
        holds = f"this data directory's ledger has {here:,}" if here else "this data directory has no ledger of it"
        super().__init__(
            f"the row of workflow {workflow_id!r} is folded from {events:,} events of "
            f"{origins:,} origin{'' if origins == 1 else 's'}, and {holds}: all of them are in the shared engine, so "
            "name that, to this command or to `costledger serve`: --from nats://HOST:PORT, or COSTLEDGER_REPLICA"
        )


class MissingExtra(CostledgerError):
    """An optional package is not installed."""

    http_status = 501

    def __init__(self, what: str, extra: str) -> None:
        from ledger.installation import extra_hint  # here: most programs never need it

        super().__init__(f"{what} needs an optional package: {extra_hint(extra)}")
