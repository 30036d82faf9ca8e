"""The cost of a session, from a counter that restarts, continues in another process, or exists twice.

Claude Code's status line reports `cost.total_cost_usd`. By its issue tracker (github.com/anthropics/claude-code), the
counter starts at zero when a session is resumed (78136, 77970) or continues from where it was (2.1.277 and later); in
some versions `/clear` does not reset it, so that a new session starts with the cost of the one before (33146, 78979);
and two terminals may show the same session. `total_duration_ms` dates a counter's start, which identifies its process.

So a session costs what each of its processes added: its counter's highest figure, less the total that it started from.

Status lines overtake each other: each is a process of its own. A counter never falls while it counts. So a lower figure
of the same start, with a duration that is not much longer, is a line that comes late; with a longer one, the counter
was reset. Pure: no file, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ledger.claude_code.spool import LATE_MAX_MS, same_start

__all__ = ["ProcessCounter", "SessionCounter", "carried_over"]

_JITTER_MAX_MS: Final = 1_000
"""How far two computations of one carried counter's start may differ; beyond it, the cost is a lower bound."""


@dataclass(slots=True)
class ProcessCounter:
    """The counter of one process, in nanodollars.

    Attributes:
        since_ms: its start, in milliseconds since 1970: a line that comes late makes it appear later, never earlier;
            None when no line reports it.
        base: the total that it started from.
        highest: its highest figure so far.
        duration_ms: the longest duration that it reported; None when it reported none.
        carried: see `SessionCounter.read`.
    """

    since_ms: int | None
    base: int
    highest: int
    duration_ms: int | None = None
    carried: bool = False

    def is_of(self, since_ms: int | None, tolerance_ms: int) -> bool:
        """Return whether a counter with this start is this one."""
        if self.since_ms is None or since_ms is None:
            return self.since_ms is since_ms
        return abs(self.since_ms - since_ms) <= tolerance_ms

    def may_be(self, other: ProcessCounter) -> bool:
        """Return whether the lines of two counters may be one process's, some of which came late."""
        if self.carried or self.since_ms is None or other.since_ms is None:
            return False
        return abs(self.since_ms - other.since_ms) <= 2 * LATE_MAX_MS

    def is_late(self, nanousd: int, duration_ms: int | None) -> bool:
        """Return whether this figure is older than the highest one: the line comes late."""
        if self.duration_ms is None or duration_ms is None:
            return False
        return nanousd < self.highest and duration_ms <= self.duration_ms + LATE_MAX_MS

    def take(self, nanousd: int, since_ms: int | None, duration_ms: int | None) -> bool:
        """Add a figure; return whether what the process added has changed."""
        if self.since_ms is not None and since_ms is not None:
            self.since_ms = min(self.since_ms, since_ms)
        if duration_ms is not None:
            self.duration_ms = max(duration_ms, self.duration_ms or 0)
        changed = not self.base <= nanousd <= self.highest
        self.base, self.highest = min(self.base, nanousd), max(self.highest, nanousd)
        return changed


@dataclass(slots=True)
class SessionCounter:
    """The counters of one session: two terminals, a fork and a killed process are processes like any other.

    Attributes:
        partial: a process started above every known total: a part of the cost may not have been observed.
    """

    processes: list[ProcessCounter] = field(default_factory=list)
    partial: bool = False

    @property
    def nanousd(self) -> int:
        """The sum of what its processes added; what two that may be one added alike counts once."""
        total = 0
        for at, process in enumerate(self.processes):
            start = process.base
            for other in self.processes[:at]:
                if other.base < process.base and other.may_be(process):
                    start = max(start, other.highest)
            total += max(0, process.highest - start)
        return total

    @property
    def is_lower_bound(self) -> bool:
        """Whether two processes may be one, so that it may have cost more."""
        return self.nanousd < sum(process.highest - process.base for process in self.processes)

    def read(
        self,
        nanousd: int,
        since_ms: int | None,
        duration_ms: int | None = None,
        others: Iterable[int] = (),
        *,
        carried: bool = False,
    ) -> ProcessCounter | None:
        """Add a figure of the status line; return the counter that it changed, None when it changed none.

        A process starts from zero or from a known total. A counter that continues from a saved total starts from its
        first figure; any other one from the highest known total that is not above it.

        Args:
            since_ms: the counter's start; None when the line does not report it.
            duration_ms: for how long it had counted.
            others: totals of other sessions that a new process may continue from.
            carried: the client's counters continue from a saved total, and are never reset.
        """
        same = [each for each in self.processes if each.is_of(since_ms, _JITTER_MAX_MS if carried else LATE_MAX_MS)]
        if not carried:
            if any(each.is_late(nanousd, duration_ms) for each in same):
                return None
            same = [each for each in same if each.highest <= nanousd]
        if same:
            process = max(same, key=lambda each: each.highest)
            return process if process.take(nanousd, since_ms, duration_ms) else None
        totals = {0, *others} | {each.highest for each in self.processes}
        base = nanousd if carried else max(total for total in totals if total <= nanousd)
        self.partial = self.partial or base not in totals
        self.processes.append(process := ProcessCounter(since_ms, base, nanousd, duration_ms, carried))
        return process


def carried_over(others: Iterable[tuple[int, int | None]], nanousd: int, since_ms: int | None) -> int:
    """Return what a new session's first figure carries over: the figure of a cleared session with the same start.

    Args:
        others: figure and start of the last counter of each session that was cleared.
    """
    fitting = [figure for figure, since in others if same_start(since, since_ms) and figure <= nanousd]
    return max(fitting, default=0)
