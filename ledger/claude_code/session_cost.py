"""What a session has cost in all, from a counter that restarts, goes on elsewhere, or stands twice.

Claude Code's status line tells `cost.total_cost_usd`. Seen in its issue tracker (github.com/anthropics/claude-code):
it starts at zero when a session is resumed (78136, 77970) or goes on from where it was (2.1.277 and later); it is not
reset by `/clear` in some versions, so that a new session begins with the cost of the one before (33146, 78979); and
two terminals may hold the same session. `total_duration_ms` tells since when a counter counts, and so which one speaks.

Status lines overtake each other: each is a process of its own. A counter never falls while it counts, so what is lower,
of the same start and told by then or little later, is a line that comes late; lower after that, it has been reset.

A session shows the sum of its counters, each at its highest. Pure: no file, no clock.

From 2.1.277 a counter goes on from the last total that its session, or the parent of a fork, had saved. Then each
process counts for what it added: `CarriedCounter`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

__all__ = [
    "LATE_MAX_MS",
    "CarriedCounter",
    "Growth",
    "Process",
    "ProcessCounter",
    "SessionCounter",
    "carried_over",
    "same_start",
]

LATE_MAX_MS: Final = 5_000
"""How late a line may come, and so how far two computations of one counter's start may lie apart: Claude Code's clock
is read before ours, and a busy machine takes its time in between. A counter that restarts begins later than that,
unless its process lived for less; then it counts once it is seen to be lower for longer than that."""


_JITTER_MAX_MS: Final = 1_000
"""How far two computations of one carried counter's start may lie apart; beyond it, what is lost is a lower bound."""


@dataclass(slots=True)
class Process:
    """A process that a counter counted in.

    Attributes:
        since_ms: since when, in milliseconds since 1970: a line that comes late makes it seem later, never earlier.
        duration_ms: how long it had when it told the most; None when it did not say.
    """

    since_ms: int
    duration_ms: int | None = None

    def take(self, since_ms: int, duration_ms: int | None) -> None:
        """Take when a line of it says that it began, and for how long it had counted."""
        self.since_ms = min(self.since_ms, since_ms)
        if duration_ms is not None:
            self.duration_ms = max(duration_ms, self.duration_ms or 0)


@dataclass(slots=True)
class ProcessCounter:
    """One counter.

    Attributes:
        nanousd: its highest figure so far, less `base`.
        base: nanodollars that it carries over from another session and that are not this one's.
        processes: those that it is known to have counted in, one after the other; none when it does not say.
    """

    nanousd: int
    base: int = 0
    processes: list[Process] = field(default_factory=list)

    def process(self, since_ms: int | None) -> Process | None:
        """The one that began at this moment."""
        return next((each for each in self.processes if same_start(each.since_ms, since_ms)), None)

    def has_told_more(self, nanousd: int, since_ms: int | None, duration_ms: int | None) -> bool:
        """Whether what is told now was told before something higher: a line that comes late, no counter that fell."""
        process = self.process(since_ms)
        if process is None or process.duration_ms is None or duration_ms is None:
            return False
        return nanousd < self.nanousd + self.base and duration_ms <= process.duration_ms + LATE_MAX_MS

    def take(self, nanousd: int, since_ms: int | None, duration_ms: int | None) -> bool:
        """Take a figure that is none below its own; whether it has risen."""
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
        return sum(counter.nanousd for counter in self.counters)

    def read(
        self, nanousd: int, since_ms: int | None, duration_ms: int | None = None, base: int = 0
    ) -> ProcessCounter | None:
        """Take what the counter shows; the counter that spoke when something changed, else None.

        A line that one of them has told before something higher changes nothing. Of the others, the one that counts
        since the same moment has spoken, if it would not have fallen; otherwise the highest that would not have: a
        resumed session's counter that goes on. When all would have fallen, a new one has begun.

        Args:
            since_ms: since when it counts; None when it does not say.
            duration_ms: for how long it had counted.
            base: what a new counter carries over from another session.
        """
        if any(counter.has_told_more(nanousd, since_ms, duration_ms) for counter in self.counters):
            return None
        rising = [counter for counter in self.counters if counter.nanousd + counter.base <= nanousd]
        if rising:
            spoke = min(rising, key=lambda counter: (counter.process(since_ms) is None, -counter.nanousd))
            return spoke if spoke.take(nanousd, since_ms, duration_ms) else None
        begun = ProcessCounter(0, base)
        begun.take(nanousd, since_ms, duration_ms)
        self.counters.append(begun)
        return begun


@dataclass(slots=True)
class Growth:
    """What one process's counter has shown, in nanodollars: it added the difference.

    Attributes:
        since_ms: since when it counts, in milliseconds since 1970; None when it does not say.
    """

    since_ms: int | None
    lowest: int
    highest: int

    def distance_ms(self, since_ms: int | None) -> int:
        """How far a counter's start lies from this one's."""
        if self.since_ms is None or since_ms is None:
            return 0 if self.since_ms is since_ms else _JITTER_MAX_MS + 1
        return abs(self.since_ms - since_ms)


@dataclass(slots=True)
class CarriedCounter:
    """The counters of one session whose processes go on from a saved total.

    Two terminals, a fork and a process that was killed before it saved are processes like any other: each adds what its
    counter grew by while it was observed.

    Attributes:
        partial: a process began above every figure that was observed before: some of it may not have been observed.
    """

    processes: list[Growth] = field(default_factory=list)
    partial: bool = False

    @property
    def nanousd(self) -> int:
        return sum(process.highest - process.lowest for process in self.processes)

    def read(self, nanousd: int, since_ms: int | None, others: Iterable[int] = ()) -> bool:
        """Take what a counter shows; whether that is new.

        Args:
            others: figures of other sessions that this one may go on from.
        """
        process = min(self.processes, key=lambda each: each.distance_ms(since_ms), default=None)
        if process is not None and process.distance_ms(since_ms) > _JITTER_MAX_MS:
            process = None
        if process is not None:
            new = not process.lowest <= nanousd <= process.highest
            process.lowest, process.highest = min(process.lowest, nanousd), max(process.highest, nanousd)
            return new
        known = {0, *others} | {each.highest for each in self.processes}
        self.partial = self.partial or nanousd not in known
        self.processes.append(Growth(since_ms, nanousd, nanousd))
        return True


def carried_over(others: Iterable[tuple[int, int | None]], nanousd: int, since_ms: int | None) -> int:
    """What a new session's first figure carries over: of a cleared session's counter that counts since the same moment.

    Args:
        others: figure and start of the last counter of each session that was cleared.
    """
    fitting = [figure for figure, since in others if same_start(since, since_ms) and figure <= nanousd]
    return max(fitting, default=0)


def same_start(one: int | None, other: int | None) -> bool:
    """Whether two computations of a counter's start may be of the same one."""
    return one is not None and other is not None and abs(one - other) <= LATE_MAX_MS
