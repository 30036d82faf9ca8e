"""Comparisons: the parts of a difference add up to it, in every split and filter."""

from __future__ import annotations

from datetime import UTC, date, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidInput
from ledger.events.event import cost_observed
from ledger.storage.memory_store import MemoryStore
from projections.history.memory import MemoryHistory
from projections.replay.refresh import refresh
from projections.reports.compare import Comparison, compare, compared_by, others, sides
from projections.reports.spend_report import SpendQuery, spend_report
from projections.reports.timezones import days_named
from tests.conftest import SteppingClock
from tests.projections.reports.test_periods import zones
from tests.projections.reports.test_spend_report import NAMES, RULES, histories, splits

days = st.dates(date(2026, 10, 20), date(2026, 11, 25)).map(date.isoformat)
texts = st.one_of(days, st.sampled_from(["2026-10", "2026-11", "2026-10-25..2026-11-03", "2026-10..2026-11"]))
values = st.sampled_from(["template=sdlc", "template=", "model=opus", "agent=plan", "team=payments", "workflow=w"])


def between(since: str, until: str) -> tuple[date, date]:
    return days_named("compare", since)[0], days_named("compare", until)[1]


def made(
    history: MemoryHistory, first: str, second: str, by: tuple[str, ...] = ("model",), zone: tzinfo = UTC
) -> Comparison:
    queries = sides(first, second, zone, days=between)
    return compare(history, (first, second), queries, by, zone, rules=RULES)


@settings(max_examples=60)
@given(histories(), st.one_of(st.tuples(texts, texts), st.tuples(values, values)), splits, zones)
def test_the_parts_of_a_difference_add_up_to_it(
    history: MemoryHistory, both: tuple[str, str], by: tuple[str, ...], zone: ZoneInfo
) -> None:
    found = made(history, *both, by, zone)
    assert (
        sum(part.difference for part in found.contributions)
        == found.difference
        == others(found.contributions).difference
    )
    assert found.from_count + found.from_mean == found.difference
    queries = sides(*both, zone, days=between)
    for side, query in zip((found.before, found.after), queries, strict=True):
        whole = spend_report(history, query, zone, rules=RULES)
        assert side.total.amounts == whole.total.amounts
        assert (side.per_workflow is None) == (side.workflows == 0)
    sizes = [abs(part.difference) for part in found.contributions]
    assert sizes == sorted(sizes, reverse=True)


@settings(max_examples=30)
@given(histories(), texts, texts, st.sampled_from(NAMES))
def test_a_comparison_is_turned_by_turning_its_sides(
    history: MemoryHistory, first: str, second: str, name: str
) -> None:
    one, other = made(history, first, second, (name,)), made(history, second, first, (name,))
    assert one.difference == -other.difference
    assert {part.group: part.difference for part in one.contributions} == {
        part.group: -part.difference for part in other.contributions
    }
    assert made(history, first, first, (name,)).difference == 0


def test_a_difference_is_of_number_and_of_cost() -> None:
    """Two of $1 against three of $2: one more makes a dollar, and the rest is what each costs."""
    store, history = MemoryStore(clock=SteppingClock()), MemoryHistory()
    for day, cost, names in (("2026-10-05", "1", "ab"), ("2026-11-05", "2", "cde")):
        for name in names:
            store.append([cost_observed(name, cost_usd=cost, observed_at=f"{day}T12:00:00Z")])
    assert refresh(store, history).problems == []
    found, usd = made(history, "2026-10", "2026-11"), 10**9
    assert (found.before.per_workflow, found.after.per_workflow) == (usd, 2 * usd)
    assert (found.from_count, found.from_mean, found.difference) == (usd, 3 * usd, 4 * usd)
    from_nothing = made(history, "2026-09", "2026-11")
    assert (from_nothing.from_count, from_nothing.from_mean) == (6 * usd, 0)


def test_sides_are_two_periods_or_two_values() -> None:
    assert sides("model=a", "model=b", UTC, days=between, where=(("agent", ("plan",)),)) == (
        SpendQuery(where=(("agent", ("plan",)), ("model", ("a",)))),
        SpendQuery(where=(("agent", ("plan",)), ("model", ("b",)))),
    )
    with pytest.raises(InvalidInput, match="two periods, or two values"):
        sides("2026-10", "model=b", UTC, days=between)
    with pytest.raises(InvalidInput, match="give a day such as"):
        sides("2026-10", "moon", UTC, days=between)


def test_models_are_compared_by_agent_and_all_else_by_model() -> None:
    assert compared_by("model=opus", ()) == ("agent",)
    assert compared_by("2026-10", ()) == compared_by("template=sdlc", ()) == ("model",)
    assert compared_by("model=opus", ("project", "issue")) == ("project", "issue")
