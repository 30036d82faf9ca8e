"""The budget status of a workflow, for the receipts of an append: what is left of the budget, so that agents can stop.

Where projectors write the rows, other hosts' events count, too: the shared row is read, but waited for only briefly,
since the append itself has succeeded.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from ledger.errors import CostledgerError, HistoryUnavailable, ReplacedLedger
from ledger.storage.line import Head
from projections.documents.budgets import budget_document
from projections.documents.types import usd
from projections.folding.cost_words import known_cost
from projections.folding.fold import RUNNING, State
from projections.folding.row import Row
from projections.replay.refresh import ENDED, LedgerVanished
from projections.reports.budgets import BudgetStatus, budget_status, cost_so_far, standing_so_far
from projections.server.background.row_refresher import RowRefresher
from projections.server.http.problems import sentence
from projections.server.service.descriptors import threads_at_hand
from projections.server.service.service import Service

__all__ = ["BudgetStatuses", "LedgerStatus"]

_ROW_SECONDS_MAX: Final = 1.0
_THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class LedgerStatus:
    """The cost and budget of a workflow by the ledger of this data directory.

    Attributes:
        named_nanousd: the budget that a start named here; None without one.
        at_least: some usage has no price or is incomplete, so more than this was spent.
        unpriced: meters whose tokens have no price.
        known: there is a reading.
    """

    cost_nanousd: int
    status: str
    named_nanousd: int | None
    budget: BudgetStatus | None
    at_least: bool
    unpriced: int
    known: bool

    @property
    def known_nanousd(self) -> int | None:
        """The cost; None where it is unknown or unpriced."""
        return known_cost(self.cost_nanousd, unpriced=self.unpriced > 0, at_least=self.at_least, known=self.known)


_UNKNOWN: Final = LedgerStatus(0, RUNNING, None, None, at_least=True, unpriced=0, known=False)
"""Of a ledger that cannot be replayed."""


class BudgetStatuses:
    """The budget statuses of a service's workflows."""

    def __init__(self, service: Service, refresher: RowRefresher) -> None:
        self._service, self._refresher, self._budgets = service, refresher, service.config.budgets
        self._pool = ThreadPoolExecutor(threads_at_hand(_THREADS), "budget_status")

    def after_append(self, workflow_id: str) -> LedgerStatus | CostledgerError:
        """Return the status by this ledger alone, or why it cannot be replayed."""
        service = self._service
        try:
            return service.folds.ask(service.ledgers, workflow_id, self._of_state, checkpoint=self.checkpoint)
        except CostledgerError as error:
            return error

    def _of_state(self, state: State, head: Head) -> LedgerStatus:  # noqa: ARG002
        found = standing_so_far(state, self._budgets)
        if found is None:
            cost, at_least, unpriced = cost_so_far(state)
        else:
            cost, at_least, unpriced = found.spent_nanousd, found.at_least, found.unpriced
        known = state.readings > 0
        return LedgerStatus(cost, state.status, state.budget_nanousd, found, at_least, unpriced, known)

    def checkpoint(self, workflow_id: str) -> Head | None:
        """Return how far the row has read this ledger; None where other hosts' ledgers are in it, too.

        It is asked for only when a ledger was cut or replaced, since it opens the history.
        """
        if self._refresher.shared:
            return None
        try:
            return self._service.history.checkpoints([workflow_id]).get(workflow_id)
        except HistoryUnavailable:
            return None  # the row refresher reports it; the append is done

    async def as_json(self, workflow_id: str, local: LedgerStatus | CostledgerError) -> dict[str, Any]:
        """Return the status for JSON; with what other hosts spent, where the rows have it.

        Args:
            local: an error when the ledger was appended to and cannot be replayed; then the row is used, as it is when
                the ledger has lost lines that the row was folded from.
        """
        shared, problem = self._refresher.shared, self._refresher.state.problems.get(workflow_id)
        if problem is not None and isinstance(problem.error, ReplacedLedger | LedgerVanished):
            local = problem.error  # the row knows more than the ledger
        error, found = (local, _UNKNOWN) if isinstance(local, CostledgerError) else (None, local)
        row = None
        if error is not None or (shared and self._refresher.ready):
            asked = asyncio.get_running_loop().run_in_executor(self._pool, self._row, workflow_id)
            with suppress(CostledgerError, TimeoutError):  # the row refresher reports it
                row = await asyncio.wait_for(asked, _ROW_SECONDS_MAX)
        if row is not None:
            found = self._with_row(row, found)
        return {
            "cost_usd": usd(found.known_nanousd),
            "at_least": found.at_least or not found.known,
            "unpriced_events": found.unpriced,
            "status": found.status,
            "budget": budget_document(found.budget),
            "hosts": "this" if shared and row is None else "all",
            "problem": None if error is None else sentence(error, self._service.settings.data),
        }

    def _row(self, workflow_id: str) -> Row | None:
        return self._service.history.row(workflow_id)

    def _with_row(self, row: Row, local: LedgerStatus) -> LedgerStatus:
        """Combine both, since the row may be older or newer than this ledger: the larger cost, any budget, any end."""
        cost = max(row.actual_cost_nanousd, local.cost_nanousd)
        budget = local.named_nanousd if row.budget_nanousd is None else row.budget_nanousd
        unpriced = max(row.unpriced_events, local.unpriced)
        basis = "partial" if local.at_least else row.cost_basis
        both = replace(row, actual_cost_nanousd=cost, budget_nanousd=budget, cost_basis=basis, unpriced_events=unpriced)
        known = local.known or basis is not None
        status = local.status if local.status in ENDED else row.status
        return LedgerStatus(
            cost, status, budget, budget_status(both, self._budgets), basis == "partial", unpriced, known
        )

    def close(self) -> None:
        """Stop the threads that read rows."""
        self._pool.shutdown()
