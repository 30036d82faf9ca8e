"""Statistics of what workflows cost, and of what failed and repeated runs wasted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from fractions import Fraction
from typing import Final

from projections.history.store import HistoryStore
from projections.reports.dimensions import Value
from projections.reports.spend_report import Line, Report, SpendQuery, merged, spend_report
from projections.reports.tags import TagRules

__all__ = ["Stats", "StatsReport", "quantile", "stats"]

_OF_A_RUN: Final = ("workflow", "run", "status")


@dataclass(frozen=True, slots=True)
class Stats:
    """What the workflows of a group cost in a time, in nanodollars.

    Attributes:
        group: its value of each dimension of the query.
        sums: of all of them; a lower bound makes every figure one.
        costs: of each workflow, the lowest first.
        runs: how many runs they had.
        failed: the costs of the workflows that failed, with all of their runs.
        repeated: the costs of the runs before the last one of their workflow.
        wasted: failed workflows and repeated runs, each dollar once.
    """

    group: tuple[Value, ...]
    sums: Line
    costs: Sequence[int]
    runs: int
    failed: Sequence[int]
    repeated: Sequence[int]
    wasted: int

    @property
    def cost(self) -> int:
        """The sum."""
        return self.sums.amounts[0]

    @property
    def mean(self) -> int:
        """The mean cost of a workflow."""
        return round(Fraction(self.cost, len(self.costs) or 1))

    @property
    def per_run(self) -> int:
        """The mean cost of a run."""
        return round(Fraction(self.cost, self.runs or 1))

    def quantile(self, percent: int) -> int:
        """Return the cost that so many percent of the workflows do not exceed; of two the point between them."""
        return quantile(self.costs, percent)


@dataclass(frozen=True, slots=True)
class StatsReport:
    """The statistics of each group, the highest cost first, and of all of them."""

    query: SpendQuery
    lines: list[Stats]
    total: Stats
    made: Report


def stats(history: HistoryStore, query: SpendQuery, zone: tzinfo | None, *, rules: TagRules = ()) -> StatsReport:
    """Return the statistics of what workflows cost, by group.

    A workflow counts in each group that it spent something in, with that; in the total it counts once. A run is
    repeated when a later one of its workflow spent something at any time.

    Args:
        query: what is asked; its period is none.
        zone, rules: see `spend_report`.

    Raises:
        InvalidInput: a name is no dimension and no tag, or a value is none of its dimension.
        HistoryUnavailable: the store cannot be used.
    """
    made = spend_report(history, replace(query, by=(*query.by, *_OF_A_RUN), per=None), zone, rules=rules)
    last: dict[Value, int] = {}
    for _, (adw_id, run), _ in history.spent(["adw_id", "run"], starts=()):
        last[adw_id] = max(last.get(adw_id, 0), int(run or 0))
    groups: dict[tuple[Value, ...], list[Line]] = {}
    for line in made.lines:
        groups.setdefault(line.group[: len(query.by)], []).append(line)
    found = [_stats(group, lines, last) for group, lines in groups.items()]
    found.sort(key=lambda one: (-one.cost, str(one.group)))
    return StatsReport(query, found, _stats((), made.lines, last), made)


def quantile(costs: Sequence[int], percent: int) -> int:
    """Return a quantile of sorted costs, between two of them in proportion and rounded half-even; 0 of none."""
    if not costs:
        return 0
    at, rest = divmod((len(costs) - 1) * percent, 100)
    return costs[at] if not rest else round(costs[at] + Fraction((costs[at + 1] - costs[at]) * rest, 100))


def _stats(group: tuple[Value, ...], lines: Sequence[Line], last: Mapping[Value, int]) -> Stats:
    workflows: dict[Value, dict[Value, int]] = {}
    statuses: dict[Value, Value] = {}
    for line in lines:
        adw_id, run, statuses[adw_id] = line.group[-len(_OF_A_RUN) :]
        runs = workflows.setdefault(adw_id, {})
        runs[run] = runs.get(run, 0) + line.amounts[0]
    failed, repeated, wasted = list[int](), list[int](), 0
    for adw_id, runs in workflows.items():
        before = [cost for run, cost in runs.items() if int(run or 0) < last.get(adw_id, 0)]
        repeated += before
        if statuses[adw_id] == "failed":
            failed.append(sum(runs.values()))
        wasted += failed[-1] if statuses[adw_id] == "failed" else sum(before)
    costs = sorted(sum(runs.values()) for runs in workflows.values())
    return Stats(group, merged(lines), costs, sum(map(len, workflows.values())), failed, repeated, wasted)
