"""Counters: what a meter shows when several counters count for it, each telling only its own figure.

Telemetry tells either how far a counter has come since its process began (cumulative) or by how much it has grown
(delta, each increment a counter of its own here). Either way the meter shows the sum of its counters, each at its
highest: so no order, split or repetition of the exports changes where it ends.

Pure: no file, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["CounterFigure", "CounterSeries"]


@dataclass(frozen=True, slots=True)
class CounterFigure:
    """One counter's figure.

    Attributes:
        nanousd: None while it has told no cost.
        partial: the true figure is at least this.
        carried_nanousd: what its meter had cost before it began, by its own account.
    """

    nanousd: int | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    partial: bool = False
    carried_nanousd: int = 0


@dataclass(slots=True)
class CounterSeries:
    """The counters of one meter.

    Attributes:
        nanousd: their sum; None while none has told a cost.
        usage: their sum by bucket.
        latest: the latest `observed_at` among them, in the ledger's spelling.
    """

    nanousd: int | None = None
    usage: dict[str, int] = field(default_factory=dict)
    latest: str | None = None
    _by_series: dict[str, CounterFigure] = field(default_factory=dict)

    @property
    def partial(self) -> bool:
        """Whether one of them is known to be too low, or began after one that is missing."""
        whole = self.nanousd or 0
        return any(
            counted.partial or counted.carried_nanousd > whole - (counted.nanousd or 0)
            for counted in self._by_series.values()
        )

    def highest(self, series: str) -> int:
        """Nanodollars of one counter; 0 while it has none."""
        return self._by_series.get(series, CounterFigure()).nanousd or 0

    def is_older(self, series: str, nanousd: int, *, partial: bool) -> bool:
        """Whether a counter has given more than this already, and as exactly."""
        had = self._by_series.get(series, CounterFigure())
        return (had.nanousd or 0) > nanousd and (partial or not had.partial)

    def count(self, series: str, told: CounterFigure, observed_at: str | None) -> bool:
        """Take what a counter tells; whether that raises the meter's figure."""
        had = self._by_series.get(series, CounterFigure())
        now = _highest(had, told)
        if now == had:
            return False
        self._by_series[series] = now
        if now.nanousd is not None:
            self.nanousd = (self.nanousd or 0) + now.nanousd - (had.nanousd or 0)
        for bucket, count in now.usage.items():
            self.usage[bucket] = self.usage.get(bucket, 0) + count - had.usage.get(bucket, 0)
        if observed_at is not None and (self.latest is None or observed_at > self.latest):
            self.latest = observed_at
        return True


def _highest(had: CounterFigure, told: CounterFigure) -> CounterFigure:
    if had.partial and not told.partial and told.nanousd is not None:
        return told  # what is known exactly, after a lower bound that may have been priced too high
    costs = [cost for cost in (had.nanousd, told.nanousd) if cost is not None]
    usage = {name: max(had.usage.get(name, 0), told.usage.get(name, 0)) for name in {**had.usage, **told.usage}}
    partial = told.partial if told.nanousd is not None and told.nanousd >= (had.nanousd or 0) else had.partial
    carried = max(had.carried_nanousd, told.carried_nanousd)
    return CounterFigure(max(costs, default=None), usage, partial, carried)
