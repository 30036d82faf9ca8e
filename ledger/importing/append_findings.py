"""Appending findings to a ledger: its state, the plan against it, the append."""

from __future__ import annotations

from ledger.errors import UnknownWorkflow
from ledger.events.timestamps import Clock
from ledger.importing.import_plan import ImportPlan
from ledger.importing.ledger_state import LedgerState, state_of
from ledger.importing.planner import plan
from ledger.importing.removed_findings import removed_of, without_removed
from ledger.pricing.price_book import PriceBook
from ledger.sources.findings import Findings
from ledger.storage.append import Receipt
from ledger.storage.planned_append import append_planned
from ledger.storage.store import LedgerStore

__all__ = ["append_findings"]


def append_findings(
    store: LedgerStore,
    workflow_id: str,
    findings: Findings,
    prices: PriceBook,
    clock: Clock,
    status: str | None,
    state: LedgerState | None = None,
) -> tuple[ImportPlan, list[Receipt]]:
    """Append what findings add to a ledger; return the plan and its receipts.

    Args:
        status: see `plan`.
        state: of the ledger, for the first plan, when the caller has it; None: the ledger is read.

    Raises:
        CostledgerError: nothing was appended.
    """
    removed = removed_of(store)
    left, notes = without_removed(findings, workflow_id, removed)
    if removed.has_workflow(workflow_id):
        return ImportPlan(workflow_id, LedgerState(), skipped=notes), []
    given = [] if state is None else [state]

    def make() -> ImportPlan:
        """Plan against the given state first, then against the ledger."""
        current, now = given.pop() if given else _read(store, workflow_id), clock()
        made = plan(workflow_id, left, current, prices, now, status)
        made.limit_moments(now)
        return made

    made, receipts = append_planned(store, make)
    made.skipped += notes
    return made, receipts


def _read(store: LedgerStore, workflow_id: str) -> LedgerState:
    try:
        return state_of(store.read(workflow_id))
    except UnknownWorkflow:
        return LedgerState()
