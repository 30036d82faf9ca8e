"""What folding a ledger gives: its row, its spend, and how far it was read."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.storage.line import Head
from projections.folding.row import Row
from projections.folding.spend import Spend

__all__ = ["Projected"]


@dataclass(frozen=True, slots=True)
class Projected:
    """A row by pure replay, what was spent when, and how far the ledger was folded for both."""

    row: Row
    spend: tuple[Spend, ...]
    head: Head
