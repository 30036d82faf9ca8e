"""Comparison of what was spent in two periods, or on two values of a dimension, and what the difference comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, tzinfo
from fractions import Fraction

from ledger.errors import InvalidInput
from projections.history.store import HistoryStore
from projections.reports.dimensions import Value, parsed_where
from projections.reports.filters import spend_filter
from projections.reports.periods import quarters
from projections.reports.spend_report import Line, SpendQuery, merged, spend_report
from projections.reports.tags import TagRules

__all__ = ["Comparison", "Contribution", "Side", "compare", "compared_by", "others", "sides"]

Days = Callable[[str, str], tuple[date | None, date | None]]
"""Returns the days from one text to another, such as 2026-10 and 2026-11-15."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison.

    Attributes:
        text: what was asked for.
        workflows: how many spent something.
    """

    text: str
    total: Line
    workflows: int

    @property
    def cost(self) -> int:
        """The cost in nanodollars."""
        return self.total.cost

    @property
    def per_workflow(self) -> int | None:
        """The mean cost of a workflow in nanodollars; None without any."""
        return round(Fraction(self.cost, self.workflows)) if self.workflows else None


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one group contributes to a difference."""

    group: tuple[Value, ...]
    before: Line
    after: Line

    @property
    def difference(self) -> int:
        """By how much the second side is higher, in nanodollars."""
        return self.after.cost - self.before.cost


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides, and the parts of their difference.

    Attributes:
        contributions: they add up to the difference; the largest one of either sign first.
    """

    before: Side
    after: Side
    by: tuple[str, ...]
    contributions: list[Contribution]

    @property
    def difference(self) -> int:
        """By how much the second side is higher, in nanodollars."""
        return self.after.cost - self.before.cost

    @property
    def from_count(self) -> int:
        """The part of the difference that the number of workflows makes, each at the first side's mean cost."""
        mean = Fraction(self.before.cost, self.before.workflows) if self.before.workflows else None
        if mean is None:
            return self.after.cost - self.before.cost
        return round(mean * (self.after.workflows - self.before.workflows))

    @property
    def from_mean(self) -> int:
        """The other part, which the cost of a workflow makes."""
        return self.difference - self.from_count


def sides(
    first: str, second: str, zone: tzinfo | None, *, days: Days, where: tuple[tuple[str, tuple[str, ...]], ...] = ()
) -> tuple[SpendQuery, SpendQuery]:
    """Return the queries of two periods such as 2026-10 or 2026-11-01..2026-11-15, or of two such as `model=opus`.

    Args:
        where: conditions of both.

    Raises:
        InvalidInput: one is a period and the other a value, or a text is neither.
    """
    if ("=" in first) != ("=" in second):
        raise InvalidInput(f"{first!r} and {second!r}: compare two periods, or two values such as model=VALUE")
    if "=" in first:
        one, other = (parsed_where("compare", [text]) for text in (first, second))
        return SpendQuery(where=(*where, *one)), SpendQuery(where=(*where, *other))
    found = []
    for text in (first, second):
        since, _, until = text.partition("..")
        begin, end = quarters(*days(since, until or since), zone)
        found.append(SpendQuery(where=where, first=begin, last=end))
    return found[0], found[1]


def others(parts: Sequence[Contribution]) -> Contribution:
    """Return the sum of contributions, such as of those that are not shown."""
    return Contribution((), merged([part.before for part in parts]), merged([part.after for part in parts]))


def compared_by(first: str, by: Sequence[str]) -> tuple[str, ...]:
    """Return the dimensions that a difference is split by: those asked for, else models, or agents of models."""
    return tuple(by) or (("agent",) if first.startswith("model=") else ("model",))


def compare(
    history: HistoryStore,
    texts: tuple[str, str],
    queries: tuple[SpendQuery, SpendQuery],
    by: tuple[str, ...],
    zone: tzinfo | None,
    *,
    rules: TagRules = (),
) -> Comparison:
    """Return the comparison of two queries, see `sides`.

    Args:
        by: what the difference is split by.
        zone, rules: see `spend_report`.

    Raises:
        InvalidInput: a name is no dimension and no tag, or a value is none of its dimension.
        HistoryUnavailable: the store cannot be used.
    """
    found, lines = list[Side](), list[dict[tuple[Value, ...], Line]]()
    for text, query in zip(texts, queries, strict=True):
        filtered = spend_filter(history, query.where, rules)
        made = spend_report(history, replace(query, by=by), zone, rules=rules, filtered=filtered)
        workflows = spend_report(history, replace(query, by=("workflow",)), zone, limit=1, filtered=filtered)
        found.append(Side(text, made.total, len(workflows.lines) + workflows.left_out))
        lines.append({line.group: line for line in made.lines})
    groups = dict.fromkeys([*lines[0], *lines[1]])
    parts = [Contribution(group, lines[0].get(group, Line()), lines[1].get(group, Line())) for group in groups]
    parts.sort(key=lambda part: (-abs(part.difference), str(part.group)))
    return Comparison(found[0], found[1], by, parts)
