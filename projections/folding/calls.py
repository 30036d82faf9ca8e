"""The calls below one meter, each a plain value: what most readings are of, and most of a state's memory.

A call is a message whose readings all have a price. Nothing is below it, so it costs its highest reading while the run
is on and its latest once it has ended, and it keeps that in later runs. A message of which more is known, such as usage
without a price or a reading in two runs, has a meter of its own instead.

Readings only note which one decides a call from now on, and which one did before; sums follow when they are asked for.
Of very many calls the earlier ones are stored as bytes, in a third of the memory.
"""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import add, sub
from typing import Final

from projections.folding.basis import COUNTED, PARTIAL, PRICED, REPORTED, bits_of
from projections.folding.counters import NEVER, Moment
from projections.folding.readings import NO_TOKENS, Reading, Tokens
from projections.folding.spend import Amounts, Key

__all__ = ["Call", "Calls", "basis_bits", "call_of", "rank_of", "reading_of"]

Call = tuple[int, int, Tokens, str]
"""A priced reading of a call: cost, rank, usage, moment. Two compare as their `Reading`s do, and then by moment."""

_MARSHAL_VERSION: Final = 2
"""The last without references, which would make the bytes of a call take half as long again."""

_COST: Final = 0
_MOMENT: Final = 3
_REPORTED, _COMPLETE, _FINAL = 4, 2, 1
"""Bits of a rank, in the order in which the fields of a `Reading` compare."""

_MANY: Final = 10_000
"""So many readings may be noted before the sums are computed, and so many calls be no bytes: a bound for memory."""

_Sums = tuple[int, ...]
"""Of some calls: counts by the bits of their basis (`COUNTED`), and the tokens by bucket."""
_NO_SUMS: Final[_Sums] = (0, *NO_TOKENS)


def rank_of(*, reported: bool, complete: bool, final: bool) -> int:
    """Return the rank of a reading, by which two of one cost compare."""
    return _REPORTED * reported | _COMPLETE * complete | _FINAL * final


def call_of(stored: Call | bytes) -> Call:
    """Return a reading of a call that may be stored as bytes."""
    if type(stored) is tuple:
        return stored
    call: Call = marshal.loads(stored)  # type: ignore[arg-type]
    return call


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
        highest: the highest reading of each call of this run, which `call_of` reads.
        latest: the latest reading of each whose latest is another one.
        settled: of each call of earlier runs, the reading that it settled at, which `call_of` reads.
        deciding, replaced: the readings that decide calls, and those that no longer do, since the sums were computed.
        last_moment, last_seq: of the latest reading of this run.
        grown_nanousd: the cost of the calls of this run, up to date after `grow`; `settled_nanousd` is of earlier ones.
        booked: the amounts that are booked under the key.
    """

    key: Key
    highest: dict[str, Call | bytes] = field(default_factory=dict)
    latest: dict[str, Call] = field(default_factory=dict)
    settled: dict[str, Call | bytes] = field(default_factory=dict)
    deciding: list[Call] = field(default_factory=list)
    replaced: list[Call] = field(default_factory=list)
    last_moment: str = ""
    last_seq: int = 0
    grown_nanousd: int = 0
    settled_nanousd: int = 0
    booked: Amounts | None = None
    _packed: int = 0
    _counted: tuple[int, int] = (0, 0)
    _carried_nanousd: int = 0
    _sums: _Sums = _NO_SUMS
    _reported: _Sums = _NO_SUMS
    _settled_sums: _Sums = _NO_SUMS

    @property
    def last_at(self) -> Moment:
        """The moment and seq of the latest reading of this run."""
        return self.last_moment, self.last_seq

    @property
    def cost_nanousd(self) -> int:
        """The cost of all of them; up to date after `grow`."""
        return self.grown_nanousd + self.settled_nanousd

    def __contains__(self, message: str) -> bool:
        return message in self.highest or message in self.settled

    def __len__(self) -> int:
        return len(self.highest) + len(self.settled)

    def read(self, message: str, call: Call, *, ended: bool) -> None:
        """Take in a reading of a call of this run, or of a new one."""
        highest = self.highest.get(message)
        if highest is None:
            self.highest[message] = call
            self.deciding.append(call)
        else:
            self.read_again(message, highest, call, ended=ended)

    def read_again(self, message: str, highest: Call | bytes, call: Call, *, ended: bool) -> None:
        """Take in another reading of a call, whose highest one so far is given."""
        highest = call_of(highest)
        latest = self.latest.get(message, highest)
        is_later = call[_MOMENT] >= latest[_MOMENT]  # of two at one moment, the second in the ledger
        is_higher = call > highest
        if is_higher:
            self.highest[message] = call
            if is_later:
                self.latest.pop(message, None)
            else:
                self.latest[message] = latest
        elif is_later:
            self.latest[message] = call
        if is_later if ended else is_higher:
            self.deciding.append(call)
            self.replaced.append(latest if ended else highest)

    def figure(self, message: str, *, ended: bool) -> Call:
        """Return the reading of a call that decides what it costs."""
        found = self.latest.get(message) if ended else None
        return found or call_of(self.highest.get(message) or self.settled[message])

    def _count_costs(self) -> None:
        """Bring the cost up to date with the readings that were noted."""
        now, before = self._counted
        self.grown_nanousd += sum([call[_COST] for call in self.deciding[now:]])
        if self.replaced:
            self.grown_nanousd -= sum([call[_COST] for call in self.replaced[before:]])
        self._counted = (len(self.deciding), len(self.replaced))

    def sum_up(self) -> None:
        """Bring the cost and the sums up to date with the readings that were noted."""
        if self.deciding:
            self._count_costs()
            self._sums = tuple(map(add, self._sums, _sums(self.deciding)))
            if self.replaced:
                self._sums = tuple(map(sub, self._sums, _sums(self.replaced)))
                self.replaced.clear()
            self.deciding.clear()
            self._counted = (0, 0)

    def bound(self) -> None:
        """When many readings were noted, sum them up; when many calls are new, store them as bytes."""
        if len(self.deciding) > _MANY:
            self.sum_up()
        if (new := len(self.highest) - self._packed) > _MANY:
            for message, call in list(islice(reversed(self.highest.items()), new)):
                self.highest[message] = marshal.dumps(call_of(call), _MARSHAL_VERSION)
            self._packed = len(self.highest)

    def grow(self) -> int:
        """Return how the cost has changed since the last call of this."""
        self._count_costs()
        change = self.grown_nanousd - self._carried_nanousd
        self._carried_nanousd += change
        return change

    def update(self) -> _Sums:
        """Return how the sums of this run's calls have changed since the last call of this."""
        self.sum_up()
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
        self.deciding += self.latest.values()
        self.replaced += [call_of(self.highest[message]) for message in self.latest]

    def settle(self) -> None:
        """Start a new run after an end: every call keeps its reading; `update` was called."""
        self.settled.update(self.highest)
        self.settled.update(self.latest)
        self._settled_sums = tuple(map(add, self._settled_sums, self._sums))
        self.settled_nanousd += self.grown_nanousd
        self._sums, self._reported, self.grown_nanousd, self._carried_nanousd = _NO_SUMS, _NO_SUMS, 0, 0
        self.highest, self.latest, self._packed = {}, {}, 0
        self.last_moment, self.last_seq = NEVER

    def remove(self, message: str, *, ended: bool) -> tuple[Reading, Reading, str] | Reading:
        """Take a call out, for a meter of its own; what its parent counts for it stays the same.

        Returns:
            Of this run, its highest reading, its latest and the moment of that; of an earlier one, the reading that it
            settled at.
        """
        self.sum_up()
        if message in self.settled:
            call = call_of(self.settled.pop(message))
            self._settled_sums = tuple(map(sub, self._settled_sums, _sums([call])))
            self.settled_nanousd -= call[_COST]
            return reading_of(call)
        figure, highest = self.figure(message, ended=ended), call_of(self.highest.pop(message))
        latest, sums = self.latest.pop(message, highest), _sums([figure])
        self._sums, self._reported = tuple(map(sub, self._sums, sums)), tuple(map(sub, self._reported, sums))
        self.grown_nanousd -= figure[_COST]
        self._carried_nanousd -= figure[_COST]
        return reading_of(highest), reading_of(latest), latest[_MOMENT]


def _sums(calls: Sequence[Call]) -> _Sums:
    _, ranks, usages, _ = zip(*calls, strict=True)
    counts = sum([_COUNTED_BY_RANK[rank] * ranks.count(rank) for rank in set(ranks)])
    used = [usage for usage in usages if usage] if () in usages else usages
    return (counts, *(map(sum, zip(*used, strict=True)) if used else NO_TOKENS))
