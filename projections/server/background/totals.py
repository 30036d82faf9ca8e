"""Totals over all workflows, for monitoring: asked for often, so looked up seldom.

They come from sums in the history, yet those of spend take longer the more there is. A look is therefore cached for
some seconds, and for longer when it took long.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

from ledger.maintenance.leftovers import Leftovers, leftovers_in
from ledger.storage.origin import misplaced
from projections.folding.breakdown import UNATTRIBUTED
from projections.folding.spend import AMOUNTS, Amounts
from projections.history.packed import unpack
from projections.history.query import Query, QueryTotals
from projections.server.http.problems import sentence
from projections.server.service.service import Service

__all__ = ["Overall", "OverallTotals"]

_CACHED_SECONDS: Final = 3.0
_REST_PER_LOOK: Final = 20
"""A look that took a second is cached for twenty, so looking takes at most a twentieth of the time."""


@dataclass(frozen=True, slots=True)
class Overall:
    """The totals.

    Attributes:
        by_agent, by_model: what was spent, in the order of `spend.AMOUNTS`, the highest cost first.
        misplaced: why the data directory may be one of two copies, and what to do; None when it is not.
    """

    totals: QueryTotals
    by_agent: list[tuple[str, Amounts]]
    by_model: list[tuple[str, Amounts]]
    leftovers: Leftovers
    misplaced: str | None

    @property
    def unpriced(self) -> dict[str, tuple[int, int]]:
        """Return the meters whose usage has no price, and their tokens, by model."""
        events, tokens = AMOUNTS.index("unpriced_events"), AMOUNTS.index("unpriced_tokens")
        counts = {name: (amounts[events], amounts[tokens]) for name, amounts in self.by_model}
        return {name: both for name, both in sorted(counts.items()) if max(both) > 0}


class OverallTotals:
    """The cached totals of a service. Safe between threads: one looks them up, the others wait for it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._cached: Overall | None = None
        self._until = 0.0

    def overall(self) -> Overall:
        """Return the totals of a few seconds ago.

        Raises:
            HistoryUnavailable, LedgerUnavailable: they cannot be looked up.
        """
        with self._lock:
            if self._cached is None or time.monotonic() >= self._until:
                start = time.monotonic()
                self._cached = self._look()
                took = time.monotonic() - start
                self._until = time.monotonic() + max(_CACHED_SECONDS, _REST_PER_LOOK * took)
            return self._cached

    def _look(self) -> Overall:
        service = self._service
        by_agent: dict[str, int] = {}
        by_model: dict[str, int] = {}
        for _, (agent, model), packed in service.history.spent(("agent", "model"), starts=()):
            for name, sums in ((str(agent or UNATTRIBUTED), by_agent), (str(model or UNATTRIBUTED), by_model)):
                sums[name] = sums.get(name, 0) + packed
        problem = misplaced(service.settings.data)
        return Overall(
            service.history.page(Query(limit=1)).totals,
            _highest_first(by_agent),
            _highest_first(by_model),
            leftovers_in(service.settings.data),
            None if problem is None else sentence(problem, service.settings.data),
        )


def _highest_first(sums: dict[str, int]) -> list[tuple[str, Amounts]]:
    found = [(name, unpack(packed)) for name, packed in sums.items()]
    return sorted(found, key=lambda both: (-both[1][0], both[0]))
