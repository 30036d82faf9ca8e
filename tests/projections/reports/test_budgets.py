"""Budgets: what is left, and when it is said."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.config.schema import BudgetConfig
from ledger.errors import InvalidConfig
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.memory_store import MemoryStore
from projections.folding.row import row
from projections.history.memory import MemoryHistory
from projections.replay.refresh import refresh
from projections.reports.budgets import Budgets as AnyBudgets
from projections.reports.budgets import (
    BudgetState,
    BudgetStatus,
    budget_status,
    configured_budgets,
    ended_near_or_over,
    near_or_over,
    of_running,
)
from tests.projections.lines import HEAD, folded, reading, started

NONE = BudgetConfig()
DEFAULTS = BudgetConfig.model_validate({"default_usd": "10", "by_template": {"adw_sdlc": "5"}})


def stands(*observed: dict[str, Any], budgets: AnyBudgets = NONE) -> BudgetStatus | None:
    return budget_status(row(folded(*observed), HEAD), budgets)


def test_the_starts_own_budget_wins_over_its_templates_and_that_over_the_default() -> None:
    def of(**fields: Any) -> int | None:
        found = stands(started(1, **fields), budgets=DEFAULTS)
        return None if found is None else found.budget_nanousd

    assert of(budget_usd="2.50", workflow_template="adw_sdlc") == 2_500_000_000
    assert of(workflow_template="adw_sdlc") == 5_000_000_000
    assert of(workflow_template="another") == of() == 10_000_000_000
    assert stands(started(1), budgets=NONE) is None


def test_the_last_start_that_names_a_budget_counts() -> None:
    found = stands(started(1, budget_usd="2.00"), started(1, budget_usd="3.00"), started(1))
    assert found is not None
    assert found.budget_nanousd == 3_000_000_000


@pytest.mark.parametrize(
    ("spent", "state", "percent"),
    [
        ("0.00", BudgetState.OK, 0),
        ("3.999999999", BudgetState.OK, 79),
        ("4.00", BudgetState.WARNED, 80),
        ("5.00", BudgetState.WARNED, 100),
        ("5.000000001", BudgetState.OVER, 101),
        ("50.00", BudgetState.OVER, 1000),
    ],
)
def test_warned_from_80_percent_on_and_over_above_the_whole(spent: str, state: BudgetState, percent: int) -> None:
    found = stands(started(1, budget_usd="5.00"), reading(spent))
    assert found is not None
    assert (found.state, found.percent) == (state, percent)


def test_an_unpriced_part_is_said_and_never_taken_for_free() -> None:
    unpriced = reading(None, usage={"output_tokens": 5}, model="who-knows-1", message_id="m")
    found = stands(started(1, budget_usd="5.00"), reading("4.20", agent="plan"), unpriced)
    assert found is not None
    assert (found.at_least, found.unpriced) == (True, 1)
    text = "at least $4.2000 of $5.0000 spent (84 %), at most $0.8000 left; 1 reading without a price"
    assert str(found) == text


def test_a_budget_of_nothing_is_over_with_the_first_cent() -> None:
    for spent, state, text in (
        ("0.00", BudgetState.OK, "$0.0000 of $0.0000 spent, $0.0000 left"),
        ("0.0000001", BudgetState.OVER, "$0.0000001 of $0.0000000 spent, $0.0000001 over"),
    ):
        found = stands(started(1, budget_usd="0.00"), reading(spent))
        assert found is not None
        assert (found.state, found.percent, str(found)) == (state, None, text), "nothing is a share of nothing"
    unpriced = reading(None, usage={"output_tokens": 5}, model="who-knows-1", message_id="m")
    found = stands(started(1, budget_usd="0.00"), unpriced)
    assert found is not None
    assert (found.state, found.percent) == (BudgetState.WARNED, None), "it may be over, and no reading shows it"
    assert str(found).startswith("an unpriced amount spent, at most $0.0000 left of $0.0000; 1 reading without a price")


def test_a_difference_is_shown_with_the_decimals_that_it_needs() -> None:
    for spent, text in (
        (1_000_000_001, "$1.000000001 of $1.000000000 spent (101 %), $0.000000001 over"),
        (999_960_000, "$0.99996 of $1.00000 spent (99 %), $0.00004 left"),
        (1_000_000_000, "$1.0000 of $1.0000 spent (100 %), $0.0000 left"),
        (2_000_000_000, "$2.0000 of $1.0000 spent (200 %), $1.0000 over"),
    ):
        assert str(BudgetStatus(1_000_000_000, spent, at_least=False, unpriced=0)) == text


SHARES = st.lists(st.decimals("0.001", 1, places=3), max_size=4).map(lambda shares: tuple(sorted(set(shares))))


@given(st.integers(1, 10**12), st.integers(0, 10**12), SHARES)
def test_the_largest_share_that_is_reached_is_warned_of(budget: int, spent: int, shares: tuple[Decimal, ...]) -> None:
    found = BudgetStatus(budget, spent, at_least=False, unpriced=0, warn_at=shares)
    reached = [share for share in shares if Fraction(spent, budget) >= Fraction(share)]
    assert found.warned_at == (max(reached) if reached else None)
    assert (found.state is BudgetState.WARNED) == (spent <= budget and bool(reached))
    assert (found.warning is None) == (found.state is BudgetState.OK)


def test_the_configuration_names_the_shares_of_every_budget(tmp_path: Path) -> None:
    file = tmp_path / "costledger.toml"
    file.write_text("[budgets]\nwarn_at = [0.95, 0.5]\n", encoding="utf-8")
    budgets = configured_budgets(file)
    assert budgets.warn_at == (Decimal("0.5"), Decimal("0.95"))
    found = stands(started(1, budget_usd="1.00"), reading("0.95"), budgets=budgets)
    assert found is not None
    assert (found.warned_at, found.warning) == (Decimal("0.95"), "nears its budget (95 %)")
    for wrong in ("0", "1.5", '"much"', "true"):
        file.write_text(f"[budgets]\nwarn_at = [{wrong}]\n", encoding="utf-8")
        with pytest.raises(InvalidConfig, match="a share of the budget"):
            configured_budgets(file)


def test_the_rows_that_near_their_budget_or_are_over_it_come_with_the_most_used_first() -> None:
    rows = [
        replace(row(folded(started(1, budget_usd="1.00"), reading(spent)), HEAD), adw_id=name)
        for name, spent in (("ok", "0.10"), ("near", "0.90"), ("over", "1.50"), ("nearer", "0.95"))
    ]
    rows.append(row(folded(started(1)), HEAD))
    assert [found.adw_id for found, _ in near_or_over(rows, NONE)] == ["over", "nearer", "near"]


budgets_set = st.builds(
    lambda default, templates, shares: BudgetConfig.model_validate(
        {"by_template": templates, "warn_at": shares} | ({} if default is None else {"default_usd": default})
    ),
    st.sampled_from([None, "0.00", "0.02", "0.10"]),
    st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["0.00", "0.01", "0.05"])),
    st.lists(st.sampled_from(["0.333", "0.5", "1"]), max_size=2),
)
workflows = st.lists(
    st.tuples(
        st.sampled_from([None, "a", "b"]),
        st.sampled_from([None, "0.00", "0.03"]),
        st.sampled_from([None, "0.00", "0.01", "0.02", "0.033333333", "0.05", "0.12"]),
    ),
    max_size=6,
)


@settings(max_examples=60)
@given(workflows, budgets_set)
def test_ended_workflows_near_or_over_a_budget_are_found_without_the_others(
    made: list[tuple[str | None, str | None, str | None]], budgets: BudgetConfig
) -> None:
    ledgers = MemoryStore()
    with MemoryHistory() as history:
        for number, (template, budget, cost) in enumerate(made):
            fields = {"usage": {"output_tokens": 5}, "model": "who-knows-1"} if cost is None else {"cost_usd": cost}
            start = workflow_started(f"w{number}", workflow_template=template, budget_usd=budget)
            ledgers.append([start, cost_observed(f"w{number}", **fields)])
            if number % 3:
                ledgers.append([workflow_ended(f"w{number}", "completed")])
        refresh(ledgers, history)
        every = history.rows()
        ended = [row for row in every if row.status != "running"]
        assert ended_near_or_over(history, None, None, budgets) == near_or_over(ended, budgets)
        running = [(row, budget_status(row, budgets)) for row in every if row.status == "running"]
        assert of_running(history, budgets) == [(row, status) for row, status in running if status is not None]


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_percent_state_and_what_is_left_agree(budget: int, spent: int) -> None:
    found = BudgetStatus(budget, spent, at_least=False, unpriced=0)
    assert found.left_nanousd == budget - spent
    assert (found.state is BudgetState.OVER) == (spent > budget)
    assert (found.percent is None) == (budget == 0)
    if found.percent is not None:
        assert (found.state is BudgetState.OVER) == (found.percent > 100)
        assert (found.state is BudgetState.OK) == (found.percent < 80)
    assert ("over" in str(found)) == (spent > budget)
