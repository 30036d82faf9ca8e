"""What happened: events, and the append-only ledgers they are kept in."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ledger.errors import BudgetExceeded, CostledgerError
    from ledger.events import Event, Line, cost_observed, event, workflow_ended, workflow_started
    from ledger.line import Head
    from ledger.litellm import litellm_callback
    from ledger.otel import span_processor
    from ledger.reader import LedgerReader
    from ledger.store import DirectoryStore, LedgerStore, MemoryStore
    from ledger.tail import Receipt
    from ledger.usage import usage_of
    from ledger.workflow_runs import join, workflow
    from ledger.workflows import Workflow
else:
    from ledger.exports import exports as _exports

    __getattr__, __dir__ = _exports(
        __name__,
        {
            "BudgetExceeded": "errors",
            "CostledgerError": "errors",
            "DirectoryStore": "store",
            "Event": "events",
            "Head": "line",
            "LedgerReader": "reader",
            "LedgerStore": "store",
            "Line": "events",
            "MemoryStore": "store",
            "Receipt": "tail",
            "Workflow": "workflows",
            "cost_observed": "events",
            "event": "events",
            "join": "workflow_runs",
            "litellm_callback": "litellm",
            "span_processor": "otel",
            "usage_of": "usage",
            "workflow": "workflow_runs",
            "workflow_ended": "events",
            "workflow_started": "events",
        },
    )

__all__ = [
    "BudgetExceeded",
    "CostledgerError",
    "DirectoryStore",
    "Event",
    "Head",
    "LedgerReader",
    "LedgerStore",
    "Line",
    "MemoryStore",
    "Receipt",
    "Workflow",
    "cost_observed",
    "event",
    "join",
    "litellm_callback",
    "span_processor",
    "usage_of",
    "workflow",
    "workflow_ended",
    "workflow_started",
]
