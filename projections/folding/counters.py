"""The counters of one meter: each shows what one attempt of a program has spent so far, and their figures add up.

A program that is started again counts from zero, so the readings of its attempts add up, on top of the figure at which
the meter had settled when this run started:

    own(m) = max(settled(m), counted(m) + Σ over counters of earlier runs of what they grew by since) + Σ over new ones

where a counter's figure is its highest while the run is on, and its latest once it has ended. `counted(m)` is how much
of the settled figure the counters account for: a counter that continues in a later run, such as that of a parallel
process, adds only the part that the settled figure does not cover yet. After the end, a final reading without a counter
replaces all readings of counters up to then, and their growth since is added to it.

Money is integer nanodollars. This module is independent of trees, events and ledgers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import add
from typing import Final

from projections.folding.readings import NO_FIGURES, NO_TOKENS, Figures, Reading, Summed, Tokens, figures

__all__ = ["NEVER", "MeterCounters", "Moment"]

Moment = tuple[str, int]
"""When a reading was observed, and its seq."""

NEVER: Final[Moment] = ("", 0)


@dataclass(slots=True, eq=False)
class MeterCounters:
    """The readings of one meter's counters.

    Attributes:
        highest: of each counter in this run.
        latest: of each counter in this run, with its moment; `latest_at` is the last of these moments.
        unpriced: bucketwise largest usage without a price, of each counter in this run.
    """

    _counted: Figures
    _bases: dict[str, Figures] = field(default_factory=dict)
    _unpriced_bases: dict[str, Tokens] = field(default_factory=dict)
    unpriced: dict[str, Tokens] = field(default_factory=dict)
    highest: dict[str, Reading] = field(init=False)
    latest: dict[str, tuple[Moment, Reading]] = field(init=False)
    latest_at: Moment = field(init=False)
    _before: dict[str, tuple[Moment, Reading]] = field(init=False)
    _running: _Sum = field(init=False)
    _final: Reading | None = field(init=False)

    def __post_init__(self) -> None:
        self.highest, self.latest, self.latest_at = {}, {}, NEVER
        self._before, self._running, self._final = {}, _Sum(), None

    def read(self, counter: str, reading: Reading, at: Moment, final_at: Moment | None) -> None:
        """Take in a reading.

        Args:
            final_at: the moment of the meter's latest reading without a counter, when that is final.
        """
        before, base = self.highest.get(counter), self._bases.get(counter)
        if before is None or reading > before:
            if before is not None:
                self._running.add(before, base, sign=-1)
            self._running.add(reading, base)
            self.highest[counter] = reading
        _put_later(self.latest, counter, at, reading)
        if final_at is not None and at < final_at:
            _put_later(self._before, counter, at, reading)
        self.latest_at = max(self.latest_at, at)
        self._final = None

    def use(self, counter: str, usage: Tokens) -> None:
        """Take in usage that has no price."""
        self.unpriced[counter] = tuple(map(max, self.unpriced.get(counter, usage), usage))

    def replace(self, latest: Reading) -> None:
        """Take in the meter's new latest reading without a counter; a final one replaces all readings before it."""
        if latest.final:
            self._before = dict(self.latest)
        self._final = None

    def running(self, settled: Figures) -> Summed:
        """Return their sum while the run is open; at least one was read in it."""
        return self._running.reading(settled, self._counted)

    def final(self, settled: Figures, final_reading: Reading | None) -> Reading:
        """Return their sum once the run has ended; at least one was read in it.

        Args:
            final_reading: the meter's latest reading without a counter, when that is final.
        """
        if self._final is None:
            whole = self._latest_sum().reading(settled, self._counted)
            self._final = whole
            if final_reading is not None:
                self._final = self._since_final().on_top(final_reading, whole.usage)
        return self._final

    def unpriced_usage(self) -> Tokens | None:
        """Return the usage without a price that counters added in this run; None without any."""
        if not self.unpriced:
            return None
        total = NO_TOKENS
        for counter, usage in self.unpriced.items():
            base = self._unpriced_bases.get(counter, NO_TOKENS)
            total = tuple([sum_ + max(0, more - old) for sum_, more, old in zip(total, usage, base, strict=True)])
        return total

    def settle(self, settled: Figures, final_reading: Reading | None) -> None:
        """Start a new run.

        Args:
            settled: the figures that the meter settled at.
            final_reading: as for `final`.
        """
        reached = self._latest_sum().reached(self._counted)
        if final_reading is not None:
            since = self._since_final().reached(figures(final_reading))
            reached = (since[0], *(since if final_reading.usage else reached)[1:])
        self._counted = tuple(map(min, settled, reached))
        for counter, (_, reading) in self.latest.items():
            self._bases[counter] = tuple(map(max, self._bases.get(counter, NO_FIGURES), figures(reading)))
        for counter, usage in self.unpriced.items():
            self._unpriced_bases[counter] = tuple(map(max, self._unpriced_bases.get(counter, usage), usage))
        self.unpriced = {}
        self.__post_init__()

    def _latest_sum(self) -> _Sum:
        found = _Sum()
        for counter, (_, reading) in self.latest.items():
            found.add(reading, self._bases.get(counter))
        return found

    def _since_final(self) -> _Sum:
        """Return the growth of the counters since the final reading without a counter."""
        found = _Sum()
        for counter, (at, reading) in self.latest.items():
            before = self._before.get(counter)
            if before is None:
                found.add(reading, self._bases.get(counter, NO_FIGURES))
            elif before[0] < at:
                found.add(reading, figures(before[1]))
        return found


def _put_later(found: dict[str, tuple[Moment, Reading]], counter: str, at: Moment, reading: Reading) -> None:
    if counter not in found or at > found[counter][0]:
        found[counter] = (at, reading)


@dataclass(slots=True, eq=False)
class _Sum:
    """The sum of some readings of counters.

    Attributes:
        earlier: the growth of counters of earlier runs since those; `new`, the readings of the others.
        priced, incomplete, open, used: how many readings are priced, incomplete, not final, and name their usage.
    """

    earlier: Figures = NO_FIGURES
    new: Figures = NO_FIGURES
    priced: int = 0
    incomplete: int = 0
    open: int = 0
    used: int = 0

    def add(self, reading: Reading, base: Figures | None, *, sign: int = 1) -> None:
        """Add a reading, or take it away again.

        Args:
            base: the earlier figures of its counter; None for a new one.
        """
        read = figures(reading)
        if base is None:
            self.new = tuple([old + sign * more for old, more in zip(self.new, read, strict=True)])
        else:
            grown = [max(0, now - then) for now, then in zip(read, base, strict=True)]
            self.earlier = tuple([old + sign * more for old, more in zip(self.earlier, grown, strict=True)])
        self.priced += sign * (not reading.reported)
        self.incomplete += sign * (not reading.complete)
        self.open += sign * (not reading.final)
        self.used += sign * bool(reading.usage)

    def reached(self, start: Figures) -> Figures:
        return tuple([one + two + three for one, two, three in zip(start, self.earlier, self.new, strict=True)])

    def reading(self, settled: Figures, counted: Figures) -> Summed:
        """Return the sum on top of the meter's settled figures, of which counters account for some."""
        earlier = map(max, settled, map(add, counted, self.earlier))
        cost, *usage = map(add, earlier, self.new)
        found = Summed(cost, not self.priced, not self.incomplete, not self.open, tuple(usage) if self.used else ())
        found.grown = tuple(map(add, self.earlier[1:], self.new[1:]))
        return found

    def on_top(self, final_reading: Reading, usage: Tokens) -> Reading:
        """Return the sum on top of a final reading, which covers all before it.

        Args:
            usage: of all counters, for when that reading names none.
        """
        cost, *tokens = self.reached(figures(final_reading))
        return Reading(
            cost,
            final_reading.reported and not self.priced,
            final_reading.complete and not self.incomplete,
            not self.open,
            tuple(tokens) if final_reading.usage else usage,
        )
