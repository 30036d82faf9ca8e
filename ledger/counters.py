"""Counters: what a meter shows when several counters count for it, each telling only its own figure.

Telemetry tells either how far a counter has come since its process began (cumulative) or by how much it has grown
(delta, each increment a counter of its own here). Either way the meter shows the sum of its counters, each at its
highest: so no order, split or repetition of the exports changes where it ends.

Pure: no file, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Counted", "Counters"]


@dataclass(frozen=True, slots=True)
class Counted:
    """One counter's figure.

    Attributes:
        nanousd: None while it has told no cost.
    """

    nanousd: int | None = None
    usage: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Counters:
    """The counters of one meter.

    Attributes:
        nanousd: their sum; None while none has told a cost.
        usage: their sum by bucket.
        latest: the latest `observed_at` among them, in the ledger's spelling.
    """

    nanousd: int | None = None
    usage: dict[str, int] = field(default_factory=dict)
    latest: str | None = None
    _by_series: dict[str, Counted] = field(default_factory=dict)

    def count(self, series: str, told: Counted, observed_at: str | None) -> bool:
        """Take what a counter tells; whether that raises the meter's figure."""
        had = self._by_series.get(series, Counted())
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


def _highest(had: Counted, told: Counted) -> Counted:
    costs = [cost for cost in (had.nanousd, told.nanousd) if cost is not None]
    usage = {name: max(had.usage.get(name, 0), told.usage.get(name, 0)) for name in {**had.usage, **told.usage}}
    return Counted(max(costs, default=None), usage)
