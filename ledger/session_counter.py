"""What a session has cost in all, from a counter that restarts, goes on elsewhere, or stands twice.

Claude Code's status line tells `cost.total_cost_usd`. Seen in its issue tracker (github.com/anthropics/claude-code):
it starts at zero when a session is resumed (78136, 77970) or goes on from where it was (2.1.277 and later); it is not
reset by `/clear` in some versions, so that a new session begins with the cost of the one before (33146, 78979); and
two terminals may hold the same session. `total_duration_ms` tells since when a counter counts, and so which one speaks.

A session shows the sum of its counters, each at its highest. Pure: no file, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

__all__ = ["SINCE_TOLERANCE_MS", "Counter", "SessionCounter", "carried_over"]

SINCE_TOLERANCE_MS: Final = 5_000
"""How far two computations of one counter's start may lie apart: Claude Code's clock is read before ours, and a busy
machine takes its time in between."""


@dataclass(slots=True)
class Counter:
    """One counter.

    Attributes:
        nanousd: its highest figure so far, less `base`.
        since_ms: since when it counts, in milliseconds since 1970; None when it does not say.
        base: nanodollars that it carries over from another session and that are not this one's.
    """

    nanousd: int
    since_ms: int | None = None
    base: int = 0


@dataclass(slots=True)
class SessionCounter:
    """The counters of one session."""

    counters: list[Counter] = field(default_factory=list)

    @property
    def nanousd(self) -> int:
        return sum(counter.nanousd for counter in self.counters)

    def read(self, nanousd: int, since_ms: int | None, base: int = 0) -> Counter | None:
        """Take what the counter shows; the counter that spoke when something changed, else None.

        The one that counts since the same moment has spoken, if it would not have fallen; otherwise the highest that
        would not have: a resumed session's counter that goes on. When all would have fallen, a new one has begun.

        Args:
            base: what a new counter carries over from another session.
        """
        rising = [counter for counter in self.counters if counter.nanousd + counter.base <= nanousd]
        if not rising:
            begun = Counter(max(0, nanousd - base), since_ms, base)
            self.counters.append(begun)
            return begun
        spoke = min(rising, key=lambda counter: (not _same(counter.since_ms, since_ms), -counter.nanousd))
        spoke.since_ms = since_ms if since_ms is not None else spoke.since_ms
        risen = nanousd - spoke.base
        if risen == spoke.nanousd:
            return None
        spoke.nanousd = risen
        return spoke

    def told(self, nanousd: int) -> None:
        """Take the session's total as another source tells it: it covers all counters so far."""
        if nanousd > self.nanousd:
            self.counters = [Counter(nanousd)]


def carried_over(others: Iterable[tuple[int, int | None]], nanousd: int, since_ms: int | None) -> int:
    """What a new session's first figure carries over: of a cleared session's counter that counts since the same moment.

    Args:
        others: figure and start of the last counter of each session that was cleared.
    """
    fitting = [figure for figure, since in others if _same(since, since_ms) and figure <= nanousd]
    return max(fitting, default=0)


def _same(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and abs(one - other) <= SINCE_TOLERANCE_MS
