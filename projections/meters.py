"""The tree of meters of one workflow: workflow → agent → session → model → message.

A meter is known by its path, `(agent, session_id, model, message_id)` with None for what is not named; its parent's
path lacks the deepest named part. Per run each meter keeps its highest and its latest priced reading, and what it
had settled at when the run began. What it cost follows from those and from the meters below it:

    below(m) = max(0, settled(m) + Σ over children c of (cost(c) − settled(c)))
    running:  cost(m) = max(highest(m), below(m))
    ended:    cost(m) = latest(m) if that is final and no priced reading below m is later,
              else max(latest(m), below(m)); without a reading of its own in this run, below(m)

Money is integer nanodollars. This file knows no event and no ledger.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.events import USAGE_FIELDS

__all__ = ["NO_TOKENS", "ROOT", "Meter", "Path", "Reading", "Tokens", "Tree"]

Path = tuple[str | None, str | None, str | None, str | None]
Tokens = tuple[int, ...]
"""Counts in the order of `USAGE_FIELDS`."""

ROOT: Final[Path] = (None, None, None, None)
_NO_LEVELS: Final[frozenset[str]] = frozenset()
NO_TOKENS: Final[Tokens] = (0,) * len(USAGE_FIELDS)


class Reading(NamedTuple):
    """A priced reading, ordered by which of two wins: by cost, then by content, never by arrival."""

    cost_nanousd: int
    reported: bool
    complete: bool
    final: bool
    usage: Tokens
    """Empty when the reading has none."""


class Meter:
    """One meter and the meters below it.

    Attributes:
        highest: of this run.
        latest: of this run, and `latest_at`, its moment and seq.
        latest_below_at: the moment and seq of the latest priced reading of any meter below; known once ended.
        unpriced: bucketwise largest usage of its readings without a price, until a price covers it.
        settled_nanousd, settled_tokens: what it stood at when this run began.
        settled_basis: bits of the readings that this figure was taken from; 0 when its children's say it.
        settled_levels: the kinds of meters below that this figure was added up from.
        grown_nanousd: Σ over children of (cost − settled).
    """

    __slots__ = (
        "children",
        "cost_nanousd",
        "grown_nanousd",
        "highest",
        "latest",
        "latest_at",
        "latest_below_at",
        "parent",
        "path",
        "settled_basis",
        "settled_levels",
        "settled_nanousd",
        "settled_tokens",
        "unpriced",
    )

    def __init__(self, path: Path, parent: Meter | None) -> None:
        self.path, self.parent = path, parent
        self.children: list[Meter] = []
        self.highest: Reading | None = None
        self.latest: Reading | None = None
        self.latest_at = self.latest_below_at = ("", 0)
        self.unpriced: Tokens | None = None
        self.cost_nanousd = self.grown_nanousd = self.settled_nanousd = 0
        self.settled_tokens = NO_TOKENS
        self.settled_basis = 0
        self.settled_levels: frozenset[str] = _NO_LEVELS

    @property
    def below_nanousd(self) -> int:
        return max(0, self.settled_nanousd + self.grown_nanousd)

    def chosen(self, *, ended: bool) -> Reading | None:
        """Its own reading when that decides its cost, ties included; None when the meters below do."""
        if not ended:
            highest = self.highest
            return highest if highest is not None and highest.cost_nanousd >= self.below_nanousd else None
        latest = self.latest
        if latest is None:
            return None
        last_word = latest.final and self.latest_below_at <= self.latest_at
        return latest if last_word or latest.cost_nanousd >= self.below_nanousd else None

    def evaluated(self, *, ended: bool) -> int:
        """What it costs by the rules above, given its children's costs."""
        chosen = self.chosen(ended=ended)
        return self.below_nanousd if chosen is None else chosen.cost_nanousd


class Tree:
    """All meters of one workflow, and whether their run has ended."""

    __slots__ = ("ended", "meters", "root")

    def __init__(self) -> None:
        self.root = Meter(ROOT, None)
        self.meters: dict[Path, Meter] = {ROOT: self.root}
        self.ended = False

    def meter(self, path: Path) -> Meter:
        """The meter of a path, made with all above it when it is new."""
        found = self.meters.get(path)
        if found is None:
            parent = self.meter(_parent(path))
            found = self.meters[path] = Meter(path, parent)
            parent.children.append(found)
        return found

    def read(self, meter: Meter, reading: Reading, at: tuple[str, int]) -> None:
        """Take in a priced reading, and what it changes up to the root.

        Args:
            at: its moment and seq.
        """
        if meter.highest is None or reading > meter.highest:
            meter.highest = reading
        if at > meter.latest_at:
            meter.latest, meter.latest_at = reading, at
        if self.ended:
            self._update_ended(meter, at)
        elif reading.cost_nanousd > meter.cost_nanousd:
            _raise(meter, reading.cost_nanousd)

    def end(self) -> None:
        """The run has ended: the last words count."""
        self.ended = True
        for meter in reversed(self.meters.values()):  # parents are made before their children
            meter.grown_nanousd = 0
            for child in meter.children:
                meter.grown_nanousd += child.cost_nanousd - child.settled_nanousd
                meter.latest_below_at = max(meter.latest_below_at, child.latest_at, child.latest_below_at)
            meter.cost_nanousd = meter.evaluated(ended=True)

    def settle(self) -> None:
        """A new run begins where the last one ended; the caller has stored settled tokens and basis."""
        self.ended = False
        for meter in self.meters.values():
            meter.settled_nanousd = meter.cost_nanousd
            meter.grown_nanousd = 0
            meter.highest = meter.latest = None
            meter.latest_at = meter.latest_below_at = ("", 0)

    def _update_ended(self, meter: Meter, at: tuple[str, int]) -> None:
        """Carry a reading that came after the end up to the root: it can unseat any last word above it."""
        current: Meter | None = meter
        while current is not None:
            if current is not meter and at > current.latest_below_at:
                current.latest_below_at = at
            change = current.evaluated(ended=True) - current.cost_nanousd
            current.cost_nanousd += change
            if current.parent is not None:
                current.parent.grown_nanousd += change
            current = current.parent


def _raise(meter: Meter, cost_nanousd: int) -> None:
    """Carry a higher cost of a running meter up to the root; what does not grow above it stays."""
    while True:
        change = cost_nanousd - meter.cost_nanousd
        meter.cost_nanousd = cost_nanousd
        if meter.parent is None:
            return
        meter = meter.parent
        meter.grown_nanousd += change
        cost_nanousd = meter.settled_nanousd + meter.grown_nanousd
        if cost_nanousd <= meter.cost_nanousd:
            return


def _parent(path: Path) -> Path:
    agent, session_id, model, message_id = path
    if message_id is not None:
        return (agent, session_id, model, None)
    if model is not None:
        return (agent, session_id, None, None)
    return (agent, None, None, None) if session_id is not None else ROOT
