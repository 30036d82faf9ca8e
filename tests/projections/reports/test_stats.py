"""Statistics: their sums are those of every report, and their quantiles those of the standard library."""

from __future__ import annotations

import statistics
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.memory_store import MemoryStore
from projections.history.memory import MemoryHistory
from projections.replay.move import move
from projections.replay.refresh import refresh
from projections.reports.periods import quarters
from projections.reports.spend_report import SpendQuery, spend_report
from projections.reports.stats import StatsReport, quantile, stats
from tests.conftest import SteppingClock
from tests.projections.reports.test_periods import zones
from tests.projections.reports.test_spend_report import NAMES, RULES, histories, splits

costs = st.lists(st.integers(-(10**6), 10**15), min_size=2, max_size=200).map(sorted)


@given(costs)
def test_quantiles_are_those_of_the_standard_library(values: list[int]) -> None:
    cuts = statistics.quantiles(map(Fraction, values), n=100, method="inclusive")
    assert [quantile(values, percent) for percent in range(1, 100)] == [round(cut) for cut in cuts]
    assert quantile(values, 50) == round(statistics.median(map(Fraction, values)))
    assert (quantile(values, 0), quantile(values, 100)) == (min(values), max(values))
    assert quantile(values, 50) <= quantile(values, 90) <= quantile(values, 95)


def test_quantiles_of_few() -> None:
    assert quantile([], 50) == 0
    assert [quantile([7], percent) for percent in (0, 50, 95, 100)] == [7] * 4
    assert quantile([1, 2], 50) == 2  # half-even: 1.5 nanodollars


@pytest.mark.parametrize(("moved", "to"), [("one", "two"), ("two", "one")])
def test_a_merge_makes_no_run_a_repetition(moved: str, to: str) -> None:
    store, history = MemoryStore(clock=SteppingClock()), MemoryHistory()
    for name, figures in (("one", ("4",)), ("two", ("1", "2"))):
        for figure in figures:
            store.append([workflow_started(name), cost_observed(name, session_id=f"{name}{figure}", cost_usd=figure)])
            store.append([workflow_ended(name, "completed")])
    refresh(store, history)
    before = stats(history, SpendQuery(()), UTC).total
    move(store, moved, to=to)
    refresh(store, history)
    after = stats(history, SpendQuery(()), UTC).total
    assert (after.cost, list(after.repeated), after.wasted) == (before.cost, list(before.repeated), before.wasted)
    assert after.wasted == 10**9, "the first of two runs, and not the only one of the other workflow"


@settings(max_examples=60)
@given(histories(), splits, zones)
def test_statistics_sum_to_the_report_of_the_same_events(
    history: MemoryHistory, by: tuple[str, ...], zone: ZoneInfo
) -> None:
    made = stats(history, SpendQuery(by), zone, rules=RULES)
    shown = spend_report(history, SpendQuery(by), zone, rules=RULES)
    assert {one.group: one.sums.amounts for one in made.lines} == {line.group: line.amounts for line in shown.lines}
    assert made.total.sums.amounts == shown.total.amounts
    assert made.total.cost == sum(one.cost for one in made.lines)
    for one in (*made.lines, made.total):
        assert one.cost == sum(one.costs)
        assert list(one.costs) == sorted(one.costs)
        assert one.runs >= len(one.costs) >= len(one.failed)
        assert one.quantile(100) == max(one.costs, default=0)
    spent_on = [row for row in history.rows() if any(any(spend[6:]) for spend in history.spend(row.adw_id))]
    assert len(made.total.costs) == len(spent_on)


@settings(max_examples=40)
@given(histories(), st.sampled_from(NAMES), st.dates(date(2026, 10, 20), date(2026, 11, 25)))
def test_the_waste_of_two_ranges_that_meet_sums_to_that_of_the_whole(
    history: MemoryHistory, name: str, day: date
) -> None:
    """Also where the later run, which makes one repeated, is in the other range."""
    first, _ = quarters(day, None, UTC)
    assert first is not None
    before, after = SpendQuery((name,), last=first - 1), SpendQuery((name,), first=first)
    whole, *parts = (stats(history, query, UTC, rules=RULES).total for query in (SpendQuery((name,)), before, after))
    assert sum(sum(part.repeated) for part in parts) == sum(whole.repeated)
    assert sum(part.wasted for part in parts) == whole.wasted


START = datetime(2026, 11, 23, 12, tzinfo=UTC)


def story() -> StatsReport:
    """Retried and then completed ($4.40, run 1 $2.50), failed after two runs ($3, run 1 $1), and done at once ($1)."""
    store = MemoryStore(clock=SteppingClock())

    def spend(name: str, at: int, usd: str, agent: str) -> None:
        moment = START + timedelta(hours=at)
        store.append([cost_observed(name, cost_usd=usd, agent=agent, message_id=f"{name}{at}", observed_at=moment)])

    for name, template in (("retried", "sdlc"), ("failed", "sdlc"), ("done", "review")):
        store.append([workflow_started(name, workflow_template=template)])
    spend("retried", 0, "0.50", "plan")
    spend("retried", 1, "2.00", "build")
    spend("failed", 1, "1.00", "build")
    spend("done", 1, "1.00", "plan")
    for name in ("retried", "failed"):
        store.append([workflow_ended(name, "failed"), workflow_started(name, run=2)])
    spend("retried", 2, "0.40", "plan")
    spend("retried", 3, "1.50", "build")
    spend("failed", 3, "2.00", "build")
    for name, status, run in (("retried", "completed", 2), ("failed", "failed", 2), ("done", "completed", 1)):
        store.append([workflow_ended(name, status, run=run)])
    history = MemoryHistory()
    assert refresh(store, history).problems == []
    return stats(history, SpendQuery(("template",)), UTC)


def test_waste_is_failed_workflows_and_repeated_runs_and_each_dollar_once() -> None:
    usd, made = 10**9, story()
    sdlc, review = made.lines
    assert (sdlc.group, review.group) == (("sdlc",), ("review",))
    assert (list(sdlc.costs), sdlc.runs) == ([3 * usd, 44 * usd // 10], 4)
    assert (list(sdlc.failed), sum(sdlc.repeated)) == ([3 * usd], 35 * usd // 10)
    assert sdlc.wasted == 3 * usd + 25 * usd // 10
    assert (sdlc.mean, sdlc.per_run, sdlc.quantile(50)) == (37 * usd // 10, 185 * usd // 100, 37 * usd // 10)
    assert (review.wasted, list(review.failed), list(review.repeated)) == (0, [], [])
    assert (made.total.cost, len(made.total.costs), made.total.runs) == (84 * usd // 10, 3, 5)
