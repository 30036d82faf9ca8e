"""Groups of spend: what it is summed by, and the sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from projections.folding.spend import Amounts
from projections.history.packed import unpack

__all__ = ["OWN", "Group", "Most", "MostSpent", "SpendSum", "Where"]

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

Where = Sequence[tuple[Group, tuple[str | int | None, ...]]]
"""Conditions on spend, all of which hold: a group, and the values of which it has one; None: no event names one."""


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

    by: Sequence[Group]
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
