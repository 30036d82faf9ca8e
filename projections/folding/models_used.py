"""The models that a row's cost or tokens are attributed to."""

from __future__ import annotations

import orjson

from projections.folding.breakdown import UNATTRIBUTED
from projections.folding.row import HELD, Row

__all__ = ["models_used"]


def models_used(row: Row) -> set[str]:
    """Return the models that cost or tokens of a row are attributed to, those without a price too."""
    cost, tokens = orjson.loads(row.cost_breakdown), orjson.loads(row.token_breakdown)
    named = {*cost.get("by_model", {}), *cost.get("unpriced", {}), *tokens.get("by_model", {})}
    return named - {UNATTRIBUTED, HELD}
