"""Statistics of what workflows cost, and of what failed and repeated runs wasted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from fractions import Fraction
from typing import Any, Final

from projections.history.packed import cost_of
from projections.history.store import HistoryStore
from projections.reports.dimensions import Value
from projections.reports.filters import spend_filter, without_reading
from projections.reports.spend_report import Line, SpendQuery, merged, spend_sums
from projections.reports.tags import TagRules

__all__ = ["Stats", "StatsReport", "quantile", "stats"]

_OF_A_RUN: Final = ("workflow", "status", "run")

_Runs = dict[tuple[Value, Value, Value], int]
"""Nanodollars by workflow, its status, and run."""


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
        return self.sums.cost

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
    whole = replace(query, by=(*query.by, *_OF_A_RUN), per=None)
    spent: dict[tuple[Value, ...], tuple[Line, _Runs]] = {}
    last, size = _last_runs(history, query), len(query.by)
    filtered = spend_filter(history, query.where, rules)
    for _, values, model, _, packed in spend_sums(history, whole, zone, rules=rules, filtered=filtered):
        run: Any = values[size:]
        if run[-1] != 1:
            last[run[0]] = max(last.get(run[0], 0), int(run[-1] or 0))
        if packed:
            group = values[:size]
            line, runs = spent.get(group) or spent.setdefault(group, (Line(), {}))
            line.packed[model] = line.packed.get(model, 0) + packed
            runs[run] = runs.get(run, 0) + cost_of(packed)
    every = _Runs()
    for _, runs in spent.values():
        for run, cost in runs.items() if every else ():
            every[run] = every.get(run, 0) + cost
        every = every or dict(runs)
    total = merged([line for line, _ in spent.values()])
    total.unknown = without_reading(history, query.first, query.last, filtered)
    found = [_stats(group, line, runs, last) for group, (line, runs) in spent.items()]
    found.sort(key=lambda one: (-one.cost, str(one.group)))
    return StatsReport(query, found, _stats((), total, every, last))


def _last_runs(history: HistoryStore, query: SpendQuery) -> dict[Value, int]:
    """Return the last run of each workflow that has several; nothing when the query is of all spend."""
    last: dict[Value, int] = {}
    if query.where or query.first is not None or query.last is not None:
        later = tuple(run for _, (run,), _ in history.spent(["run"], starts=()) if int(run or 0) > 1)
        found = history.spent(["adw_id", "run"], starts=(), where=[("run", later)]) if later else ()
        for _, (adw_id, run), _ in found:
            last[adw_id] = max(last.get(adw_id, 0), int(run or 0))
    return last


def quantile(costs: Sequence[int], percent: int) -> int:
    """Return a quantile of sorted costs, between two of them in proportion and rounded half-even; 0 of none."""
    if not costs:
        return 0
    at, rest = divmod((len(costs) - 1) * percent, 100)
    return costs[at] if not rest else round(costs[at] + Fraction((costs[at + 1] - costs[at]) * rest, 100))


def _stats(group: tuple[Value, ...], sums: Line, runs: _Runs, last: Mapping[Value, int]) -> Stats:
    failed = _by_workflow({run: cost for run, cost in runs.items() if run[1] == "failed"})
    again = {run: cost for run, cost in runs.items() if int(run[2] or 0) < last.get(run[0], 0)} if last else {}
    wasted = sum(failed.values()) + sum(cost for run, cost in again.items() if run[1] != "failed")
    costs = sorted(_by_workflow(runs).values())
    return Stats(group, sums, costs, len(runs), list(failed.values()), list(again.values()), wasted)


def _by_workflow(runs: _Runs) -> dict[Value, int]:
    costs = dict[Value, int]()
    for run, cost in runs.items():
        costs[run[0]] = costs.get(run[0], 0) + cost
    return costs
