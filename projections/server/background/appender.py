"""The appender: the events of requests go into their ledgers in threads of its own, each answered after its sync."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from ledger.capture.json_events import append_each
from ledger.errors import CostledgerError, DamagedLedger
from ledger.events.event import Event
from ledger.pricing.price_book import price_event
from ledger.storage.append import Receipt
from projections.server.background.budget_status import BudgetStatuses, LedgerStatus
from projections.server.background.metrics import Metrics
from projections.server.background.row_refresher import RowRefresher
from projections.server.service.descriptors import threads_at_hand
from projections.server.service.service import Service

__all__ = ["Appended", "Appender"]

_THREADS: Final = 16
"""Appends under way at once; one that waits for the disk delays no other workflow."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The outcomes of one workflow's events of one request.

    Attributes:
        outcomes: a receipt or an error for each event.
        status: the budget status after them, for JSON.
    """

    outcomes: Sequence[Receipt | CostledgerError]
    status: dict[str, Any]


class Appender:
    """The appends of a service.

    Args:
        metrics: record how long each request waits.
    """

    def __init__(self, service: Service, refresher: RowRefresher, statuses: BudgetStatuses, metrics: Metrics) -> None:
        self._service, self._refresher, self._statuses = service, refresher, statuses
        self._seconds = metrics.append_seconds
        self._pool = ThreadPoolExecutor(threads_at_hand(_THREADS), "append")

    async def append(self, workflow_id: str, events: Sequence[Event]) -> Appended:
        """Append a request's events of one workflow; return after the sync."""
        loop = asyncio.get_running_loop()
        with self._seconds.time():
            outcomes, status = await loop.run_in_executor(self._pool, self._append, workflow_id, events)
        return Appended(outcomes, await self._statuses.as_json(workflow_id, status))

    def close(self) -> None:
        """Finish the appends of accepted requests."""
        self._pool.shutdown()

    def _append(
        self, workflow_id: str, events: Sequence[Event]
    ) -> tuple[list[Receipt | CostledgerError], LedgerStatus | CostledgerError]:
        priced = [price_event(self._service.prices, event) for event in events]
        outcomes = self._outcomes(priced)
        if any(isinstance(outcome, DamagedLedger) for outcome in outcomes) and self._accepted(workflow_id):
            self._service.ledgers.forget(workflow_id)
            outcomes = self._outcomes(priced)
        self._refresher.wake(workflow_id)
        return outcomes, self._statuses.after_append(workflow_id)

    def _outcomes(self, events: Sequence[Event]) -> list[Receipt | CostledgerError]:
        """Append; where projectors write the rows, a workflow without a ledger here may have one on another host."""
        return list(append_each(self._service.ledgers, events, elsewhere=lambda _: self._refresher.shared))

    def _accepted(self, workflow_id: str) -> bool:
        """Whether the row was folded from the whole ledger as it is now, though this process knew a longer one."""
        ledgers = self._service.ledgers
        try:
            checkpoint = self._statuses.checkpoint(workflow_id)
            if checkpoint is None or checkpoint.size != ledgers.size(workflow_id):
                return False
            return ledgers.read(workflow_id, start=checkpoint).head == checkpoint
        except CostledgerError:
            return False
