"""How a workflow stands, for those who have just appended to it: what its budget leaves, so that they can stop.

On rows that projectors write, other hosts' events count, too: the shared row is asked, but never waited for long, since
the append itself has succeeded.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

from ledger.errors import CostledgerError, HistoryUnavailable
from ledger.storage.line import Head
from projections.folding.fold import RUNNING, State
from projections.replay.refresh import ENDED
from projections.reports.budgets import BudgetStatus, budget_json, budget_status, lower_bound, standing_so_far
from projections.server.background.row_refresher import RowRefresher
from projections.server.http.problems import sentence
from projections.server.http.serializers import usd
from projections.server.service.descriptors import threads_at_hand
from projections.server.service.service import Service

__all__ = ["BudgetStatuses", "Local"]

_ROW_SECONDS_MAX: Final = 1.0
_THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class Local:
    """How a workflow stands by the ledger of this data directory.

    Attributes:
        named_nanousd: the budget that a start named here; None when none did.
        at_least: some usage has no price or is known to be incomplete, so more than this was spent.
        unpriced: meters whose tokens have no price.
    """

    cost_nanousd: int
    status: str
    named_nanousd: int | None
    budget: BudgetStatus | None
    at_least: bool
    unpriced: int


class BudgetStatuses:
    """Standings of a service's workflows."""

    def __init__(self, service: Service, keeper: RowRefresher) -> None:
        self._service, self._keeper, self._budgets = service, keeper, service.config.budgets
        self._pool = ThreadPoolExecutor(threads_at_hand(_THREADS), "budget_status")

    def local(self, state: State, head: Head) -> Local:  # noqa: ARG002
        """By this ledger alone."""
        found = standing_so_far(state, self._budgets)
        at_least, unpriced = lower_bound(state) if found is None else (found.at_least, found.unpriced)
        return Local(state.cost_nanousd, state.status, state.budget_nanousd, found, at_least, unpriced)

    def checkpoint(self, workflow_id: str) -> Head | None:
        """How far the row has read this ledger; None where other hosts' ledgers are in it, too."""
        if self._keeper.shared:
            return None
        try:
            return self._service.history.checkpoints([workflow_id]).get(workflow_id)
        except HistoryUnavailable:
            return None  # the keeper says so, and the ledger is there

    async def told(self, workflow_id: str, local: Local | CostledgerError) -> dict[str, Any]:
        """For JSON; with what other hosts spent, where the rows know of it.

        Args:
            local: an error: the ledger was appended to and cannot be replayed, so the row says what it knows.
        """
        shared = self._keeper.shared
        if isinstance(local, CostledgerError):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._by_row, workflow_id, local, shared)
        if shared and self._keeper.ready:
            asked = asyncio.get_running_loop().run_in_executor(self._pool, self._with_row, workflow_id, local)
            try:
                if (found := await asyncio.wait_for(asked, _ROW_SECONDS_MAX)) is not None:
                    return _as_json(found, hosts="all")
            except (CostledgerError, TimeoutError):
                pass  # the keeper says so
        return _as_json(local, hosts="this" if shared else "all")

    def _with_row(self, workflow_id: str, local: Local) -> Local | None:
        """The larger cost, any budget or doubt, an end before none: the row may be older than this ledger, or newer."""
        row = self._service.history.row(workflow_id)
        if row is None:
            return None
        cost = max(row.actual_cost_nanousd, local.cost_nanousd)
        budget = local.named_nanousd if row.budget_nanousd is None else row.budget_nanousd
        unpriced = max(row.unpriced_events, local.unpriced)
        basis = "partial" if local.at_least else row.cost_basis
        both = replace(row, actual_cost_nanousd=cost, budget_nanousd=budget, cost_basis=basis, unpriced_events=unpriced)
        status = local.status if local.status in ENDED else row.status
        return Local(cost, status, budget, budget_status(both, self._budgets), basis == "partial", unpriced)

    def _by_row(self, workflow_id: str, problem: CostledgerError, shared: bool) -> dict[str, Any]:
        """At least what the row shows was spent, or what it shows is not to be had either."""
        try:
            row = self._service.history.row(workflow_id)
        except CostledgerError:
            row = None
        known = Local(0, RUNNING, None, None, at_least=True, unpriced=0)
        if row is not None:
            found = budget_status(replace(row, cost_basis="partial"), self._budgets)
            cost, unpriced = row.actual_cost_nanousd, row.unpriced_events
            known = Local(cost, row.status, row.budget_nanousd, found, at_least=True, unpriced=unpriced)
        told = sentence(problem, self._service.settings.data)
        return _as_json(known, hosts="this" if shared and row is None else "all") | {"problem": told}

    def close(self) -> None:
        """No one is told any more."""
        self._pool.shutdown()


def _as_json(found: Local, *, hosts: str) -> dict[str, Any]:
    return {
        "cost": usd(found.cost_nanousd),
        "at_least": found.at_least,
        "unpriced_events": found.unpriced,
        "status": found.status,
        "budget": budget_json(found.budget),
        "hosts": hosts,
        "problem": None,
    }
