"""The meters of one workflow as readings reach them, and how their costs follow from it; `meters.py` has the rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from projections.folding.calls import Calls, basis_bits, call_of
from projections.folding.counters import NEVER, MeterCounters, Moment
from projections.folding.meters import MESSAGE, OWN, ROOT, Below, Meter, Path
from projections.folding.readings import NO_TOKENS, Reading, Tokens, lower_bound
from projections.folding.spend import Dated, Spent

__all__ = ["Tree", "calls_for", "takes_all"]


@dataclass(slots=True, eq=False)
class Tree:
    """All meters of one workflow, and whether their run has ended.

    Attributes:
        meters: by their path; those above one come before it. A message has one only where it is more than a call.
        spend: the amounts of each quarter hour, by the evidence for it; `spent` are those of the current one.
        dirty: meters with readings that are not in the costs yet; see `settle_costs`.
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
    dirty: set[Meter] = field(default_factory=set)
    moved: set[Meter] = field(default_factory=set)
    unpriced: set[Meter] = field(default_factory=set)
    lacking: set[Meter] = field(default_factory=set)
    restarted: dict[Meter, Reading] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.meters = {ROOT: self.root}

    @property
    def cost_nanousd(self) -> int:
        """The cost of the workflow."""
        self.settle_costs()
        return self.root.cost_nanousd

    @property
    def size(self) -> int:
        """The number of meters, those of calls among them."""
        return len(self.meters) + sum(len(calls) for meter in self.meters.values() for calls in meter.calls)

    def meter(self, path: Path) -> Meter:
        """Return the meter of a path; create it, with all above it, when it is new or was a call until now."""
        found = self.meters.get(path)
        if found is None:
            parent = self.meter(_parent(path))
            message = path[3]
            calls = None if message is None else parent.calls_with(message)
            found = self.meters[path] = Meter(path, parent)
            parent.below = parent.below or Below()
            if message is not None:
                parent.below.messages.add(message)
                if calls is not None:
                    self._take_out(calls, message, found)
        return found

    def find(self, path: Path) -> Meter | None:
        """Return the meter of a path at its current cost; None when nothing was read there or below."""
        self.settle_costs()
        found, message = self.meters.get(path), path[3]
        if found is not None or message is None:
            return found
        parent = self.meters.get(_parent(path))
        return None if parent is None or parent.calls_with(message) is None else self.meter(path)

    def highest_nanousd(self, path: Path) -> int | None:
        """Return the highest reading without a counter of a path in this run; None without any."""
        found, message = self.meters.get(path), path[3]
        if found is not None or message is None:
            return None if found is None or found.highest is None else found.highest.cost_nanousd
        parent = self.meters.get(_parent(path))
        calls = None if parent is None else parent.calls_with(message)
        call = None if calls is None else calls.highest.get(message)
        return None if call is None else call_of(call)[0]

    def _take_out(self, calls: Calls, message: str, meter: Meter) -> None:
        """Make a call a meter with the same figures."""
        assert meter.parent is not None
        taken = calls.remove(message, ended=self.ended)
        meter.key = calls.key
        meter.subagent = None if calls.key == meter.path[:3] else calls.key[0]
        if isinstance(taken, Reading):
            figure = taken
            meter.settled_nanousd, meter.settled_tokens = figure.cost_nanousd, figure.usage or NO_TOKENS
        else:
            meter.highest, meter.latest, moment = taken
            meter.latest_at = (moment, 0)  # every later line has a larger seq
            figure = meter.latest if self.ended else meter.highest
        meter.cost_nanousd, meter.tokens = figure.cost_nanousd, figure.usage or NO_TOKENS
        meter.basis = basis_bits(reported=figure.reported, complete=figure.complete)
        if isinstance(taken, Reading):
            meter.settled_basis = meter.settled_bits = meter.basis
        else:
            meter.new_basis = meter.basis
            meter.decides = OWN
        self.dirty.update((meter, meter.parent))

    def read(self, meter: Meter, reading: Reading, at: Moment) -> None:
        """Take in a priced reading without a counter.

        Args:
            at: its moment and seq.
        """
        if meter.highest is None or reading > meter.highest:
            meter.highest = reading
        if at > meter.latest_at:
            meter.latest, meter.latest_at = reading, at
            if meter.counters is not None:
                meter.counters.replace(reading)
        self.dirty.add(meter)

    def count(self, meter: Meter, counter: str, reading: Reading, at: Moment) -> None:
        """Take in a priced reading of one of a meter's counters; see `read`, which takes one without a counter."""
        counters = self._counters(meter)
        counters.read(counter, reading, at, None if meter.final_reading is None else meter.latest_at)
        self.dirty.add(meter)

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
        if (read := self.restarted.get(meter)) is not None:
            meter.floor = lower_bound(read)
        meter.lacks_counter = True
        self.lacking.add(meter)
        self.dirty.add(meter)

    def label(self, meter: Meter, subagent: str) -> None:
        """Book a meter under a sub-agent's name; of several the smallest counts, in any order."""
        if meter.subagent is None or subagent < meter.subagent:
            meter.subagent, meter.key = subagent, (subagent, *meter.key[1:])
            self.dirty.add(meter)

    def use(self, meter: Meter, usage: Tokens, counter: str | None) -> None:
        """Take in usage that has no price."""
        if counter is not None:
            self._counters(meter).use(counter, usage)
        else:
            meter.unpriced = tuple(map(max, meter.unpriced, usage)) if meter.unpriced else usage
        self.unpriced.add(meter)
        self.dirty.add(meter)

    def settle_costs(self) -> None:
        """Carry the costs of the meters that were read up to the root."""
        if not self.dirty:
            return
        ended = self.ended
        for meter in self.dirty:
            for calls in meter.calls:
                meter.grown_nanousd += calls.grow()
                if ended:
                    meter.latest_below_at = max(meter.latest_below_at, calls.last_at)
            current = meter
            while True:
                change = current.evaluated(ended=ended) - current.cost_nanousd
                current.cost_nanousd += change
                parent = current.parent
                if parent is None or not (change or ended):
                    break
                parent.grown_nanousd += change
                if ended:  # a late reading can take away the last word of a final one above it
                    parent.latest_below_at = max(parent.latest_below_at, current.last_at, current.latest_below_at)
                current = parent
        self.moved |= self.dirty
        self.dirty.clear()

    def end(self) -> None:
        """End the run: from now on the latest readings count."""
        if self.ended:
            return
        self.ended = True
        self.moved |= self.dirty
        self.dirty.clear()
        for meter in self.meters.values():
            meter.grown_nanousd = 0
        for meter in reversed(self.meters.values()):  # parents are made before their children
            for calls in meter.calls:
                calls.end()
                calls.grow()
                meter.grown_nanousd += calls.grown_nanousd
                meter.latest_below_at = max(meter.latest_below_at, calls.last_at)
            cost = meter.evaluated(ended=True)
            if cost != meter.cost_nanousd or meter.latest is not meter.highest or meter.counters or meter.calls:
                self.moved.add(meter)
            meter.cost_nanousd = cost
            if (parent := meter.parent) is not None:
                parent.grown_nanousd += cost - meter.settled_nanousd
                parent.latest_below_at = max(parent.latest_below_at, meter.last_at, meter.latest_below_at)

    def settle(self) -> None:
        """Start a new run from the current costs; the caller has stored settled tokens and basis."""
        self.ended, self.restarted = False, {}
        for meter in self.meters.values():
            meter.settled_nanousd = meter.cost_nanousd
            meter.grown_nanousd = 0
            for calls in meter.calls:
                calls.settle()
            if meter.below is not None:
                meter.below.settled_nanousd = sum(calls.settled_nanousd for calls in meter.calls)
            if meter.parent is not None and meter.parent.below is not None:  # parents are made before their children
                meter.parent.below.settled_nanousd += meter.settled_nanousd
            if meter.counters is not None:
                meter.counters.settle(meter.settled, meter.final_reading)
            meter.highest = meter.latest = None
            meter.latest_at = meter.latest_below_at = NEVER


def calls_for(parent: Meter, message: str, subagent: str | None) -> Calls | None:
    """Return the calls that a message can be read among; None when it needs a meter."""
    below = parent.below = parent.below or Below()
    calls = below.calls.get(subagent)
    if calls is not None and message in calls.highest:
        return calls
    if message in below.messages:
        return None
    for name, other in below.calls.items():
        if message in other:
            return other if message in other.highest and subagent in (None, name) else None
    if calls is None:
        key = parent.path[:3] if subagent is None else (subagent, *parent.path[1:3])
        calls = below.calls[subagent] = Calls(key)
    return calls


def takes_all(parent: Meter, calls: Calls, subagent: str | None) -> bool:
    """Return whether every message that a sub-agent reads below a meter is, or can be, among these calls."""
    below = parent.below
    return (
        below is not None
        and len(below.calls) == 1
        and below.calls.get(subagent) is calls
        and not below.messages
        and not calls.settled
    )


def _parent(path: Path) -> Path:
    agent, session_id, model, message_id = path
    if message_id is not None:
        return (agent, session_id, model, None)
    if model is not None:
        return (agent, session_id, None, None)
    return (agent, None, None, None) if session_id is not None else ROOT
