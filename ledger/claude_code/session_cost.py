"""The cost of a session, from a counter that restarts, continues in another process, or exists twice.

Claude Code's status line reports `cost.total_cost_usd`. By its issue tracker (github.com/anthropics/claude-code), the
counter starts at zero when a session is resumed (78136, 77970) or continues from where it was (2.1.277 and later); in
some versions `/clear` does not reset it, so that a new session starts with the cost of the one before (33146, 78979);
and two terminals may show the same session. `total_duration_ms` dates a counter's start, which identifies the counter.

Status lines overtake each other: each is a process of its own. A counter never falls while it counts. So a lower figure
of the same start, with a duration that is not much longer, is a line that comes late; with a longer one, the counter
was reset.

A session costs the sum of its counters, each at its highest. Pure: no file, no clock.

From 2.1.277 a counter continues from the last total that its session, or the parent of a fork, had saved. Then each
process adds its own growth: `CarriedCounter`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ledger.claude_code.spool import LATE_MAX_MS, same_start

__all__ = ["CarriedCounter", "Growth", "Process", "ProcessCounter", "SessionCounter", "carried_over"]

_JITTER_MAX_MS: Final = 1_000
"""How far two computations of one carried counter's start may differ; beyond it, the cost is a lower bound."""


@dataclass(slots=True)
class Process:
    """A process that a counter counted in.

    Attributes:
        since_ms: its start, in milliseconds since 1970: a line that comes late makes it appear later, never earlier.
        duration_ms: the longest duration that it reported; None when it reported none.
    """

    since_ms: int
    duration_ms: int | None = None

    def take(self, since_ms: int, duration_ms: int | None) -> None:
        """Add the start and the duration that one of its lines reports."""
        self.since_ms = min(self.since_ms, since_ms)
        if duration_ms is not None:
            self.duration_ms = max(duration_ms, self.duration_ms or 0)


@dataclass(slots=True)
class ProcessCounter:
    """One counter.

    Attributes:
        nanousd: its highest figure so far, less `base`.
        base: nanodollars that it carries over from another session and that are not this one's.
        processes: those that it counted in, one after the other; none when no line reports a start.
    """

    nanousd: int
    base: int = 0
    processes: list[Process] = field(default_factory=list)

    def process(self, since_ms: int | None) -> Process | None:
        """Return the process that started at this moment."""
        return next((each for each in self.processes if same_start(each.since_ms, since_ms)), None)

    def is_late(self, nanousd: int, since_ms: int | None, duration_ms: int | None) -> bool:
        """Return whether this figure is older than a higher one of this counter: the line comes late."""
        process = self.process(since_ms)
        if process is None or process.duration_ms is None or duration_ms is None:
            return False
        return nanousd < self.nanousd + self.base and duration_ms <= process.duration_ms + LATE_MAX_MS

    def take(self, nanousd: int, since_ms: int | None, duration_ms: int | None) -> bool:
        """Add a figure that is not below its own; return whether the counter has risen."""
        if since_ms is not None:
            process = self.process(since_ms)
            if process is None:
                self.processes.append(process := Process(since_ms))
            process.take(since_ms, duration_ms)
        risen = nanousd - self.base > self.nanousd
        self.nanousd = max(self.nanousd, nanousd - self.base)
        return risen


@dataclass(slots=True)
class SessionCounter:
    """The counters of one session."""

    counters: list[ProcessCounter] = field(default_factory=list)

    @property
    def nanousd(self) -> int:
        """The sum of its counters."""
        return sum(counter.nanousd for counter in self.counters)

    def read(
        self, nanousd: int, since_ms: int | None, duration_ms: int | None = None, base: int = 0
    ) -> ProcessCounter | None:
        """Add a figure of the status line; return the counter that it changed, None when it changed none.

        A line that comes late changes nothing. Otherwise the figure is of the counter with the same start, unless that
        one would fall; then of the highest one that would not: a resumed session's counter that continues. When all
        would fall, it is a new counter.

        Args:
            since_ms: the counter's start; None when the line does not report it.
            duration_ms: for how long it had counted.
            base: nanodollars that a new counter carries over from another session.
        """
        if any(counter.is_late(nanousd, since_ms, duration_ms) for counter in self.counters):
            return None
        rising = [counter for counter in self.counters if counter.nanousd + counter.base <= nanousd]
        if rising:
            risen = min(rising, key=lambda counter: (counter.process(since_ms) is None, -counter.nanousd))
            return risen if risen.take(nanousd, since_ms, duration_ms) else None
        new = ProcessCounter(0, base)
        new.take(nanousd, since_ms, duration_ms)
        self.counters.append(new)
        return new


@dataclass(slots=True)
class Growth:
    """The lowest and the highest figure of one process's counter, in nanodollars: it added the difference.

    Attributes:
        since_ms: its start, in milliseconds since 1970; None when no line reports it.
    """

    since_ms: int | None
    lowest: int
    highest: int

    def distance_ms(self, since_ms: int | None) -> int:
        """Return how far a counter's start is from this one's."""
        if self.since_ms is None or since_ms is None:
            return 0 if self.since_ms is since_ms else _JITTER_MAX_MS + 1
        return abs(self.since_ms - since_ms)


@dataclass(slots=True)
class CarriedCounter:
    """The counters of one session whose processes continue from a saved total.

    Two terminals, a fork and a process that was killed before it saved are processes like any other: each adds what its
    counter grew by while it was observed.

    Attributes:
        partial: a process started above every figure observed before: a part of the cost may not have been observed.
    """

    processes: list[Growth] = field(default_factory=list)
    partial: bool = False

    @property
    def nanousd(self) -> int:
        """The sum of what its processes added."""
        return sum(process.highest - process.lowest for process in self.processes)

    def read(self, nanousd: int, since_ms: int | None, others: Iterable[int] = ()) -> bool:
        """Add a counter's figure; return whether it is new.

        Args:
            others: figures of other sessions that this one may continue from.
        """
        process = min(self.processes, key=lambda each: each.distance_ms(since_ms), default=None)
        if process is not None and process.distance_ms(since_ms) > _JITTER_MAX_MS:
            process = None
        if process is not None:
            new = not process.lowest <= nanousd <= process.highest
            process.lowest, process.highest = min(process.lowest, nanousd), max(process.highest, nanousd)
            return new
        totals = {0, *others} | {each.highest for each in self.processes}
        self.partial = self.partial or nanousd not in totals
        self.processes.append(Growth(since_ms, nanousd, nanousd))
        return True


def carried_over(others: Iterable[tuple[int, int | None]], nanousd: int, since_ms: int | None) -> int:
    """Return what a new session's first figure carries over: the figure of a cleared session with the same start.

    Args:
        others: figure and start of the last counter of each session that was cleared.
    """
    fitting = [figure for figure, since in others if same_start(since, since_ms) and figure <= nanousd]
    return max(fitting, default=0)
