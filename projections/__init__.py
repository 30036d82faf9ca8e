"""What it means: rows, explanations and proofs, all by replay of the ledgers."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from projections.folding.explain import Step, steps
    from projections.folding.fold import State, fold, initial
    from projections.folding.row import COLUMNS, Row, row
    from projections.history.store import CostChange, HistoryStore
    from projections.programs.workflow import BudgetExceeded, JoinedWithCost, RunWithCost, join, workflow
    from projections.replay.refresh import RefreshReport, refresh, resync
    from projections.replay.verify import Finding, Proof, verify
else:
    from ledger.lazy_exports import exports as _exports

    __getattr__, __dir__ = _exports(
        __name__,
        {
            "BudgetExceeded": "programs.workflow",
            "COLUMNS": "folding.row",
            "CostChange": "history.store",
            "Finding": "replay.verify",
            "HistoryStore": "history.store",
            "JoinedWithCost": "programs.workflow",
            "Proof": "replay.verify",
            "RefreshReport": "replay.refresh",
            "Row": "folding.row",
            "RunWithCost": "programs.workflow",
            "State": "folding.fold",
            "Step": "folding.explain",
            "fold": "folding.fold",
            "initial": "folding.fold",
            "join": "programs.workflow",
            "refresh": "replay.refresh",
            "resync": "replay.refresh",
            "row": "folding.row",
            "steps": "folding.explain",
            "verify": "replay.verify",
            "workflow": "programs.workflow",
        },
    )

__all__ = [  # noqa: RUF022 - in the order of `sorted`
    "BudgetExceeded",
    "COLUMNS",
    "CostChange",
    "Finding",
    "HistoryStore",
    "JoinedWithCost",
    "Proof",
    "RefreshReport",
    "Row",
    "RunWithCost",
    "State",
    "Step",
    "fold",
    "initial",
    "join",
    "refresh",
    "resync",
    "row",
    "steps",
    "verify",
    "workflow",
]
