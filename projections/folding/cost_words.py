"""A cost in words, alike in every command and table: "$1.7500", "≥ $1.7500", "unpriced", "unknown".

A cost of $0.00 is shown only if a reading gives it. Usage without a price is "unpriced"; a row without a reading, or
with only readings that give no figure, is "unknown". Neither is ever $0.00, and a total with either is a lower bound.
"""

from __future__ import annotations

from typing import Final

from ledger.events import money
from projections.folding.row import Row, is_held

__all__ = [
    "NO_FIGURES",
    "cost_before",
    "in_words",
    "is_lower_bound",
    "known_cost",
    "known_row_cost",
    "row_cost",
    "row_in_words",
    "shown_cost",
]

NO_FIGURES: Final = ("unpriced", "unknown")


def is_lower_bound(row: Row) -> bool:
    """Return whether a workflow has cost more than its row shows, or may have: it is partial, or has no reading.

    A held cost was set by hand, and is no lower bound.
    """
    return row.cost_basis in (None, "partial") and not is_held(row)


def _is_unpriced(row: Row) -> bool:
    return row.unpriced_events > 0 and not is_held(row)


def known_cost(nanousd: int, *, unpriced: bool, at_least: bool = False, known: bool = True) -> int | None:
    """Return a cost; None where it is unpriced or unknown, and so no figure. See `shown_cost`."""
    return None if not nanousd and (unpriced or at_least or not known) else nanousd


def known_row_cost(row: Row) -> int | None:
    """Return the cost of a workflow; None where it is unpriced or unknown."""
    return known_cost(row.actual_cost_nanousd, unpriced=_is_unpriced(row), at_least=is_lower_bound(row))


def shown_cost(nanousd: int, *, unpriced: bool, at_least: bool = False, known: bool = True) -> str:
    """Return a cost for a table.

    Args:
        unpriced: some of it has no price.
        at_least: the cost is a lower bound.
        known: the row has a reading.
    """
    if known_cost(nanousd, unpriced=unpriced, at_least=at_least, known=known) is None:
        return "unpriced" if unpriced else "unknown"
    return f"≥ {money.shown(nanousd)}" if unpriced or at_least else money.shown(nanousd)


def row_cost(row: Row) -> str:
    """Return the cost of a workflow for a table."""
    return shown_cost(
        row.actual_cost_nanousd,
        unpriced=_is_unpriced(row),
        at_least=is_lower_bound(row),
        known=row.cost_basis is not None,
    )


def in_words(nanousd: int, *, unpriced: bool, at_least: bool = False, known: bool = True) -> str:
    """Return a cost for a sentence: "$1.7500", "at least $1.7500", "an unpriced amount", "an unknown amount"."""
    shown = shown_cost(nanousd, unpriced=unpriced, at_least=at_least, known=known)
    return f"an {shown} amount" if shown in NO_FIGURES else shown.replace("≥", "at least")


def row_in_words(row: Row) -> str:
    """Return the cost of a workflow for a sentence."""
    unpriced, known = _is_unpriced(row), row.cost_basis is not None
    return in_words(row.actual_cost_nanousd, unpriced=unpriced, at_least=is_lower_bound(row), known=known)


def cost_before(nanousd: int | None) -> str:
    """Return the earlier cost of a change for a sentence; "nothing" where there was none."""
    return money.shown(nanousd) if nanousd else "nothing"
