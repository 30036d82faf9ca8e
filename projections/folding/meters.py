"""The tree of meters of one workflow: workflow → agent → session → model → message.

A meter is identified by its path, `(agent, session_id, model, message_id)` with None for a part without a name; its
parent's path lacks the deepest named part. Per run each meter stores its highest and its latest priced reading, and the
figure it had settled at when the run started. Its cost follows from those and from the meters below it:

    below(m) = max(0, settled(m) + Σ over children c of (cost(c) − settled(c)))
    running:  cost(m) = max(highest(m), below(m))
    ended:    cost(m) = latest(m) if that is final and no priced reading below m is later,
              else max(latest(m), below(m)); without a reading of its own in this run, below(m)

Readings that name a counter add up instead; `counters.py` defines the sum. It competes with the highest reading without
a counter, and is the meter's latest figure when one of its readings is the latest. A reading that lacks a counter after
a restart does not take the place of what the meter had read before it; see `Tree.restart`.

Each meter contributes `cost(m) − Σ over children c of cost(c)` to the breakdown, under its key: the agent, session and
model of its path, or the name of a sub-agent instead of the agent's once a reading names one. Each change of a cost
books the changes of the contributions up to the root, under the tree's current quarter hour. Tokens follow lazily: the
tree collects the meters that changed, and `attribution.py` updates them.

Money is integer nanodollars. This module is independent of events and ledgers.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from operator import sub
from typing import Final

from projections.folding.calls import Calls
from projections.folding.counters import NEVER, MeterCounters, Moment
from projections.folding.readings import NO_TOKENS, Figures, Reading, Tokens
from projections.folding.spend import Amounts, Key

__all__ = ["MESSAGE", "MODEL", "OWN", "ROOT", "SUMMED", "Below", "Meter", "Path", "level_of"]

Path = tuple[str | None, str | None, str | None, str | None]
ROOT: Final[Path] = (None, None, None, None)
MODEL, MESSAGE = 3, 4

OWN, SUMMED = 1, 2
"""What decides a meter's cost, where the meters below it do not: its own reading, or the sum of its counters."""


@dataclass(slots=True, eq=False)
class Below:
    """The sums over the children of a meter; see `attribution.py`.

    Attributes:
        settled_nanousd: Σ over children of the cost at which each had settled when this run started.
        tokens, settled_tokens: Σ over children, now and when this run started.
        basis, new_basis: for each bit, the number of children whose own has it.
        unpriced_tokens: Σ over children.
        calls: the messages among the children that are no more than calls, by sub-agent.
        messages: those among the children that have a meter.
    """

    tokens: Tokens = NO_TOKENS
    settled_tokens: Tokens = NO_TOKENS
    basis: int = 0
    new_basis: int = 0
    settled_nanousd: int = 0
    unpriced_tokens: int = 0
    calls: dict[str | None, Calls] = field(default_factory=dict)
    messages: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Meter:
    """One meter, and the sums of the meters below it.

    Attributes:
        level: 0 for the workflow, 1 for an agent, 2 a session, 3 a model, 4 a message.
        key: of its contribution in the spend.
        subagent: the smallest name of a sub-agent on its readings.
        highest: of this run's readings without a counter.
        latest: of this run's readings without a counter, and `latest_at`, its moment and seq.
        counters: of this run's readings with one; None without any.
        latest_below_at: the moment and seq of the latest priced reading of any meter below; set once the run has ended.
        unpriced: bucketwise largest usage of its readings without a price, until a price covers it.
        lacks_counter: a reading of this run names no counter, and is below the meter's settled cost or below what the
            meter had read when the program started again.
        floor: the latter, which an incomplete latest reading does not take the place of.
        settled_lacks_counter: the same of an earlier run, whose figure no reading has replaced since.
        settled_nanousd, settled_tokens, settled_bits: its figures when this run started, and the bits of all readings
            that they were taken from.
        settled_unpriced: usage of earlier runs that no price covered.
        settled_basis: bits of its own readings that the settled figure was taken from; 0 when its children decided it.
        settled_levels: bits of the levels of the meters below that the settled figure was added up from.
        grown_nanousd: Σ over children of (cost − settled).
        tokens, basis, new_basis, decides, uncovered, unpriced_tokens: as `attribution.py` last computed them;
            `new_basis` is of this run alone.
        below: the sums of its children; None without any.
        booked: the amounts that are booked, and `booked_key`, under which key; None before the first.
    """

    path: Path
    parent: Meter | None
    level: int = field(init=False)
    key: Key = field(init=False)
    subagent: str | None = None
    highest: Reading | None = None
    latest: Reading | None = None
    latest_at: Moment = NEVER
    latest_below_at: Moment = NEVER
    counters: MeterCounters | None = None
    unpriced: Tokens | None = None
    settled_unpriced: Tokens | None = None
    cost_nanousd: int = 0
    grown_nanousd: int = 0
    settled_nanousd: int = 0
    tokens: Tokens = NO_TOKENS
    settled_tokens: Tokens = NO_TOKENS
    settled_basis: int = 0
    settled_bits: int = 0
    settled_levels: int = 0
    basis: int = 0
    new_basis: int = 0
    unpriced_tokens: int = 0
    decides: int = 0
    uncovered: bool = False
    lacks_counter: bool = False
    settled_lacks_counter: bool = False
    floor: Reading | None = None
    below: Below | None = None
    booked: Amounts | None = None
    booked_key: Key | None = None

    def __post_init__(self) -> None:
        self.level, self.key = level_of(self.path), self.path[:3]

    @property
    def calls(self) -> Collection[Calls]:
        """The messages below it that are no more than calls, by sub-agent."""
        return () if self.below is None else self.below.calls.values()

    def calls_with(self, message: str) -> Calls | None:
        """Return the calls below it that have a message; None when none have."""
        return next((calls for calls in self.calls if message in calls), None)

    @property
    def below_nanousd(self) -> int:
        """The cost by the meters below it alone."""
        return max(0, self.settled_nanousd + self.grown_nanousd)

    @property
    def settled(self) -> Figures:
        """The cost and the tokens that it had settled at when this run started."""
        return (self.settled_nanousd, *self.settled_tokens)

    @property
    def final_reading(self) -> Reading | None:
        """Its latest reading without a counter, when that is final and so covers all before it."""
        return self.latest if self.latest is not None and self.latest.final else None

    @property
    def reads(self) -> bool:
        """Whether it has a figure from readings of its own, and not only from the meters below it."""
        own = self.highest is not None or self.counters is not None or self.unpriced is not None
        return own or bool(self.settled_basis) or self.settled_unpriced is not None

    @property
    def last_at(self) -> Moment:
        """The moment and seq of its latest reading in this run."""
        return self.latest_at if self.counters is None else max(self.latest_at, self.counters.latest_at)

    @property
    def contribution(self) -> Amounts:
        """The amounts booked under its key: its own figures less those of its children."""
        tokens, cost, unpriced_tokens = self.tokens, self.cost_nanousd, self.unpriced_tokens
        if self.below is not None:
            cost -= self.below.settled_nanousd + self.grown_nanousd
            tokens = tuple(map(sub, tokens, self.below.tokens))
            unpriced_tokens -= self.below.unpriced_tokens
        return [cost, *tokens, int(self.uncovered), unpriced_tokens, 0]

    def chosen(self, *, ended: bool) -> Reading | None:
        """Return its own reading when that decides its cost, ties included; None when the meters below do."""
        counters = self.counters
        if not ended:
            highest = self.highest
            if counters is not None and counters.highest:
                summed = counters.running(self.settled)
                highest = summed if highest is None or summed > highest else highest
            return highest if highest is not None and highest.cost_nanousd >= self.below_nanousd else None
        latest = self.last_word()
        if latest is None:
            return None
        covers_all = latest.final and self.latest_below_at <= self.last_at
        return latest if covers_all or latest.cost_nanousd >= self.below_nanousd else None

    def last_word(self) -> Reading | None:
        """Return its own figure once its run has ended; None without a reading of its own in this run."""
        latest, counters, floor = self.latest, self.counters, self.floor
        if counters is not None and counters.latest_at > self.latest_at:
            latest = counters.final(self.settled, self.final_reading)
        if floor is None or latest is None or latest.cost_nanousd >= floor.cost_nanousd:
            return latest
        absolute = self.final_reading is not None and self.final_reading.complete
        return latest if absolute else floor

    def evaluated(self, *, ended: bool) -> int:
        """Return its cost by the rules above, given its children's costs."""
        chosen = self.chosen(ended=ended)
        return self.below_nanousd if chosen is None else chosen.cost_nanousd


def level_of(path: Path) -> int:
    """Return the level of the deepest named part; 0 for the root."""
    agent, session_id, model, message_id = path
    if message_id is not None:
        return MESSAGE
    if model is not None:
        return 3
    return 2 if session_id is not None else int(agent is not None)
