"""Figures over everything, for those who watch the server: asked often, so looked up seldom.

They come from sums that the history keeps, yet those of spend take longer the more there is; a look is therefore
remembered for some seconds, and for longer when it took long.
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
from projections.history.query import Query, QueryTotals
from projections.server.http.problems import sentence
from projections.server.service.service import Service

__all__ = ["Overall", "OverallTotals"]

_KEPT_SECONDS: Final = 3.0
_REST_PER_LOOK: Final = 20
"""A look that took a second is good for twenty: however much there is, looking takes a twentieth of the time."""


@dataclass(frozen=True, slots=True)
class Overall:
    """What there is in all.

    Attributes:
        by_agent, by_model: what was spent, in the order of `spend.AMOUNTS`, the dearest first.
        misplaced: why the data directory may be one of two, and what to do; None when it is not.
    """

    totals: QueryTotals
    by_agent: list[tuple[str, Amounts]]
    by_model: list[tuple[str, Amounts]]
    leftovers: Leftovers
    misplaced: str | None

    @property
    def unpriced(self) -> dict[str, tuple[int, int]]:
        """Meters whose usage has no price, and its tokens, by model."""
        events, tokens = AMOUNTS.index("unpriced_events"), AMOUNTS.index("unpriced_tokens")
        told = {name: (amounts[events], amounts[tokens]) for name, amounts in self.by_model}
        return {name: both for name, both in sorted(told.items()) if max(both) > 0}


class OverallTotals:
    """The figures of a service; safe between threads, of which one looks and the others wait for it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._kept: Overall | None = None
        self._until = 0.0

    def overall(self) -> Overall:
        """What there is in all, as of some seconds ago.

        Raises:
            HistoryUnavailable, LedgerUnavailable: it cannot be looked up.
        """
        with self._lock:
            if self._kept is None or time.monotonic() >= self._until:
                began = time.monotonic()
                self._kept = self._look()
                took = time.monotonic() - began
                self._until = time.monotonic() + max(_KEPT_SECONDS, _REST_PER_LOOK * took)
            return self._kept

    def _look(self) -> Overall:
        service = self._service
        by_agent: dict[str, Amounts] = {}
        by_model: dict[str, Amounts] = {}
        for _, (agent, model), amounts in service.history.spent(("agent", "model"), merged=True):
            for name, sums in ((agent, by_agent), (model, by_model)):
                known = sums.setdefault(str(name or UNATTRIBUTED), [0] * len(AMOUNTS))
                for at, amount in enumerate(amounts):
                    known[at] += amount
        doubt = misplaced(service.settings.data)
        return Overall(
            service.history.page(Query(limit=1)).totals,
            _dearest_first(by_agent),
            _dearest_first(by_model),
            leftovers_in(service.settings.data),
            None if doubt is None else sentence(doubt, service.settings.data),
        )


def _dearest_first(sums: dict[str, Amounts]) -> list[tuple[str, Amounts]]:
    return sorted(sums.items(), key=lambda both: (-both[1][0], both[0]))
