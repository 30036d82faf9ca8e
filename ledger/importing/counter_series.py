"""Counter series: what a meter shows when several counters count for it, each reporting only its own figure.

Telemetry reports either how far a counter has come since its process began (cumulative) or by how much it has grown
(delta, each increment a counter of its own here). Either way the meter shows the sum of its counters, each at its
highest: so no order, split or repetition of the exports changes where it ends.

Pure: no file, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

__all__ = ["CounterFigure", "CounterSeries"]


@dataclass(frozen=True, slots=True)
class CounterFigure:
    """One counter's figure.

    Attributes:
        nanousd: None while it has reported no cost.
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
        nanousd: their sum; None while none has reported a cost.
        usage: their sum by bucket.
        latest: the latest `observed_at` among them, in the ledger's spelling.
    """

    nanousd: int | None = None
    usage: dict[str, int] = field(default_factory=dict)
    latest: str | None = None
    by_series: dict[str, CounterFigure] = field(default_factory=dict)

    def copy(self) -> CounterSeries:
        """Return counters that can be changed without changing these."""
        return replace(self, usage=dict(self.usage), by_series=dict(self.by_series))

    @property
    def partial(self) -> bool:
        """Whether one of them is too low, or began after one that is missing."""
        whole = self.nanousd or 0
        return any(
            figure.partial or figure.carried_nanousd > whole - (figure.nanousd or 0)
            for figure in self.by_series.values()
        )

    def highest(self, series: str) -> int:
        """Return the nanodollars of one counter; 0 while it has none."""
        return self.by_series.get(series, CounterFigure()).nanousd or 0

    def is_older(self, series: str, nanousd: int, *, partial: bool) -> bool:
        """Return whether a counter has reported more than this already, and as exactly."""
        had = self.by_series.get(series, CounterFigure())
        return (had.nanousd or 0) > nanousd and (partial or not had.partial)

    def count(self, series: str, given: CounterFigure, observed_at: str | None) -> bool:
        """Add a figure of a counter; return whether that raises the meter's figure."""
        had = self.by_series.get(series, CounterFigure())
        now = _highest(had, given)
        if now == had:
            return False
        self.by_series[series] = now
        if now.nanousd is not None:
            self.nanousd = (self.nanousd or 0) + now.nanousd - (had.nanousd or 0)
        for bucket, count in now.usage.items():
            self.usage[bucket] = self.usage.get(bucket, 0) + count - had.usage.get(bucket, 0)
        if observed_at is not None and (self.latest is None or observed_at > self.latest):
            self.latest = observed_at
        return True


def _highest(had: CounterFigure, given: CounterFigure) -> CounterFigure:
    if had.partial and not given.partial and given.nanousd is not None:
        return given  # an exact figure, after a lower bound that may have been priced too high
    costs = [cost for cost in (had.nanousd, given.nanousd) if cost is not None]
    usage = {name: max(had.usage.get(name, 0), given.usage.get(name, 0)) for name in {**had.usage, **given.usage}}
    partial = given.partial if given.nanousd is not None and given.nanousd >= (had.nanousd or 0) else had.partial
    carried = max(had.carried_nanousd, given.carried_nanousd)
    return CounterFigure(max(costs, default=None), usage, partial, carried)
