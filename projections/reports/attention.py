"""The facts beyond the rows that decide about findings: the prices of today, and the ledgers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, TypeVar

import orjson

from ledger.errors import CostledgerError
from ledger.events import timestamps
from ledger.events.event import COST_OBSERVED, WORKFLOW_STARTED, Line
from ledger.pricing.price_book import PriceBook
from ledger.storage.directory_store import DirectoryStore
from projections.folding.breakdown import UNATTRIBUTED
from projections.folding.row import Row
from projections.replay.reprice import Wanted, plan

__all__ = ["Attention"]

K = TypeVar("K")

_CACHED_MAX: Final = 20_000


class Attention:
    """Look-ups of `suspects.Lookups` by a price book and ledgers; answers of ledgers are cached."""

    def __init__(self, prices: PriceBook, ledgers: DirectoryStore) -> None:
        self._prices, self._ledgers = prices, ledgers
        self._of_program: dict[str, bool] = {}
        self._can_reprice: dict[tuple[str, str], bool] = {}

    def worth_nanousd(self, row: Row) -> int | None:
        """See `Lookups.worth_nanousd`."""
        by_model = orjson.loads(row.token_breakdown)["by_model"]
        if not by_model.keys() - {UNATTRIBUTED}:
            return None
        unpriced, moment = _unpriced(row), timestamps.moment(row.last_activity)
        worth = 0
        for model, usage in by_model.items():
            if model not in unpriced and (rates := self._prices.rates(model, moment)) is not None:
                worth += rates.least_nanousd(usage)
        return worth

    def is_of_program(self, row: Row) -> bool:
        """See `Lookups.is_of_program`; True where the ledger is not on this machine."""
        found = self._of_program.get(row.adw_id)
        if found is None:
            try:
                found = _starts_as_program(self._ledgers.first_lines(row.adw_id))
            except CostledgerError:
                return True
            _put(self._of_program, row.adw_id, found)
        return found

    def can_reprice(self, row: Row) -> bool:
        """See `Lookups.can_reprice`; False where the ledger is not on this machine."""
        moment = timestamps.moment(row.last_activity)
        if not any(self._has_rates(model, moment) for model in _unpriced(row)):
            return False
        key = (row.adw_id, row.ledger_hash)
        found = self._can_reprice.get(key)
        if found is None:
            try:
                made = plan(row.adw_id, self._ledgers.read(row.adw_id), self._prices, Wanted(), "a look")
            except CostledgerError:
                return False
            found = any(change.old_nanousd is None and change.new_nanousd is not None for change in made.changes)
            _put(self._can_reprice, key, found)
        return found

    def _has_rates(self, model: str, moment: datetime | None) -> bool:
        return model != UNATTRIBUTED and self._prices.rates(model, moment) is not None


def _unpriced(row: Row) -> frozenset[str]:
    """Return the models of a row's tokens without a price."""
    return frozenset(orjson.loads(row.cost_breakdown).get("unpriced", {})) if row.unpriced_events else frozenset()


def _starts_as_program(lines: Iterable[Line]) -> bool:
    """Return whether a program recorded the start or the first reading; an import names a source or a time."""
    for line in lines:
        kind = line.get("type")
        if kind == WORKFLOW_STARTED and not {"source", "observed_at"} & line.keys():
            return True
        if kind == COST_OBSERVED:
            return "source" not in line
    return False


def _put(cache: dict[K, bool], key: K, value: bool) -> None:
    if len(cache) >= _CACHED_MAX:
        cache.clear()
    cache[key] = value
