"""The general query of spend: split by any dimensions, filtered by any, by day, week, month or over all of a time.

A report only groups the sums of a store, so every report of the same quarter hours adds up to the same nanodollar:

    query = SpendQuery(by=("agent", "team"), per="month", where=(("project", ("shop",)),), first=first, last=last)
    made = spend_report(history, query, zone, rules=config.tags)
    made.lines, made.total  # each with `amounts` (in the order of `AMOUNTS`), `models` and `at_least`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Final, TypeVar

from ledger.events import timestamps
from projections.folding.breakdown import UNATTRIBUTED
from projections.folding.spend import AMOUNTS, QUARTER_SECONDS
from projections.history.packed import cost_of
from projections.history.store import Derived, Group, HistoryStore, Most, MostSpent, SpendSum
from projections.reports.dimensions import Value, dimension
from projections.reports.filters import Conditions, SpendFilter, spend_filter, without_reading
from projections.reports.line import Line, at_least, merged, total_tokens
from projections.reports.periods import Per, day_of, label_of, start_of, starts_of
from projections.reports.tags import TagRules

__all__ = [
    "SESSIONS",
    "Line",
    "Report",
    "SpendQuery",
    "at_least",
    "merged",
    "sessions_by_activity",
    "spend_report",
    "spend_sums",
    "total_tokens",
]

SESSIONS: Final = ("session", "workflow")
"""What a report of sessions is split by first."""

_FEW: Final = 500
"""Rows that are read one by one, and not all of them."""
_MANY: Final = frozenset({"agent", "run", "model"})
"""Dimensions that divide a workflow into several groups."""
_T = TypeVar("_T")
_Named = tuple[int, tuple[Value, ...], str, str | None, int]
_UNPRICED: Final = (AMOUNTS.index("unpriced_events"), AMOUNTS.index("unpriced_tokens"))


@dataclass(frozen=True, slots=True)
class SpendQuery:
    """What is asked of spend.

    Attributes:
        by: the names of the dimensions that lines are split by, see `dimensions.dimension`.
        per: a line for each of these periods; None: over all of the time.
        where: by name of a dimension the values that are asked for: any of these, and all of the names. "" asks for
            what names none; text with `*` or `?` is a glob.
        first, last: quarter hours, both included; None: no bound. See `periods.quarters`.
    """

    by: tuple[str, ...] = ()
    per: Per | None = None
    where: Conditions = ()
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The lines of a report, and their sum by model.

    Attributes:
        dated: nanodollars by the evidence that dates them, without those whose events have a time.
        others, left_out: the sum of the lines that a limit left out, and their number.
    """

    query: SpendQuery
    lines: list[Line]
    total: Line
    dated: Mapping[str, int]
    others: Line = field(default_factory=Line)
    left_out: int = 0

    def after(self, limit: int | None) -> tuple[int, Line]:
        """Return how many lines come after so many, and their sum."""
        rest = [] if limit is None else self.lines[limit:]
        return len(rest) + self.left_out, merged([*rest, self.others])

    @property
    def unpriced(self) -> dict[str, tuple[int, int]]:
        """The number of messages without a price and their tokens, by model; a later price has removed its own."""
        pairs = {name: (amounts[_UNPRICED[0]], amounts[_UNPRICED[1]]) for name, amounts in self.total.models.items()}
        return {name: both for name, both in sorted(pairs.items()) if max(both) > 0}

    def groups(self) -> list[Line]:
        """Return what each group adds up to over all periods, the one with the highest cost first."""
        if self.query.per is None:
            return sorted(self.lines, key=_highest_first)
        found: dict[tuple[Value, ...], Line] = {}
        for line in self.lines:
            found.setdefault(line.group, Line(None, line.group)).take_line(line)
        return sorted(found.values(), key=_highest_first)


def spend_report(
    history: HistoryStore,
    query: SpendQuery,
    zone: tzinfo | None,
    *,
    rules: TagRules = (),
    descending: bool = False,
    shown_as: Callable[[str, Value], Value] | None = None,
    limit: int | None = None,
    filtered: SpendFilter | None = None,
) -> Report:
    """Return the lines of a query: by period, and within one by cost, the highest first.

    Args:
        limit: without periods, only so many lines are needed, and some more may be there: of `SESSIONS` the latest.
        zone: whose days; None is the local one of this host.
        rules: see `dimensions.dimension`.
        descending: the latest period first.
        shown_as: returns the value that is shown for one of a dimension; those with the same one are one line.
        filtered: the query's conditions; None: they are made here.

    Raises:
        InvalidInput: a name is no dimension and no tag, or a value is none of its dimension.
        HistoryUnavailable: the store cannot be used.
    """
    filtered = filtered or spend_filter(history, query.where, rules)
    total, others, dated = Line(), Line(), dict[str, int]()
    total.unknown = without_reading(history, query.first, query.last, filtered)
    made = None if limit is None else _most(history, query, limit, rules, filtered)
    sums = _named(query, made.first) if made else spend_sums(history, query, zone, rules=rules, filtered=filtered)
    lines = _lines(query, zone, sums, shown_as, total, dated)
    for _, _, model, evidence, packed in _named(query, [] if made is None else made.others):
        others.take(model, packed)
        _take_total(total, dated, model, evidence, packed)
    for line in (*lines, total):
        line.leave_out_cancelled()
    found = sorted((line for line in lines if line.packed), key=_highest_first)
    if query.per is not None:
        found.sort(key=lambda line: line.period or "", reverse=descending)
    return Report(query, found, total, dict(sorted(dated.items())), others, made.count if made else 0)


def _lines(
    query: SpendQuery,
    zone: tzinfo | None,
    sums: Iterable[_Named],
    shown_as: Callable[[str, Value], Value] | None,
    total: Line,
    dated: dict[str, int],
) -> list[Line]:
    """Return the lines of sums, and add the sums to a total."""
    shown = _Shown(query.by, shown_as)
    lines, periods = dict[tuple[str | None, tuple[Value, ...]], Line](), _PeriodNames(query.per, zone)
    for quarter, values, model, evidence, packed in sums:
        key = (periods[quarter], shown[values] if shown_as else values)
        line = lines.get(key)
        if line is None:
            line = lines[key] = Line(*key, quarter)
        elif line.quarter < quarter:
            line.quarter = quarter
        line.packed[model] = line.packed.get(model, 0) + packed
        _take_total(total, dated, model, evidence, packed)
    return list(lines.values())


def _take_total(total: Line, dated: dict[str, int], model: str, evidence: str | None, packed: int) -> None:
    total.packed[model] = total.packed.get(model, 0) + packed
    if evidence is not None and (cost := cost_of(packed)):
        dated[evidence] = dated.get(evidence, 0) + cost


def _most(
    history: HistoryStore, query: SpendQuery, limit: int, rules: TagRules, filtered: SpendFilter
) -> MostSpent | None:
    """Return the first lines of a query, and the others; None where the store cannot find them."""
    if query.per is not None or not query.by or _MANY & {*query.by}:
        return None
    by = _groups(history, query, rules)
    latest = query.by[: len(SESSIONS)] == SESSIONS
    return history.spent_most(Most(by, limit, latest, query.first, query.last, filtered.where))


def _named(query: SpendQuery, sums: Iterable[SpendSum]) -> Iterator[_Named]:
    """Yield sums by the columns of a query's dimensions, model and evidence as `spend_sums` does."""
    size = len(query.by)
    for quarter, group, packed in sums:
        model, evidence = group[size:]
        yield quarter, group[:size], str(model or UNATTRIBUTED), evidence, packed  # type: ignore[misc]


class _PeriodNames(dict[int, str | None]):
    """The name of the period that a quarter hour is in."""

    def __init__(self, per: Per | None, zone: tzinfo | None) -> None:
        self._per, self._zone = per, zone

    def __missing__(self, quarter: int) -> str | None:
        found = self[quarter] = None if self._per is None else label_of(self._per, day_of(quarter, self._zone))
        return found


class _Shown(dict[tuple[Value, ...], tuple[Value, ...]]):
    """The values that are shown for those of some dimensions."""

    def __init__(self, names: Sequence[str], shown_as: Callable[[str, Value], Value] | None) -> None:
        self._names, self._shown_as = names, shown_as

    def __missing__(self, values: tuple[Value, ...]) -> tuple[Value, ...]:
        pairs = zip(self._names, values, strict=True)
        found = self[values] = tuple([self._shown_as(*pair) for pair in pairs]) if self._shown_as else values
        return found


def spend_sums(
    history: HistoryStore,
    query: SpendQuery,
    zone: tzinfo | None,
    *,
    rules: TagRules = (),
    filtered: SpendFilter | None = None,
    by_quarter: bool = False,
) -> Iterator[_Named]:
    """Yield the sums that answer a query; raises as `spend_report`.

    Each is a quarter hour (see `HistoryStore.spent`), the values of the query's dimensions, a model, the evidence that
    dates it, and packed figures. Several have the same names where the columns of a dimension differ.

    Args:
        filtered: see `spend_report`.
        by_quarter: the sums of each quarter hour, and not of the query's periods.
    """
    filtered = filtered or spend_filter(history, query.where, rules)
    starts = None if by_quarter else _starts(history, query, zone)
    found = history.spent(
        _groups(history, query, rules), first=query.first, last=query.last, starts=starts, where=filtered.where
    )
    return _named(query, found)


def _groups(history: HistoryStore, query: SpendQuery, rules: TagRules) -> list[Group | Derived]:
    """Return what a store groups the sums of a query by."""
    return [*(dimension(name, rules, history.row_values).group for name in query.by), "model", "spent_at_from"]


def _starts(history: HistoryStore, query: SpendQuery, zone: tzinfo | None) -> Sequence[int] | None:
    """Return the quarter hours with which the periods of a query start, see `HistoryStore.spent`."""
    span = history.spent_between()
    if query.per is None or span is None:
        return ()
    first = span[0] if query.first is None else max(query.first, span[0])
    last = span[1] if query.last is None else min(query.last, span[1])
    return starts_of(query.per, first, max(first, last), zone)


def _highest_first(line: Line) -> tuple[int, str]:
    return (-line.cost, str(line.group))


def sessions_by_activity(
    history: HistoryStore, made: Report, *, descending: bool = False, limit: int | None = None
) -> Report:
    """Return a report by `SESSIONS` with its lines in the order of their last activity.

    A session was last active with its workflow, if that was in the session's last quarter hour.

    Args:
        limit: only so many lines, the latest.
    """
    workflow_at = made.query.by.index("workflow")
    ids = {str(line.group[workflow_at]) for line in made.lines}
    first = start_of(min((line.quarter for line in made.lines), default=None))
    few = len(ids) <= _FEW
    rows = [row for row in map(history.row, ids) if row is not None] if few else history.rows(since=first)
    found = {row.adw_id: timestamps.moment(row.last_activity) for row in rows}
    latest = {adw_id: at.timestamp() for adw_id, at in found.items() if at is not None}
    for line in made.lines:
        at = latest.get(str(line.group[workflow_at]), 0.0)
        line.at = at if int(at // QUARTER_SECONDS) == line.quarter else float(line.quarter * QUARTER_SECONDS)
    lines = sorted(made.lines, key=lambda line: line.at, reverse=True)
    left_out, others = replace(made, lines=lines).after(limit)
    lines = lines[:limit] if descending else sorted(lines[:limit], key=lambda line: line.at)
    return replace(made, lines=lines, others=others, left_out=left_out)
