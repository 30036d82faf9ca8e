"""Rows, costs and checkpoints as PostgreSQL stores them, and back."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

import orjson

from ledger.events import money
from projections.folding.projection import Projected
from projections.folding.row import COLUMNS, Row
from projections.history.store import Stored, visible_cost

__all__ = ["HEAD_COLUMNS", "JSON_COLUMNS", "head_of", "row_of", "stored_of", "values_of"]

HEAD_COLUMNS: Final = ("workflow_id", "seq", "size", "hash")
JSON_COLUMNS: Final = ("cost_breakdown", "token_breakdown")

_TOTAL, _EXACT, _ESTIMATE = (
    COLUMNS.index(name) for name in ("actual_cost_total", "actual_cost_nanousd", "estimated_cost_total")
)
_CELLS: Final = attrgetter(*COLUMNS)
_JSON: Final = [COLUMNS.index(name) for name in JSON_COLUMNS]


def stored_of(visible: Any, exact: int | None, status: str, known: bool = True) -> Stored:
    """Return what a row shows, whose costs may be those of another application's columns."""
    cost = visible_cost(visible)
    return Stored(cost, cost if exact is None else exact, status, known)


def head_of(projected: Projected) -> tuple[str, int, int, str]:
    """Return a checkpoint, in the order of `HEAD_COLUMNS`."""
    return (projected.row.adw_id, projected.head.seq, projected.head.size, projected.head.hash)


def values_of(row: Row) -> tuple[Any, ...]:
    """Return a row's values for PostgreSQL: money as exact text."""
    values = list(_CELLS(row))
    values[_TOTAL] = money.to_wire(values[_EXACT])
    if values[_ESTIMATE] is not None:
        values[_ESTIMATE] = money.to_wire(money.parse_total(values[_ESTIMATE]))
    return tuple(values)


def row_of(values: Sequence[Any]) -> Row:
    """Return a row as every other store gives it: `jsonb` has no order of keys, so ours is restored."""
    given = list(values)
    for index in _JSON:
        with contextlib.suppress(orjson.JSONDecodeError, TypeError):
            given[index] = orjson.dumps(orjson.loads(given[index]), option=orjson.OPT_SORT_KEYS).decode()
    return Row(*given)
