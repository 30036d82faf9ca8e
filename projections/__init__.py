"""What it means: rows, explanations and proofs, all by replay of the ledgers."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from projections.explain import Step, steps
    from projections.folding import State, fold, initial
    from projections.programs.workflow import JoinedWorkflow, WorkflowRun, join, workflow
    from projections.proof import Finding, Proof, verify
    from projections.replay import RefreshReport, refresh, resync
    from projections.store import CostChange, HistoryStore
    from projections.workflow_history import COLUMNS, Row, row
else:
    from ledger.exports import exports as _exports

    __getattr__, __dir__ = _exports(
        __name__,
        {
            "COLUMNS": "workflow_history",
            "CostChange": "store",
            "Finding": "proof",
            "HistoryStore": "store",
            "JoinedWorkflow": "programs.workflow",
            "Proof": "proof",
            "RefreshReport": "replay",
            "Row": "workflow_history",
            "State": "folding",
            "Step": "explain",
            "WorkflowRun": "programs.workflow",
            "fold": "folding",
            "initial": "folding",
            "join": "programs.workflow",
            "refresh": "replay",
            "resync": "replay",
            "row": "workflow_history",
            "steps": "explain",
            "verify": "proof",
            "workflow": "programs.workflow",
        },
    )

__all__ = [
    "COLUMNS",
    "CostChange",
    "Finding",
    "HistoryStore",
    "JoinedWorkflow",
    "Proof",
    "RefreshReport",
    "Row",
    "State",
    "Step",
    "WorkflowRun",
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
