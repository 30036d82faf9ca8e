"""For programs: workflows that record what they cost, and know it."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from costledger.workflows import JoinedWorkflow, WorkflowRun, join, workflow
    from ledger.errors import BudgetExceeded, CostledgerError
    from ledger.litellm import litellm_callback
    from ledger.otel import span_processor
    from ledger.usage import usage_of
else:
    from ledger.exports import exports as _exports

    __getattr__, __dir__ = _exports(
        __name__,
        {
            "BudgetExceeded": "ledger.errors",
            "CostledgerError": "ledger.errors",
            "JoinedWorkflow": "workflows",
            "WorkflowRun": "workflows",
            "join": "workflows",
            "litellm_callback": "ledger.litellm",
            "span_processor": "ledger.otel",
            "usage_of": "ledger.usage",
            "workflow": "workflows",
        },
    )

__all__ = [
    "BudgetExceeded",
    "CostledgerError",
    "JoinedWorkflow",
    "WorkflowRun",
    "join",
    "litellm_callback",
    "span_processor",
    "usage_of",
    "workflow",
]
