"""Every error that the ledgers raise, each with its sentence: what is wrong, where, and what to do next.

    CostledgerError
    ├── InvalidInput             the caller asked for something that is not possible
    │   ├── InvalidMoney
    │   ├── InvalidWorkflowId
    │   ├── InvalidEvent
    │   ├── InvalidAnchor
    │   ├── InvalidReplica
    │   ├── InvalidConfig        costledger.toml is not valid
    │   ├── AmbiguousWorkflow    several workflows match a part of an id
    │   └── SharedHistory        rows that projectors write are not made from local ledgers
    ├── UnknownWorkflow          there is no ledger, or no row, with this id
    ├── BudgetExceeded           a reading took a workflow over its budget
    ├── UnknownModel             there is no price for a model
    ├── NothingToSalvage         the ledger is not damaged
    ├── NothingVerifies          no event of a damaged ledger can be recovered
    ├── ConflictingEvent         the id is already in the ledger with other content
    ├── LedgerMoved              the ledger is not at expected_seq any more
    ├── LedgerUnavailable        the operating system refused to open, lock, read or write
    │   ├── LockedLedger         another process does not release its lock
    │   └── DurabilityUnknown    the disk did not confirm; there is no receipt
    ├── DamagedLedger            bytes that no append can have written
    │   └── ReplacedLedger       the ledger does not extend what was read from it before
    ├── StrayFile                a file among the ledgers that is not a ledger
    ├── OddLine                  a line that verifies and is not a valid event
    ├── MisplacedOrigin          another data directory may append under the same origin
    │   └── RenewalUnfinished    the data directory is getting a new origin
    ├── SourceUnreadable         a file or folder cannot be imported
    │   ├── NoLogs               a folder holds no log of the kind asked for
    │   └── ImportBusy           another import of the data directory is running
    ├── UnstorableRow            the figures of a ledger do not fit a row
    ├── LedgersElsewhere         a row of ledgers of several origins, which are not all here
    ├── HistoryUnavailable       the history database cannot be used
    │   ├── HistoryUnwritable    rows cannot be stored
    │   └── HistoryReplaced      the database file in use is gone, or another one is there
    ├── ReplicaUnavailable       the shared engine cannot be reached, or refuses everything
    ├── ReplicaRefused           the shared engine refuses lines of one ledger
    ├── ReplicaDiffers           the shared engine is not set up as required
    ├── Diverged                 a ledger and its chain in the shared engine differ
    │   └── BrokenChain          a message in the shared engine that does not extend its chain
    └── MissingExtra             an optional package is not installed

Programs of a higher layer define further subclasses of `CostledgerError` where they raise them.
"""

from __future__ import annotations

from ledger.errors.base import CostledgerError, InvalidInput, MissingExtra
from ledger.errors.inputs import (
    PERCENT_ENCODE,
    AmbiguousWorkflow,
    BudgetExceeded,
    ImportBusy,
    InvalidAnchor,
    InvalidConfig,
    InvalidEvent,
    InvalidMoney,
    InvalidReplica,
    InvalidWorkflowId,
    NoLogs,
    SourceUnreadable,
    UnknownModel,
    UnknownWorkflow,
)
from ledger.errors.ledgers import (
    MOVE_AWAY,
    NOT_OURS,
    ConflictingEvent,
    DamagedLedger,
    DurabilityUnknown,
    LedgerMoved,
    LedgerUnavailable,
    LockedLedger,
    MisplacedOrigin,
    NothingToSalvage,
    NothingVerifies,
    OddLine,
    RenewalUnfinished,
    ReplacedLedger,
    StrayFile,
)
from ledger.errors.replicas import BrokenChain, Diverged, ReplicaDiffers, ReplicaRefused, ReplicaUnavailable
from ledger.errors.rows import (
    HistoryReplaced,
    HistoryUnavailable,
    HistoryUnwritable,
    LedgersElsewhere,
    SharedHistory,
    UnstorableRow,
)
from ledger.errors.sentences import is_shortage, readable, reason, shown

__all__ = [
    "MOVE_AWAY",
    "NOT_OURS",
    "PERCENT_ENCODE",
    "AmbiguousWorkflow",
    "BrokenChain",
    "BudgetExceeded",
    "ConflictingEvent",
    "CostledgerError",
    "DamagedLedger",
    "Diverged",
    "DurabilityUnknown",
    "HistoryReplaced",
    "HistoryUnavailable",
    "HistoryUnwritable",
    "ImportBusy",
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
    "NoLogs",
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
    "is_shortage",
    "readable",
    "reason",
    "shown",
]
