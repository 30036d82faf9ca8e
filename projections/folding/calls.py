"""The calls below one meter, each a plain value: what most readings are of, and most of a state's memory.

A call is a message whose readings all have a price. Nothing is below it, so it costs its highest reading while the run
is on and its latest once it has ended, and it keeps that in later runs. A message of which more is known, such as usage
without a price or a reading in two runs, has a meter of its own instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import add, sub
from typing import Final

from projections.folding.basis import COUNTED, PARTIAL, PRICED, REPORTED, bits_of
from projections.folding.counters import NEVER, Moment
from projections.folding.readings import NO_TOKENS, Reading, Tokens
from projections.folding.spend import Amounts, Key

__all__ = ["Call", "Calls", "basis_bits", "rank_of", "reading_of"]

Call = tuple[int, int, Tokens, str]
"""A priced reading of a call: cost, rank, usage, moment. Two compare as their `Reading`s do, and then by moment."""

_COST: Final = 0
_MOMENT: Final = 3
_REPORTED, _COMPLETE, _FINAL = 4, 2, 1
"""Bits of a rank, in the order in which the fields of a `Reading` compare."""

_CHANGED_MAX: Final = 10_000
"""So many calls may have changed before their sums are computed: a bound for memory."""

_Sums = tuple[int, ...]
"""Counts of calls by the bits of their basis (`COUNTED`), and the tokens by bucket, of some calls."""
_NO_SUMS: Final[_Sums] = (0, *NO_TOKENS)


def rank_of(*, reported: bool, complete: bool, final: bool) -> int:
    """Return the rank of a reading, by which two of one cost compare."""
    return _REPORTED * reported | _COMPLETE * complete | _FINAL * final


def reading_of(call: Call) -> Reading:
    """Return a plain value as a reading."""
    cost, rank, usage, _ = call
    return Reading(cost, bool(rank & _REPORTED), bool(rank & _COMPLETE), bool(rank & _FINAL), usage)


def basis_bits(*, reported: bool, complete: bool) -> int:
    """Return the bits of the basis of a reading."""
    return (REPORTED if reported else PRICED) | (0 if complete else PARTIAL)


_COUNTED_BY_RANK: Final = [
    COUNTED[basis_bits(reported=bool(rank & _REPORTED), complete=bool(rank & _COMPLETE))] for rank in range(8)
]


@dataclass(slots=True, eq=False)
class Calls:
    """The calls below one meter that have the same sub-agent.

    Attributes:
        key: of their contribution in the spend.
        highest: the highest reading of each call of this run.
        latest: the latest reading of each whose latest is another one.
        settled: of each call of earlier runs, the reading that it settled at.
        last_moment, last_seq: of the latest reading of this run.
        cost_nanousd: of all of them; `settled_nanousd` is that of `settled`.
        booked: the amounts that are booked under the key.
    """

    key: Key
    highest: dict[str, Call] = field(default_factory=dict)
    latest: dict[str, Call] = field(default_factory=dict)
    settled: dict[str, Call] = field(default_factory=dict)
    last_moment: str = ""
    last_seq: int = 0
    cost_nanousd: int = 0
    settled_nanousd: int = 0
    booked: Amounts | None = None
    _changed: dict[str, Call | None] = field(default_factory=dict)
    _sums: _Sums = _NO_SUMS
    _reported: _Sums = _NO_SUMS
    _settled_sums: _Sums = _NO_SUMS

    @property
    def last_at(self) -> Moment:
        """The moment and seq of the latest reading of this run."""
        return self.last_moment, self.last_seq

    def __contains__(self, message: str) -> bool:
        return message in self.highest or message in self.settled

    def __len__(self) -> int:
        return len(self.highest) + len(self.settled)

    def __iter__(self) -> Iterator[str]:
        yield from self.highest
        yield from self.settled

    def read(self, message: str, call: Call, seq: int, *, ended: bool) -> int | None:
        """Take in a reading of a call of this run, or of a new one.

        Returns:
            The change of its cost; None when nothing has changed.
        """
        moment = call[_MOMENT]
        if moment >= self.last_moment:
            self.last_moment, self.last_seq = moment, seq
        highest = self.highest.get(message)
        if highest is None:
            self.highest[message] = call
            self.cost_nanousd += call[_COST]
            self._note(message, None, ended=ended)
            return call[_COST]
        latest = self.latest.get(message, highest)
        is_later = moment >= latest[_MOMENT]  # of two at one moment, the second in the ledger
        if call > highest:
            self.highest[message] = call
            if is_later:
                self.latest.pop(message, None)
            else:
                self.latest[message] = latest
        elif is_later:
            self.latest[message] = call
        if not (is_later if ended else call > highest):
            return None
        before = latest if ended else highest
        self._note(message, before, ended=ended)
        change = call[_COST] - before[_COST]
        self.cost_nanousd += change
        return change

    def _note(self, message: str, before: Call | None, *, ended: bool) -> None:
        """Record that a call changed, and what decided its cost before."""
        self._changed.setdefault(message, before)
        if len(self._changed) >= _CHANGED_MAX:
            self._sum_up(ended=ended)

    def figure(self, message: str, *, ended: bool) -> Call:
        """Return the reading of a call that decides what it costs."""
        found = self.latest.get(message) if ended else None
        return found or self.highest.get(message) or self.settled[message]

    def _sum_up(self, *, ended: bool) -> None:
        """Bring the sums up to date with the calls that changed."""
        changed, self._changed = self._changed, {}
        now = [self.highest[message] for message in changed]
        if ended and self.latest:
            now = [self.latest.get(message, call) for message, call in zip(changed, now, strict=True)]
        before = _sums(call for call in changed.values() if call is not None)
        self._sums = tuple([old + new - gone for old, new, gone in zip(self._sums, _sums(now), before, strict=True)])

    def update(self, *, ended: bool) -> _Sums:
        """Return how the sums of this run's calls have changed since the last call of this."""
        if self._changed:
            self._sum_up(ended=ended)
        change = tuple(map(sub, self._sums, self._reported))
        self._reported = self._sums
        return change

    @property
    def contribution(self) -> Amounts:
        """The amounts to book under the key; up to date after `update`."""
        _, *tokens = map(add, self._sums, self._settled_sums)
        return [self.cost_nanousd, *tokens, 0, 0, 0]

    def is_partial(self, *, new: bool) -> bool:
        """Return whether a reading is incomplete, of this run or of all."""
        return bool(bits_of(self._sums[0] if new else self._sums[0] + self._settled_sums[0]) & PARTIAL)

    def end(self) -> None:
        """End the run: from now on the latest readings count."""
        self._sum_up(ended=False)
        for message, latest in self.latest.items():
            highest = self.highest[message]
            self._changed[message] = highest
            self.cost_nanousd += latest[_COST] - highest[_COST]

    def settle(self) -> None:
        """Start a new run after an end: every call keeps its reading; `update` was called."""
        self.settled.update(self.highest)
        self.settled.update(self.latest)
        self._settled_sums = tuple(map(add, self._settled_sums, self._sums))
        self._sums = self._reported = _NO_SUMS
        self.highest, self.latest = {}, {}
        self.last_moment, self.last_seq = NEVER
        self.settled_nanousd = self.cost_nanousd

    def remove(self, message: str, *, ended: bool) -> tuple[Reading, Reading, str] | Reading:
        """Take a call out, for a meter of its own; what its parent counts for it stays the same.

        Returns:
            Of this run, its highest reading, its latest and the moment of that; of an earlier one, the reading that it
            settled at.
        """
        self._sum_up(ended=ended)
        if message in self.settled:
            call = self.settled.pop(message)
            self._settled_sums = tuple(map(sub, self._settled_sums, _sums([call])))
            self.cost_nanousd -= call[_COST]
            self.settled_nanousd -= call[_COST]
            return reading_of(call)
        figure, highest = self.figure(message, ended=ended), self.highest.pop(message)
        latest, sums = self.latest.pop(message, highest), _sums([figure])
        self._sums, self._reported = tuple(map(sub, self._sums, sums)), tuple(map(sub, self._reported, sums))
        self.cost_nanousd -= figure[_COST]
        return reading_of(highest), reading_of(latest), latest[_MOMENT]


def _sums(calls: Iterable[Call]) -> _Sums:
    ranks, usages = [], [NO_TOKENS]
    for _, rank, usage, _ in calls:
        ranks.append(rank)
        if usage:
            usages.append(usage)
    return (sum(map(_COUNTED_BY_RANK.__getitem__, ranks)), *map(sum, zip(*usages, strict=True)))
