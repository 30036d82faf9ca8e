"""Append-only ledgers of what agents cost."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ledger.capture.litellm import litellm_callback
    from ledger.capture.opentelemetry import span_processor
    from ledger.capture.workflow import Workflow
    from ledger.capture.workflow_run import join, workflow
    from ledger.errors import BudgetExceeded, CostledgerError
    from ledger.events.annotations import workflow_tagged
    from ledger.events.event import (
        Event,
        Line,
        cost_observed,
        event,
        workflow_ended,
        workflow_started,
    )
    from ledger.providers.usage import usage_of
    from ledger.storage.append import Receipt
    from ledger.storage.directory_store import DirectoryStore
    from ledger.storage.line import Head
    from ledger.storage.memory_store import MemoryStore
    from ledger.storage.reader import LedgerReader
    from ledger.storage.store import LedgerStore
else:
    from ledger.lazy_exports import exports as _exports

    __getattr__, __dir__ = _exports(
        __name__,
        {
            "BudgetExceeded": "errors",
            "CostledgerError": "errors",
            "DirectoryStore": "storage.directory_store",
            "Event": "events.event",
            "Head": "storage.line",
            "LedgerReader": "storage.reader",
            "LedgerStore": "storage.store",
            "Line": "events.event",
            "MemoryStore": "storage.memory_store",
            "Receipt": "storage.append",
            "Workflow": "capture.workflow",
            "cost_observed": "events.event",
            "event": "events.event",
            "join": "capture.workflow_run",
            "litellm_callback": "capture.litellm",
            "span_processor": "capture.opentelemetry",
            "usage_of": "providers.usage",
            "workflow": "capture.workflow_run",
            "workflow_ended": "events.event",
            "workflow_started": "events.event",
            "workflow_tagged": "events.annotations",
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
    "workflow_tagged",
]
