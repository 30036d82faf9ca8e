"""The result of folding a ledger: its row, its spend, and its head."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.storage.line import Head
from projections.folding.row import Row
from projections.folding.spend import Spend

__all__ = ["Projected"]


@dataclass(frozen=True, slots=True)
class Projected:
    """A row and the spend by pure replay, and the head up to which the ledger was folded for both."""

    row: Row
    spend: tuple[Spend, ...]
    head: Head
