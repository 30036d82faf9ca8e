"""Groups of spend: what it is summed by, and the sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any, Final, Literal, NamedTuple

from projections.folding.spend import Amounts
from projections.history.packed import unpack

__all__ = ["OWN", "Derived", "Group", "Most", "MostSpent", "SpendSum", "Where", "columns_of", "grouping"]

OWN: Final = frozenset({"agent", "session_id", "model", "spent_at_from", "run"})
"""Groups that are columns of the spend itself; the others are columns of its workflow's row."""

Group = Literal[
    "agent",
    "session_id",
    "model",
    "spent_at_from",
    "run",
    "adw_id",
    "workflow_template",
    "issue_number",
    "project",
    "branch",
    "tool",
    "tags",
    "status",
]


@dataclass(frozen=True, slots=True)
class Derived:
    """A group that is derived from columns, such as a tag that rules set.

    Attributes:
        columns: all of a workflow's row, or all of the spend itself.
        of: returns the value by theirs; equal ones have the same.
    """

    columns: tuple[Group, ...]
    of: Callable[[tuple[Any, ...]], str | int | None]


Where = Sequence[tuple[Group | Derived, tuple[str | int | None, ...]]]
"""Conditions on spend, all of which hold: a group, and the values of which it has one; None: no event names one."""


def columns_of(by: Sequence[Group | Derived], where: Where) -> list[Group]:
    """Return the columns that groups and conditions need."""
    names = (*by, *(name for name, _ in where))
    each = [name.columns if isinstance(name, Derived) else (name,) for name in names]
    return list(dict.fromkeys(name for columns in each for name in columns))


def grouping(
    columns: Sequence[Group], by: Sequence[Group | Derived], where: Where
) -> Callable[[tuple[Any, ...]], tuple[Any, ...] | None]:
    """Return a function of values of columns: their group, or None where they do not meet the conditions."""

    def value_of(name: Group | Derived) -> Callable[[tuple[Any, ...]], Any]:
        if not isinstance(name, Derived):
            return itemgetter(columns.index(name))
        positions, of = [columns.index(column) for column in name.columns], cache(name.of)
        return lambda values: of(tuple([values[at] for at in positions]))

    made = [value_of(name) for name in by]
    tests = [(value_of(name), frozenset(asked)) for name, asked in where]

    def group_of(values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if any(of(values) not in asked for of, asked in tests):
            return None
        return tuple([of(values) for of in made])

    return group_of


class SpendSum(NamedTuple):
    """The spend of a quarter hour under one group, over all workflows.

    Attributes:
        group: a value for each name that was grouped by, in that order; None where no event names one.
        packed: its figures, see `packed.unpack`.
    """

    quarter: int
    group: tuple[str | int | None, ...]
    packed: int

    @property
    def amounts(self) -> Amounts:
        """The figures in the order of `spend.AMOUNTS`."""
        return unpack(self.packed)


@dataclass(frozen=True, slots=True)
class Most:
    """What is asked for of the groups that come first.

    Attributes:
        by: the last two are `model` and `spent_at_from`, which divide no group; agents and runs are not among them.
        count: so many groups.
        latest: the latest ones, and not those with the highest cost.
        first, last, where: see `HistoryStore.spent`.
    """

    by: Sequence[Group | Derived]
    count: int
    latest: bool
    first: int | None
    last: int | None
    where: Where


@dataclass(frozen=True, slots=True)
class MostSpent:
    """The spend of the groups that come first, and of the others.

    Attributes:
        first: also of groups after these, where the order of some is equal.
        others: of all other groups together, by the names that divide no group.
        count: how many others spent something.
    """

    first: list[SpendSum]
    others: list[SpendSum]
    count: int
