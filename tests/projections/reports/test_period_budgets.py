"""Budgets of periods: what was spent of one is the total of the spend query, and their state follows from it."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.config.budgets import BudgetConfig
from projections.history.memory import MemoryHistory
from projections.reports.budgets import BudgetState, configured_budgets
from projections.reports.period_budgets import counts_workflow, period_budgets, spent_most
from projections.reports.periods import PERIODS, Per, label_of
from tests.projections.reports.test_periods import zones
from tests.projections.reports.test_spend_report import RULES, histories, made, summed

WHERE = ("project=shop", "team=payments", "team=web", "agent=plan", "model=op*", "issue=17", "branch=")
days = st.dates(date(2026, 10, 20), date(2026, 11, 20))


def configured(per: Per, usd: str, *where: str, **more: object) -> BudgetConfig:
    return BudgetConfig.model_validate({"period": [{"per": per, "usd": usd, "where": where, **more}]})


@settings(max_examples=60)
@given(histories(), st.sampled_from(PERIODS), days, zones, st.lists(st.sampled_from(WHERE), max_size=2, unique=True))
def test_what_was_spent_of_a_budget_is_the_total_of_the_spend_query(
    history: MemoryHistory, per: Per, day: date, zone: ZoneInfo, where: list[str]
) -> None:
    [found] = period_budgets(history, configured(per, "1.5", *where), day, zone, rules=RULES)
    asked: dict[str, list[str]] = {}
    for condition in where:
        name, _, value = condition.partition("=")
        asked.setdefault(name, []).append(value)
    spent = 0
    if found.problem is None and all(len(values) == 1 for values in asked.values()):
        conditions = {name: values[0] for name, values in asked.items()}
        report = made(history, (), per, zone, where=conditions)
        spent = summed([line for line in report.lines if line.period == found.period])[0]
        assert found.status.spent_nanousd == spent
        total = made(history, (), None, zone, found.since, found.until, conditions).total
        assert (found.status.spent_nanousd, found.status.at_least) == (total.amounts[0], total.at_least)
    assert found.since <= day <= found.until
    assert label_of(per, found.since) == label_of(per, found.until) == found.period
    assert found.status.spent_nanousd >= spent
    assert (found.status.state is BudgetState.OVER) == (found.status.spent_nanousd > 1_500_000_000)


@given(histories(), days)
def test_a_days_budget_is_never_above_a_weeks_and_a_part_never_above_the_whole(
    history: MemoryHistory, day: date
) -> None:
    def spent(per: Per, *where: str) -> int:
        return period_budgets(history, configured(per, "1", *where), day, UTC, rules=RULES)[0].status.spent_nanousd

    week = [day - timedelta(days=day.weekday() - number) for number in range(7)]
    assert spent("day") <= spent("week")
    assert spent("week") == sum(
        period_budgets(history, configured("day", "1"), one, UTC)[0].status.spent_nanousd for one in week
    )
    assert spent("month", "project=shop") <= spent("month")


@given(histories())
def test_a_workflow_counts_in_a_budget_if_all_of_its_spend_does(history: MemoryHistory) -> None:
    for row in history.rows():
        for where in WHERE:
            [budget] = configured("month", "1", where).period
            name, _, value = where.partition("=")
            whole = made(history, ("workflow",), where={"workflow": row.adw_id}).total.amounts
            if counts_workflow(budget, row, RULES):
                part = made(history, where={"workflow": row.adw_id, name: value}).total.amounts
                assert part == whole
                assert not counts_workflow(budget, None, RULES)


def test_a_budget_names_itself_or_its_conditions_and_has_its_own_shares() -> None:
    history, day = MemoryHistory(), date(2026, 11, 23)
    both = BudgetConfig.model_validate(
        {
            "warn_at": ["0.5"],
            "period": [
                {"per": "week", "usd": "1", "where": ["team=payments"], "warn_at": ["0.9", "0.7"]},
                {"per": "day", "usd": "0", "name": "nothing"},
            ],
        }
    )
    week, one_day = period_budgets(history, both, day, UTC)
    assert (week.title, week.status.warn_at) == ("team=payments in 2026-W48", both.period[0].warn_at)
    assert (one_day.title, one_day.status.warn_at) == ("nothing in 2026-11-23", both.warn_at)
    assert week.problem is not None
    assert spent_most([week, one_day]) == []
    assert configured_budgets(None).period == ()


@pytest.mark.parametrize("per", PERIODS)
def test_the_last_period_of_the_calendar_ends_with_it(per: Per) -> None:
    [found] = period_budgets(MemoryHistory(), configured(per, "1"), date.max, UTC)
    assert found.until == date.max
