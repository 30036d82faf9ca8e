"""What happened: events, and the append-only ledgers they are kept in."""

from ledger.errors import CostledgerError
from ledger.events import Event, Line, cost_observed, event, workflow_ended, workflow_started
from ledger.line import Head
from ledger.litellm import litellm_callback
from ledger.otel import span_processor
from ledger.reader import LedgerReader
from ledger.store import DirectoryStore, LedgerStore, MemoryStore
from ledger.tail import Receipt
from ledger.usage import usage_of
from ledger.workflow import Workflow, workflow

__all__ = [
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
    "litellm_callback",
    "span_processor",
    "usage_of",
    "workflow",
    "workflow_ended",
    "workflow_started",
]
