"""Sums of the spend in chunks, by group and period."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import chain, compress, groupby, repeat
from operator import add, itemgetter
from typing import Any, Final

import orjson

from projections.history.packed import cost_of
from projections.history.spend_groups import Derived, Group, Most, MostSpent, SpendSum, Where, columns_of, grouping
from projections.history.sqlite import chunks
from projections.history.sqlite.chunks import COLUMNS, Level
from projections.history.sqlite.compaction import marked

__all__ = ["most", "sums"]

_NAMES: Final[tuple[Group, ...]] = ("agent", "model", "spent_at_from", "run")

_OF_QUARTERS: Final = {"model", "spent_at_from"}
_BITS: Final = 32
"""Of each part of a key: names, columns, session and period."""
_COLUMN, _SESSION, _PERIOD = _BITS, 2 * _BITS, 3 * _BITS
_LOW: Final = (1 << _BITS) - 1
_LEFT_OUT: Final = -1 << 5 * _BITS
"""Makes every key negative; no such key has a sum."""
_DAY: Final = 96
_FIRST_QUARTER: Final = 1 << 31
"""Makes every quarter hour positive."""


def sums(
    db: sqlite3.Connection,
    by: Sequence[Group | Derived],
    first: int | None,
    last: int | None,
    *,
    starts: Sequence[int] | None,
    where: Where,
) -> Iterator[SpendSum]:
    """Return the sums of `HistoryStore.spent`, all read in one state of the database."""
    return _answered(db, _Question(by, first, last, starts, where)).found()


def most(db: sqlite3.Connection, asked: Most) -> MostSpent | None:
    """Return the groups of `HistoryStore.spent_most`, in one state of the database."""
    question = _Question(asked.by, asked.first, asked.last, (), asked.where)
    return _answered(db, question).most(asked.count, latest=asked.latest)


def _answered(db: sqlite3.Connection, question: _Question) -> _Question:
    """Return a question with its sums."""
    sessions = "session_id" in question.asked
    stale, made_now = marked(db)
    columns = [name for name in COLUMNS if name in question.asked or (stale and name == "adw_id")]
    read = partial(chunks.stored, db, sessions=sessions)

    def of_chunk(number: int, level: int) -> Level:
        return next(read(level, columns, number=number))

    for one in read(question.level, columns, first=question.first, last=question.last):
        question.take(one, partial(of_chunk, one.number), stale)
    if made_now:
        question.take(made_now[question.level], made_now.__getitem__, frozenset())
    return question


class _Periods(dict[int, int]):
    """The part of a key that a quarter hour decides.

    Attributes:
        quarters: a quarter hour of each period by its part of a key.
    """

    def __init__(self, first: int | None, last: int | None, starts: Sequence[int] | None) -> None:
        self._first = -_FIRST_QUARTER if first is None else first
        self._last = _FIRST_QUARTER if last is None else last
        self._starts = starts
        self.quarters: dict[int, int] = {}
        self.is_one = first is None and last is None and starts is not None and len(starts) <= 1

    def __missing__(self, quarter: int) -> int:
        """Number it, and in a period that ends the quarter hours of about two days around it."""
        if not self._first <= quarter <= self._last:
            self[quarter] = _LEFT_OUT
        elif self._starts is None:
            self[quarter] = found = (quarter + _FIRST_QUARTER) << _PERIOD
            self.quarters[found] = quarter
        else:
            at = bisect_right(self._starts, quarter, min(1, len(self._starts)))
            self[quarter] = found = at << _PERIOD
            if at == len(self._starts):
                self.quarters[found] = max(quarter, self.quarters.get(found, quarter))
            else:
                end = min(self._last + 1, self._starts[at])
                begin = max(self._first, quarter - _DAY, self._starts[at - 1] if at > 1 else self._first)
                self.update(dict.fromkeys(range(begin, min(end, quarter + _DAY)), found))
                self.quarters[found] = end - 1
        return self[quarter]


class _Keys:
    """The part of a key that the values of some columns decide.

    Attributes:
        by: the groups that are made of them.
        decides: whether these columns are asked for.
    """

    def __init__(self, among: Sequence[Group], by: Sequence[Group | Derived], where: Where, shift: int = 0) -> None:
        def of_these(name: Group | Derived) -> bool:
            return {*columns_of([name], ())} <= {*among}

        self.by = list(filter(of_these, by))
        self._ids: dict[Any, int] = {}
        derived = [(name, asked) for name, asked in where if isinstance(name, Derived) and of_these(name)]
        self._tests = [
            (name, frozenset(asked)) for name, asked in where if not isinstance(name, Derived) and of_these(name)
        ]
        self._columns = columns_of(self.by, derived)
        self.decides = bool(self._tests or self._columns)
        self._are_groups = self.by == self._columns and not derived
        self._is_one = self._are_groups and len(self._columns) == 1
        self._group_of = cache(grouping(self._columns, self.by, derived))
        self._shift = shift

    def of(self, columns: Mapping[Group, Sequence[Any]], count: int) -> list[int]:
        """Return the parts of the keys of so many values of columns."""
        if not self.decides:
            return [0] * count
        ids, shift = self._ids, self._shift
        if self._is_one:  # without a tuple for each of many sessions
            keys = [ids.setdefault(one, len(ids)) << shift for one in columns[self._columns[0]]]
        else:
            each = zip(*(columns[name] for name in self._columns), strict=True) if self._columns else repeat((), count)
            made = each if self._are_groups else map(self._group_of, each)
            keys = [_LEFT_OUT if one is None else ids.setdefault(one, len(ids)) << shift for one in made]
        for name, asked in self._tests:
            keys = [key if value in asked else _LEFT_OUT for key, value in zip(keys, columns[name], strict=True)]
        return keys

    def groups(self) -> list[tuple[Any, ...]]:
        """Return the groups in the order of their numbers."""
        return [(one,) for one in self._ids] if self._is_one else list(self._ids) or [()]


class _Question:
    """Sums by a key of a period, the columns of a workflow, and the names and the session of a row.

    Attributes:
        asked: all columns that it needs.
        first, last: its bounds.
        level: the one that answers where workflows are within a period.
    """

    def __init__(
        self,
        by: Sequence[Group | Derived],
        first: int | None,
        last: int | None,
        starts: Sequence[int] | None,
        where: Where,
    ) -> None:
        self.asked = {*columns_of(by, where)}
        self.level = chunks.SUMS_BY_AGENT if self.asked & {"agent", "session_id"} else chunks.SUMS
        if self.asked <= _OF_QUARTERS:
            self.level = chunks.QUARTERS
        self._by, self.first, self.last = by, first, last
        self._rows = _Keys(COLUMNS, by, where, _COLUMN)
        self._names = _Keys(_NAMES, by, where)
        self._sessions = _Keys(["session_id"], by, where, _SESSION)
        self._periods = _Periods(first, last, starts)
        self._is_bounded, self._is_in_order = not (first is None and last is None), starts is None
        self._latest = 0
        self._sums: dict[int, int] = defaultdict(int)
        self._lasts: dict[int, int] | None = {} if "session_id" in by and starts is not None else None

    def take(self, level: Level, other: Callable[[int], Level], stale: frozenset[str]) -> None:
        """Add the sums of a chunk.

        Args:
            level: the question's.
            other: returns another level of the chunk.
            stale: workflows to leave out.
        """
        columns = {name: orjson.loads(text) for name, text in level.columns.items()}
        if self.level == chunks.QUARTERS:
            if stale.isdisjoint(columns.get("adw_id", ())):
                self._latest = max(self._latest, level.last)
                self._add(level, None, (), periods=not self._periods.is_one)
                return
            level = other(chunks.SUMS)
        keys = self._rows.of(columns, level.workflows)
        wanted = self._wanted(level, keys, columns["adw_id"] if stale else (), stale)
        if any(wanted):
            self._take(level, wanted, keys, other)

    def _take(self, level: Level, wanted: Sequence[bool], keys: Sequence[int], other: Callable[[int], Level]) -> None:
        """Add the workflows of a level that are wanted; `keys` are their parts of the keys."""
        self._latest = max(self._latest, level.last)
        if self._periods.is_one:
            self._add(level, wanted, keys)
            return
        begins, ends = (list(map(self._periods.__getitem__, level.of_workflows(section))) for section in (0, 1))
        within = [one and begin == end >= 0 for one, begin, end in zip(wanted, begins, ends, strict=True)]
        if any(within):
            self._add(level, within, list(map(add, keys, begins)))
        if within != wanted:
            divided = [one > other for one, other in zip(wanted, within, strict=True)]
            self._add(other(chunks.ROWS), divided, keys, periods=True)

    def most(self, count: int, *, latest: bool) -> MostSpent | None:
        """Return the groups that come first; None when two kinds of evidence date one model, which may cancel out."""
        names = self._names.groups()
        if len({group[:1] for group in names}) < len(names):
            return None
        spent, others = dict[int, int](), defaultdict[int, int](int)
        for key, packed in self._sums.items():
            if packed:
                group = key >> _COLUMN
                spent[group] = spent.get(group, 0) + packed
                others[key & _LOW] += packed
        ranks = self._ranks(spent, latest=latest)
        limit = min(sorted(ranks.values())[-count:], default=0)
        first = [group for group, rank in ranks.items() if rank >= limit]
        keys = [group << _COLUMN | name for group in first for name in range(len(names))]
        chosen = {key: self._sums[key] for key in keys if key in self._sums}
        for key, packed in chosen.items():
            others[key & _LOW] -= packed
        nothing = (None,) * (len(self._by) - 2)
        rest = [SpendSum(self._latest, nothing + names[name], packed) for name, packed in others.items() if packed]
        return MostSpent(list(self._found(chosen)), rest, len(ranks) - len(first))

    def _ranks(self, spent: Mapping[int, int], *, latest: bool) -> dict[int, int]:
        """Return the cost of each group, or its last quarter hour."""
        if not latest or self._lasts is None:
            return {group: cost_of(packed) for group, packed in spent.items()}
        ranks = dict.fromkeys(spent, -_FIRST_QUARTER)
        for key, quarter in self._lasts.items():
            group = key >> _COLUMN
            if ranks.get(group, quarter) < quarter:
                ranks[group] = quarter
        return ranks

    def found(self) -> Iterator[SpendSum]:
        """Return the sums, without periods in the order of quarter hours."""
        found = self._found(self._sums)
        return iter(sorted(found, key=itemgetter(0))) if self._is_in_order else found

    def _found(self, sums: Mapping[int, int]) -> Iterator[SpendSum]:
        parts = (self._rows, self._names, self._sessions)
        order = [name for part in parts for name in part.by]
        arranged = _picker([order.index(name) for name in self._by])
        rows, names, sessions = (part.groups() for part in parts)
        quarter, periods, lasts = self._latest, self._periods.quarters, self._lasts
        for key, packed in sums.items():
            if lasts is not None:
                quarter = lasts[key]
            elif periods:
                quarter = periods[key >> _PERIOD << _PERIOD]
            group = rows[key >> _COLUMN & _LOW] + names[key & _LOW]
            if self._sessions.by:
                group += sessions[key >> _SESSION & _LOW]
            yield SpendSum(quarter, group if arranged is None else arranged(group), packed)

    def _wanted(self, level: Level, keys: Sequence[int], ids: Sequence[str], stale: frozenset[str]) -> list[bool]:
        """Return for each workflow whether it may have spend that meets the conditions."""
        wanted = [key >= 0 for key in keys]
        if self.first is not None and level.first < self.first:
            lasts = level.of_workflows(1)
            wanted = [one and last >= self.first for one, last in zip(wanted, lasts, strict=True)]
        if self.last is not None and level.last > self.last:
            firsts = level.of_workflows(0)
            wanted = [one and first <= self.last for one, first in zip(wanted, firsts, strict=True)]
        if stale:
            wanted = [one and adw_id not in stale for one, adw_id in zip(wanted, ids, strict=True)]
        return wanted

    def _add(
        self, level: Level, wanted: Sequence[bool] | None, keys_of: Sequence[int], *, periods: bool = False
    ) -> None:
        """Add the rows of the workflows that are wanted.

        Args:
            wanted: None: all of them.
            keys_of: the parts of keys that workflows decide.
            periods: add those of rows.
        """
        loaded = orjson.loads(level.names)
        parts = [self._names.of(dict(zip(_NAMES, zip(*loaded, strict=True), strict=True)), len(loaded))]
        if self._sessions.decides:
            sessions = orjson.loads(level.sessions)
            parts.append(self._sessions.of({"session_id": sessions}, len(sessions)))
        if any(max(part) < 0 for part in parts):
            return
        counts = level.of_workflows(2)
        runs = [slice(0, sum(counts))] if wanted is None else list(_runs(wanted, counts))
        keys: Iterator[int] = map(parts[0].__getitem__, level.of_rows(1, runs))
        if wanted is not None and any(keys_of):
            repeated = map(repeat, compress(keys_of, wanted), compress(counts, wanted))
            keys = map(add, keys, chain.from_iterable(repeated))
        for part in parts[1:]:
            keys = map(add, keys, map(part.__getitem__, level.of_rows(2, runs)))
        if periods:
            keys = map(add, keys, map(self._periods.__getitem__, level.of_rows(0, runs)))
        selected = None
        if any(min(part) < 0 for part in parts) or (periods and self._is_bounded):
            found = list(keys)
            selected = [key >= 0 for key in found]
            keys = compress(found, selected)
        if self._lasts is not None:
            found, quarters = list(keys), level.of_rows(0, runs)
            _take_lasts(self._lasts, found, quarters if selected is None else compress(quarters, selected))
            keys = iter(found)
        total = self._sums
        for key, packed in zip(keys, level.packed(runs, selected), strict=True):
            total[key] += packed


def _runs(wanted: Sequence[bool], counts: Sequence[int]) -> Iterator[slice]:
    """Yield the runs of rows of the workflows that are wanted."""
    start = 0
    for is_wanted, workflows in groupby(zip(wanted, counts, strict=True), itemgetter(0)):
        stop = start + sum(count for _, count in workflows)
        if is_wanted:
            yield slice(start, stop)
        start = stop


def _take_lasts(lasts: dict[int, int], keys: Iterable[int], quarters: Iterable[int]) -> None:
    for key, quarter in zip(keys, quarters, strict=True):
        if lasts.get(key, quarter) <= quarter:
            lasts[key] = quarter


def _picker(positions: Sequence[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]] | None:
    """Return what picks these items of a tuple; None where it is the tuple as it is."""
    if list(positions) == list(range(len(positions))):
        return None
    return itemgetter(*positions) if len(positions) > 1 else lambda values: (values[positions[0]],)
