"""Rows as comma-separated values, for spreadsheets."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from typing import Any, Final

from ledger.events import money
from projections.cli.output.text import csv_cell
from projections.folding.cost_words import NO_FIGURES, row_cost
from projections.folding.row import COLUMNS, Row
from projections.history.idle import shown_status
from projections.reports.budgets import Budgets, budget_status

__all__ = ["print_csv"]

_NOT_FOR_CELLS: Final = {
    "actual_cost_total",
    "actual_cost_nanousd",
    "budget_nanousd",
    "cost_breakdown",
    "token_breakdown",
}
_NAMES: Final = tuple(name for name in COLUMNS if name not in _NOT_FOR_CELLS)
_MADE: Final = ("idle", "cost_usd", "at_least", "budget_usd", "left_usd")


def print_csv(rows: Iterable[tuple[Row, bool]], budgets: Budgets) -> None:
    """Print a line per workflow; there is no total, so that a column can be added up.

    Args:
        rows: each with whether it is idle.
    """
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([*_NAMES, *_MADE])
    for row, idle in rows:
        cells = {name: getattr(row, name) for name in _NAMES} | {"status": shown_status(row)}
        out.writerow([*map(csv_cell, cells.values()), *_made(row, idle, budgets)])


def _made(row: Row, idle: bool, budgets: Budgets) -> list[Any]:
    budget = budget_status(row, budgets)
    of_budget = ["", ""] if budget is None else [budget.budget_nanousd, budget.left_nanousd]
    usd = [figure if figure == "" else money.to_wire(int(figure)) for figure in of_budget]
    cost = "" if row_cost(row) in NO_FIGURES else money.to_wire(row.actual_cost_nanousd)
    return [int(idle), cost, int(row.cost_basis == "partial"), *usd]
