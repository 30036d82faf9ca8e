"""The counters of one meter: each shows what one attempt of a program has spent so far, and their figures add up.

A program that is started again counts from zero, so what its attempts read is a sum, on top of what the meter had
settled at when this run began:

    own(m) = max(settled(m), counted(m) + Σ over counters of earlier runs of what they grew by since) + Σ over new ones

where a counter's figure is its highest while the run is on, and its latest once it has ended. `counted(m)` is how much
of the settled figure the counters account for: a counter that goes on in a later run, such as that of a parallel
process, adds only what the settled figure does not cover yet. After the end, a final reading without a counter takes
the place of all that counters had read until then, and what they grew by since adds to it.

Money is integer nanodollars. This file knows no tree, no event and no ledger.
"""

from __future__ import annotations

from operator import add
from typing import Final

from projections.folding.readings import NO_FIGURES, NO_TOKENS, Figures, Reading, Summed, Tokens, figures

__all__ = ["NEVER", "MeterCounters", "Moment"]

Moment = tuple[str, int]
"""When a reading was observed, and its seq."""

NEVER: Final[Moment] = ("", 0)


class MeterCounters:
    """What the counters of one meter read.

    Attributes:
        highest: of each counter in this run.
        latest: of each counter in this run, with its moment; `latest_at` is the last of these moments.
        unpriced: bucketwise largest usage without a price, of each counter in this run.
    """

    __slots__ = (
        "_bases",
        "_before",
        "_counted",
        "_last_word",
        "_running",
        "_unpriced_bases",
        "highest",
        "latest",
        "latest_at",
        "unpriced",
    )

    def __init__(self, settled: Figures) -> None:
        self._counted = settled
        self._bases: dict[str, Figures] = {}
        self._unpriced_bases: dict[str, Tokens] = {}
        self.unpriced: dict[str, Tokens] = {}
        self._forget()

    def _forget(self) -> None:
        self.highest: dict[str, Reading] = {}
        self.latest: dict[str, tuple[Moment, Reading]] = {}
        self.latest_at = NEVER
        self._before: dict[str, tuple[Moment, Reading]] = {}
        self._running = _Sum()
        self._last_word: Reading | None = None

    def read(self, counter: str, reading: Reading, at: Moment, word_at: Moment | None) -> None:
        """Take in a reading.

        Args:
            word_at: the moment of the meter's latest reading without a counter, when that is final.
        """
        before, base = self.highest.get(counter), self._bases.get(counter)
        if before is None or reading > before:
            if before is not None:
                self._running.add(before, base, sign=-1)
            self._running.add(reading, base)
            self.highest[counter] = reading
        _keep_later(self.latest, counter, at, reading)
        if word_at is not None and at < word_at:
            _keep_later(self._before, counter, at, reading)
        self.latest_at = max(self.latest_at, at)
        self._last_word = None

    def use(self, counter: str, usage: Tokens) -> None:
        """Take in usage that has no price."""
        self.unpriced[counter] = tuple(map(max, self.unpriced.get(counter, usage), usage))

    def hear(self, word: Reading) -> None:
        """Another reading without a counter is the meter's latest; a final one takes the place of what was read."""
        if word.final:
            self._before = dict(self.latest)
        self._last_word = None

    def running(self, settled: Figures) -> Summed:
        """What they add up to while the run is on; at least one was read in it."""
        return self._running.reading(settled, self._counted)

    def last_word(self, settled: Figures, word: Reading | None) -> Reading:
        """What they add up to once the run has ended; at least one was read in it.

        Args:
            word: the meter's latest reading without a counter, when that is final.
        """
        if self._last_word is None:
            whole = self._latest_sum().reading(settled, self._counted)
            self._last_word = whole if word is None else self._since_word().on_top(word, whole.usage)
        return self._last_word

    def unpriced_usage(self) -> Tokens | None:
        """The usage without a price that counters added in this run; None without any."""
        if not self.unpriced:
            return None
        total = NO_TOKENS
        for counter, usage in self.unpriced.items():
            base = self._unpriced_bases.get(counter, NO_TOKENS)
            total = tuple([sum_ + max(0, more - old) for sum_, more, old in zip(total, usage, base, strict=True)])
        return total

    def settle(self, settled: Figures, word: Reading | None) -> None:
        """A new run begins.

        Args:
            settled: what the meter settled at.
            word: as for `last_word`.
        """
        reached = self._latest_sum().reached(self._counted)
        if word is not None:
            since = self._since_word().reached(figures(word))
            reached = (since[0], *(since if word.usage else reached)[1:])
        self._counted = tuple(map(min, settled, reached))
        for counter, (_, reading) in self.latest.items():
            self._bases[counter] = tuple(map(max, self._bases.get(counter, NO_FIGURES), figures(reading)))
        for counter, usage in self.unpriced.items():
            self._unpriced_bases[counter] = tuple(map(max, self._unpriced_bases.get(counter, usage), usage))
        self.unpriced = {}
        self._forget()

    def _latest_sum(self) -> _Sum:
        found = _Sum()
        for counter, (_, reading) in self.latest.items():
            found.add(reading, self._bases.get(counter))
        return found

    def _since_word(self) -> _Sum:
        """What counters grew by since the final reading without a counter."""
        found = _Sum()
        for counter, (at, reading) in self.latest.items():
            before = self._before.get(counter)
            if before is None:
                found.add(reading, self._bases.get(counter, NO_FIGURES))
            elif before[0] < at:
                found.add(reading, figures(before[1]))
        return found


def _keep_later(found: dict[str, tuple[Moment, Reading]], counter: str, at: Moment, reading: Reading) -> None:
    if counter not in found or at > found[counter][0]:
        found[counter] = (at, reading)


class _Sum:
    """What some readings of counters add up to.

    Attributes:
        earlier: what counters of earlier runs grew by since those; `new`, what the others read.
        priced, incomplete, open, used: how many readings are priced, incomplete, not final, and name their usage.
    """

    __slots__ = ("earlier", "incomplete", "new", "open", "priced", "used")

    def __init__(self) -> None:
        self.earlier = self.new = NO_FIGURES
        self.priced = self.incomplete = self.open = self.used = 0

    def add(self, reading: Reading, base: Figures | None, *, sign: int = 1) -> None:
        """Add a reading, or take it away again.

        Args:
            base: what its counter had read before; None for a new one.
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
        """On top of what the meter had settled at, of which counters account for some."""
        earlier = map(max, settled, map(add, counted, self.earlier))
        cost, *usage = map(add, earlier, self.new)
        found = Summed(cost, not self.priced, not self.incomplete, not self.open, tuple(usage) if self.used else ())
        found.grown = tuple(map(add, self.earlier[1:], self.new[1:]))
        return found

    def on_top(self, word: Reading, usage: Tokens) -> Reading:
        """On top of a final reading, which speaks for all before it.

        Args:
            usage: of all counters, for when that reading names none.
        """
        cost, *tokens = self.reached(figures(word))
        return Reading(
            cost,
            word.reported and not self.priced,
            word.complete and not self.incomplete,
            not self.open,
            tuple(tokens) if word.usage else usage,
        )
