"""Group commit: events of many requests for one workflow are appended together, each request gets its own receipts.

While an append of a workflow is under way, events that arrive for it wait for the next append; workflows do not wait
for each other. So requests share a sync.
"""

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

__all__ = ["Appended", "GroupCommit"]

_THREADS: Final = 16
"""Appends under way at once; one that waits for the disk delays no other workflow."""

_EVENTS_MAX: Final = 20_000
"""Events of one append; the rest waits for the next one."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The outcomes of one workflow's events of one request.

    Attributes:
        outcomes: a receipt or an error for each event.
        status: the budget status after them, for JSON.
    """

    outcomes: Sequence[Receipt | CostledgerError]
    status: dict[str, Any]


_Outcome = tuple[Sequence[Receipt | CostledgerError], LedgerStatus | CostledgerError]
"""Receipts and errors, and the budget status after them or why there is none."""


class _Waiting:
    """A request's events of one workflow, and the future of their outcome."""

    def __init__(self, events: Sequence[Event], loop: asyncio.AbstractEventLoop) -> None:
        self.events = events
        self.answer: asyncio.Future[_Outcome] = loop.create_future()


class GroupCommit:
    """The appends of a service, for one event loop.

    Args:
        metrics: record how long each request waits.
    """

    def __init__(self, service: Service, refresher: RowRefresher, statuses: BudgetStatuses, metrics: Metrics) -> None:
        self._service, self._refresher, self._statuses = service, refresher, statuses
        self._seconds = metrics.append_seconds
        self._pool = ThreadPoolExecutor(threads_at_hand(_THREADS), "append")
        self._waiting: dict[str, list[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def append(self, workflow_id: str, events: Sequence[Event]) -> Appended:
        """Append a request's events of one workflow; return after the sync."""
        mine = _Waiting(events, asyncio.get_running_loop())
        waiting = self._waiting.get(workflow_id)
        if waiting is not None:
            waiting.append(mine)
        else:
            self._waiting[workflow_id] = [mine]
            task = asyncio.create_task(self._drain(workflow_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        with self._seconds.time():
            outcomes, status = await asyncio.shield(mine.answer)
        return Appended(outcomes, await self._statuses.as_json(workflow_id, status))

    async def close(self) -> None:
        """Finish the appends of accepted requests."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.shutdown()

    async def _drain(self, workflow_id: str) -> None:
        loop = asyncio.get_running_loop()
        while waiting := self._waiting[workflow_id]:
            group, size = [waiting[0]], len(waiting[0].events)
            for one in waiting[1:]:
                if (size := size + len(one.events)) > _EVENTS_MAX:
                    break
                group.append(one)
            del waiting[: len(group)]
            try:
                answers = await loop.run_in_executor(self._pool, self._append, workflow_id, group)
            except Exception as error:  # a defect of ours: each waiting request must get it
                for one in group:
                    if not one.answer.done():
                        one.answer.set_exception(error)
                continue
            for one, answer in zip(group, answers, strict=True):
                if not one.answer.done():
                    one.answer.set_result(answer)
            self._refresher.wake(workflow_id)
        del self._waiting[workflow_id]

    def _append(self, workflow_id: str, group: Sequence[_Waiting]) -> list[_Outcome]:
        service = self._service
        events = [price_event(service.prices, event) for one in group for event in one.events]
        outcomes = self._outcomes(events)
        if any(isinstance(outcome, DamagedLedger) for outcome in outcomes) and self._accepted(workflow_id):
            service.ledgers.forget(workflow_id)
            outcomes = self._outcomes(events)
        status = self._statuses.after_append(workflow_id)
        answers, at = list[_Outcome](), 0
        for one in group:
            answers.append((outcomes[at : at + len(one.events)], status))
            at += len(one.events)
        return answers

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
