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

from dataclasses import dataclass, field
from operator import add, sub
from typing import Final

from projections.folding.counters import NEVER, MeterCounters, Moment
from projections.folding.readings import NO_TOKENS, Figures, Reading, Tokens, lower_bound
from projections.folding.spend import Amounts, Dated, Key, Spent

__all__ = ["MESSAGE", "MODEL", "ROOT", "Below", "Meter", "Path", "Tree"]

Path = tuple[str | None, str | None, str | None, str | None]
ROOT: Final[Path] = (None, None, None, None)
MODEL, MESSAGE = 3, 4
_COST: Final = 0
"""The index of the cost in `spend.AMOUNTS`."""


@dataclass(slots=True, eq=False)
class Below:
    """The sums over the children of a meter; see `attribution.py`.

    Attributes:
        settled_nanousd: Σ over children of the cost at which each had settled when this run started.
        tokens, settled_tokens: Σ over children, now and when this run started.
        basis, new_basis: for each bit, the number of children whose own has it.
        unpriced_tokens: Σ over children.
    """

    tokens: Tokens = NO_TOKENS
    settled_tokens: Tokens = NO_TOKENS
    basis: int = 0
    new_basis: int = 0
    settled_nanousd: int = 0
    unpriced_tokens: int = 0


@dataclass(slots=True, eq=False)
class Meter:
    """One meter, and the sums of the meters below it.

    Attributes:
        level: 0 for the workflow, 1 for an agent, 2 a session, 3 a model, 4 a message.
        key: of its contribution in the spend; that of a message without a sub-agent is its parent's own object.
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

    def __post_init__(self) -> None:
        self.level, parent = level_of(self.path), self.parent
        shared = parent is not None and parent.subagent is None and self.level == MESSAGE
        self.key = parent.key if parent is not None and shared else self.path[:3]

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


@dataclass(slots=True, eq=False)
class Tree:
    """All meters of one workflow, and whether their run has ended.

    Attributes:
        spend: the amounts of each quarter hour, by the evidence for it; `spent` are those of the current one.
        moved: meters that changed since `attribution.py` last updated the tree.
        unpriced: meters with usage that had no price.
        lacking: meters with a reading that lacks a counter.
        restarted: the own figures of workflow, agents and models when a program was last started again in this run.
    """

    root: Meter = field(default_factory=lambda: Meter(ROOT, None))
    meters: dict[Path, Meter] = field(init=False)
    ended: bool = False
    spend: dict[Dated, Spent] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    moved: set[Meter] = field(default_factory=set)
    unpriced: set[Meter] = field(default_factory=set)
    lacking: set[Meter] = field(default_factory=set)
    restarted: dict[Meter, Reading] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.meters = {ROOT: self.root}

    def meter(self, path: Path) -> Meter:
        """Return the meter of a path; create it, with all above it, when it is new."""
        found = self.meters.get(path)
        if found is None:
            parent = self.meter(_parent(path))
            found = self.meters[path] = Meter(path, parent)
            parent.below = parent.below or Below()
        return found

    def read(self, meter: Meter, reading: Reading, at: Moment) -> None:
        """Take in a priced reading, and update the costs up to the root.

        Args:
            at: its moment and seq.
        """
        if meter.highest is None or reading > meter.highest:
            meter.highest = reading
            self.moved.add(meter)
        if at > meter.latest_at:
            meter.latest, meter.latest_at = reading, at
            if meter.counters is not None:
                meter.counters.replace(reading)
        if self.ended:
            self.moved.add(meter)
            self._update_ended(meter, at)
        elif reading.cost_nanousd > meter.cost_nanousd:
            _raise(meter, reading.cost_nanousd, self.spent)

    def count(self, meter: Meter, counter: str, reading: Reading, at: Moment) -> None:
        """Take in a priced reading of one of a meter's counters; see `read`, which takes one without a counter."""
        counters = self._counters(meter)
        counters.read(counter, reading, at, None if meter.final_reading is None else meter.latest_at)
        self.moved.add(meter)
        if self.ended:
            self._update_ended(meter, at)
        elif (cost := counters.running(meter.settled).cost_nanousd) > meter.cost_nanousd:
            _raise(meter, cost, self.spent)

    def _counters(self, meter: Meter) -> MeterCounters:
        meter.counters = meter.counters or MeterCounters(meter.settled)
        return meter.counters

    def restart(self) -> None:
        """Keep each meter's own figure, since the program starts again in a run that has not ended.

        Sessions and messages never begin at zero again.
        """
        meters = (meter for meter in self.meters.values() if meter.path[1] is None and meter.level != MESSAGE)
        self.restarted = {meter: word for meter in meters if (word := meter.last_word()) is not None}

    def miss_counter(self, meter: Meter) -> None:
        """Mark a meter with a reading that lacks a counter: its cost is a lower bound."""
        meter.lacks_counter = True
        if (read := self.restarted.get(meter)) is not None:
            meter.floor = lower_bound(read)
        self.lacking.add(meter)
        self.moved.add(meter)

    def label(self, meter: Meter, subagent: str) -> None:
        """Book a meter under a sub-agent's name; of several the smallest counts, in any order."""
        if meter.subagent is not None and meter.subagent <= subagent:
            return
        before, meter.subagent, meter.key = meter.key, subagent, (subagent, *meter.key[1:])
        amounts = meter.contribution
        if meter.key == before or not any(amounts):
            return
        self.spent[meter.key] = list(map(add, self.spent[meter.key], amounts))
        self.spent[before] = list(map(sub, self.spent[before], amounts))
        if not any(self.spent[before]):
            del self.spent[before]

    def use(self, meter: Meter, usage: Tokens, counter: str | None) -> None:
        """Take in usage that has no price."""
        if counter is not None:
            self._counters(meter).use(counter, usage)
        else:
            meter.unpriced = tuple(map(max, meter.unpriced, usage)) if meter.unpriced else usage
        self.unpriced.add(meter)
        self.moved.add(meter)

    def end(self) -> None:
        """End the run: from now on the latest readings count."""
        self.ended = True
        for meter in self.meters.values():
            meter.grown_nanousd = 0
        for meter in reversed(self.meters.values()):  # parents are made before their children
            cost = meter.evaluated(ended=True)
            change = cost - meter.cost_nanousd
            if change or meter.latest is not meter.highest or meter.counters is not None:
                self.moved.add(meter)
            meter.cost_nanousd = cost
            parent = meter.parent
            if parent is not None:
                parent.grown_nanousd += cost - meter.settled_nanousd
                parent.latest_below_at = max(parent.latest_below_at, meter.last_at, meter.latest_below_at)
            if change:
                self.spent[meter.key][_COST] += change
                if parent is not None:
                    self.spent[parent.key][_COST] -= change

    def settle(self) -> None:
        """Start a new run from the current costs; the caller has stored settled tokens and basis."""
        self.ended, self.restarted = False, {}
        for meter in self.meters.values():
            meter.settled_nanousd = meter.cost_nanousd
            meter.grown_nanousd = 0
            if meter.below is not None:
                meter.below.settled_nanousd = 0
            if meter.parent is not None and meter.parent.below is not None:  # parents are made before their children
                meter.parent.below.settled_nanousd += meter.settled_nanousd
            if meter.counters is not None:
                meter.counters.settle(meter.settled, meter.final_reading)
            meter.highest = meter.latest = None
            meter.latest_at = meter.latest_below_at = NEVER

    def _update_ended(self, meter: Meter, at: Moment) -> None:
        """Carry a reading that came after the end up to the root: it can replace any final figure above it."""
        current: Meter | None = meter
        carried = 0
        while current is not None:
            if current is not meter and at > current.latest_below_at:
                current.latest_below_at = at
            change = current.evaluated(ended=True) - current.cost_nanousd
            current.cost_nanousd += change
            if change != carried:
                self.spent[current.key][_COST] += change - carried
            if current.parent is not None:
                current.parent.grown_nanousd += change
            current, carried = current.parent, change


def _raise(meter: Meter, cost_nanousd: int, spent: Spent) -> None:
    """Carry a higher cost of a running meter up to the root; a meter above that does not grow stops it."""
    carried = 0
    while True:
        change = cost_nanousd - meter.cost_nanousd
        meter.cost_nanousd = cost_nanousd
        if change != carried:
            spent[meter.key][_COST] += change - carried
            carried = change
        if meter.parent is None:
            return
        meter = meter.parent
        meter.grown_nanousd += change
        cost_nanousd = meter.settled_nanousd + meter.grown_nanousd
        if cost_nanousd <= meter.cost_nanousd:
            spent[meter.key][_COST] -= change
            return


def level_of(path: Path) -> int:
    """Return the level of the deepest named part; 0 for the root."""
    agent, session_id, model, message_id = path
    if message_id is not None:
        return MESSAGE
    if model is not None:
        return 3
    return 2 if session_id is not None else int(agent is not None)


def _parent(path: Path) -> Path:
    agent, session_id, model, message_id = path
    if message_id is not None:
        return (agent, session_id, model, None)
    if model is not None:
        return (agent, session_id, None, None)
    return (agent, None, None, None) if session_id is not None else ROOT
