"""Workflows as `ledger` records them, which know what they have cost and what their budget leaves.

`ledger` appends and never reads a figure back; the figure is a replay, which `projections` makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple, Self, Unpack

from ledger.capture.arguments import named_arguments
from ledger.capture.workflow import Workflow
from ledger.capture.workflow_run import (
    JoinedWorkflow,
    Ledgers,
    StartFields,
    WorkflowRun,
    named_by_environment,
    opened_ledgers,
)
from ledger.errors import BudgetExceeded, InvalidInput, UnknownWorkflow
from ledger.events import money
from ledger.events.event import workflow_started
from ledger.pricing.price_book import PriceBook
from ledger.storage.append import Receipt
from ledger.storage.line import Head
from ledger.storage.store import LedgerStore
from projections.folding.fold import State
from projections.replay.fold_cache import FoldCache
from projections.reports.budgets import Budgets, BudgetStatus, configured_budgets, cost_so_far, standing_so_far

__all__ = ["BudgetExceeded", "JoinedWithCost", "RunWithCost", "join", "workflow"]

_METERS_MAX: Final = 50_000


class _Figures(NamedTuple):
    """The result of one replay: the cost, None while it is unknown, and the budget's status."""

    cost_nanousd: int | None
    budget: BudgetStatus | None


class _Account:
    """The cost of a workflow by the ledger of this data directory; each time only the new lines are folded."""

    def __init__(self, workflow_id: str, ledgers: Ledgers, workflow_template: str | None = None) -> None:
        self._workflow_id, self._store, self._template = workflow_id, ledgers.store, workflow_template
        self._budgets: Budgets = configured_budgets(ledgers.config)
        self._folds = FoldCache(_METERS_MAX)

    def figures(self) -> _Figures:
        """Return the figures of the ledger now; unknown ones without a ledger."""
        try:
            return self._folds.ask(self._store, self._workflow_id, self._figures)
        except UnknownWorkflow:
            return _Figures(None, None)

    def _figures(self, state: State, head: Head) -> _Figures:  # noqa: ARG002
        cost, at_least, _ = cost_so_far(state)
        unknown = not cost and (at_least or not state.readings)
        return _Figures(None if unknown else cost, standing_so_far(state, self._budgets))

    def check(self) -> None:
        """Refuse to continue when the budget is exceeded.

        Raises:
            BudgetExceeded: it is.
        """
        found = self.figures().budget
        if found is not None and found.left_nanousd < 0:
            spent, budget = _usd(found.spent_nanousd), _usd(found.budget_nanousd)
            raise BudgetExceeded(self._workflow_id, spent, budget, str(found))

    def require_budget(self) -> None:
        """Refuse to guard a budget that is not set.

        Raises:
            InvalidInput: there is none.
        """
        if self._budgets.of(self._template) is None and self.figures().budget is None:
            raise InvalidInput(
                f"raise_over_budget: no budget is set for workflow {self._workflow_id!r}; give budget_usd, or set "
                "[budgets] in costledger.toml"
            )


class _Accounted(Workflow):
    """A workflow with its figures."""

    _account: _Account
    _raise_over_budget: bool

    def accounted(self, account: _Account, *, raise_over_budget: bool) -> Self:
        """Return it with an account to take its figures from."""
        self._account, self._raise_over_budget = account, raise_over_budget
        return self

    def _recorded(self, receipt: Receipt) -> Receipt:
        if self._raise_over_budget:
            self._account.check()
        return receipt

    @property
    def cost(self) -> Decimal | None:
        """USD that the workflow has cost by its ledger, at this moment; None while it is unknown.

        It is a replay of the ledger in this data directory, as the receipts of `POST /api/events` report it: with what
        every process here has appended, and without what other hosts have. Usage without a price is not in it, and
        neither is what other workflows' ledgers add by a move: `costledger show` has that.

        Raises:
            CostledgerError: the ledger cannot be read.
        """
        nanousd = self._account.figures().cost_nanousd
        return None if nanousd is None else _usd(nanousd)

    @property
    def left(self) -> Decimal | None:
        """USD that the budget leaves, negative when it is exceeded; None without a budget. As fresh as `cost`.

        Raises:
            CostledgerError: the ledger cannot be read.
        """
        found = self._account.figures().budget
        return None if found is None else _usd(found.left_nanousd)


class RunWithCost(_Accounted, WorkflowRun):
    """A run of a workflow that knows what it has cost."""


class JoinedWithCost(_Accounted, JoinedWorkflow):
    """A workflow that another program runs, and what it has cost."""


def _usd(nanousd: int) -> Decimal:
    return Decimal(money.to_wire(nanousd))


@named_arguments(StartFields)
def workflow(
    workflow_id: str,
    *,
    raise_over_budget: bool = False,
    data: Path | str | None = None,
    store: LedgerStore | None = None,
    prices: PriceBook | None = None,
    cumulative: bool = False,
    tags: Mapping[str, str] | None = None,
    **start: Unpack[StartFields],
) -> RunWithCost:
    """Return a run of a workflow: started on entry, completed on exit, failed when an exception leaves the block.

    Args:
        raise_over_budget: `observe` and `charge` raise `BudgetExceeded` once what they appended is over the budget.
        start: what its start records, see `StartFields`.
        data, store, prices, cumulative, tags: as for `ledger.workflow`.

    Raises:
        InvalidInput: no budget is set that could be exceeded, or an argument is none; nothing was appended.
        CostledgerError: an event could not be appended.
    """
    started, ledgers = workflow_started(workflow_id, **start), opened_ledgers(data, store, prices)
    account = _Account(workflow_id, ledgers, start.get("workflow_template"))
    if raise_over_budget and start.get("budget_usd") is None:
        account.require_budget()
    run = RunWithCost(started, ledgers, cumulative=cumulative, tags=tags)
    return run.accounted(account, raise_over_budget=raise_over_budget)


@named_arguments()
def join(
    workflow_id: str | None = None,
    *,
    raise_over_budget: bool = False,
    data: Path | str | None = None,
    store: LedgerStore | None = None,
    prices: PriceBook | None = None,
) -> JoinedWithCost:
    """Join a workflow that another program runs: for child processes and sub-agents. It neither starts nor ends it.

    Args:
        workflow_id: its id; by default `COSTLEDGER_WORKFLOW` of the environment, as `wf.environment()` sets it.
        raise_over_budget, data, store, prices: as for `workflow`.

    Raises:
        InvalidInput: no workflow is named, or no budget is set that could be exceeded.
    """
    name, ledgers = named_by_environment(workflow_id), opened_ledgers(data, store, prices)
    account = _Account(name, ledgers)
    if raise_over_budget:
        account.require_budget()
    return JoinedWithCost(name, ledgers).accounted(account, raise_over_budget=raise_over_budget)
