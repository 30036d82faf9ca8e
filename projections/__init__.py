"""What it means: rows, explanations and proofs, all by replay of the ledgers."""

from projections.explain import Step, steps
from projections.fold import State, fold, initial
from projections.replay import RefreshReport, refresh, resync
from projections.store import CostChange, HistoryStore
from projections.verify import Finding, Proof, verify
from projections.workflow_history import COLUMNS, Row, row

__all__ = [
    "COLUMNS",
    "CostChange",
    "Finding",
    "HistoryStore",
    "Proof",
    "RefreshReport",
    "Row",
    "State",
    "Step",
    "fold",
    "initial",
    "refresh",
    "resync",
    "row",
    "steps",
    "verify",
]
