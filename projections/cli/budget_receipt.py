"""What an append leaves of a workflow's budget. A workflow without a budget costs a search of its ledger, no replay."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import click

from ledger.errors import CostledgerError
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.line import EMPTY, Head
from projections.cli.options import config_path

if TYPE_CHECKING:
    from projections.folding.fold import State
    from projections.reports.budgets import Budgets, BudgetStatus

__all__ = ["BudgetReceipts"]

_NAMED: Final = b'"budget_usd"'
"""How a start that names a budget spells it in its line."""

_SECTION: Final = b"budgets"
"""What a configuration file that sets budgets has in it."""


@dataclass(slots=True)
class _Replayed:
    """How far a ledger was searched for a budget, and replayed."""

    searched: int = 0
    state: State | None = None
    head: Head = EMPTY


@dataclass(slots=True)
class BudgetReceipts:
    """Budget statuses of the workflows that one invocation appends to; each line of a ledger is replayed once."""

    ledgers: DirectoryStore
    _replayed: dict[str, _Replayed] = field(default_factory=dict)
    _budgets: Budgets | None = None
    _is_configured: bool | None = None

    def after(self, workflow_id: str) -> BudgetStatus | None:
        """Return the budget status of the workflow now; None without a budget.

        What fails is reported on stderr and is no error: the append itself has succeeded.
        """
        try:
            replayed = self._replayed.setdefault(workflow_id, _Replayed())
            if replayed.state is None and not self._configured() and not self._is_named(workflow_id, replayed):
                return None
            return self._status(workflow_id, replayed)
        except (CostledgerError, OSError) as error:
            click.echo(f"costledger: the event is recorded; what is left of a budget is unknown: {error}", err=True)
            return None

    def _configured(self) -> bool:
        if self._is_configured is None:
            path = config_path()
            self._is_configured = path is not None and _SECTION in path.read_bytes()
        return self._is_configured

    def _is_named(self, workflow_id: str, replayed: _Replayed) -> bool:
        """Return whether a start names a budget; search only what was appended since the last call."""
        path = self.ledgers.ledger_path(workflow_id)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as ledger:
            found = ledger.find(_NAMED, replayed.searched) >= 0
            replayed.searched = max(0, len(ledger) - len(_NAMED))
        return found

    def _status(self, workflow_id: str, replayed: _Replayed) -> BudgetStatus | None:
        from projections.folding.fold import fold, initial
        from projections.reports.budgets import configured_budgets, standing_so_far

        if self._budgets is None:
            self._budgets = configured_budgets(config_path() if self._configured() else None)
        state = initial(workflow_id) if replayed.state is None else replayed.state
        reader = self.ledgers.read(workflow_id, start=replayed.head)
        for line in reader:
            fold(state, line)
        replayed.state, replayed.head = state, reader.head
        return standing_so_far(state, self._budgets)
