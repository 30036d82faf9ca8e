"""Workflows that know what they have cost, and what their budget leaves."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from ledger import DirectoryStore, MemoryStore
from ledger.errors import BudgetExceeded, InvalidInput
from projections import join, workflow
from projections.replay.refresh import project


def test_what_a_workflow_has_cost_and_has_left(tmp_path: Path) -> None:
    wf = workflow("w", data=tmp_path, budget_usd="2.50")
    assert (wf.cost, wf.left) == (None, None), "nothing is recorded of it"
    with wf:
        assert (wf.cost, wf.left) == (None, Decimal("2.50"))
        wf.observe(agent="plan", cost_usd="0.09")
        assert (wf.cost, wf.left) == (Decimal("0.09"), Decimal("2.41"))
        assert str(wf.cost) == "0.09"
        with join("w", data=tmp_path) as child:
            child.charge(agent="build", cost_usd="2.28")
        assert (wf.cost, wf.left) == (child.cost, child.left) == (Decimal("2.37"), Decimal("0.13"))
        wf.charge(agent="build", cost_usd="1.000000001")
        assert (wf.cost, wf.left) == (Decimal("3.370000001"), Decimal("-0.870000001"))
    assert wf.cost == Decimal("3.370000001")
    assert project(DirectoryStore(tmp_path), "w").row.actual_cost_nanousd == 3_370_000_001


def test_what_has_no_price_is_unknown_and_never_nothing() -> None:
    with workflow("w", store=MemoryStore()) as wf:
        wf.charge(agent="plan", model="local-x", usage={"output_tokens": 9})
        assert (wf.cost, wf.left) == (None, None)
        wf.charge(agent="plan", cost_usd="0")
        assert wf.cost is None
        wf.charge(agent="plan", cost_usd="1")
        assert wf.cost == 1
    with workflow("v", store=MemoryStore()) as wf:
        wf.charge(agent="plan", cost_usd="0")
        assert wf.cost == 0


def test_a_budget_of_the_configuration_counts(tmp_path: Path) -> None:
    toml = "[budgets]\ndefault_usd = '5'\n[budgets.by_template]\nadw_sdlc = '2'\n"
    (tmp_path / "costledger.toml").write_text(toml)
    with workflow("w", data=tmp_path) as wf, workflow("v", data=tmp_path, workflow_template="adw_sdlc") as other:
        assert (wf.left, other.left) == (Decimal(5), Decimal(2))
        assert join("v", data=tmp_path).left == 2


def test_a_budget_that_is_exceeded_stops_a_program_that_asked_for_it() -> None:
    store = MemoryStore()

    def run() -> None:
        with workflow("w", store=store, budget_usd="1", raise_over_budget=True) as wf:
            wf.observe(agent="plan", cost_usd="0.60")
            wf.charge(agent="build", cost_usd="0.40")
            wf.charge(agent="build", model="local-x", usage={"output_tokens": 9})
            wf.charge(agent="build", cost_usd="0.10")

    with pytest.raises(BudgetExceeded, match=r"'w' is over its budget: at least \$1\.1.* its last reading is in the"):
        run()
    row = project(store, "w").row
    assert (row.status, row.actual_cost_total) == ("failed", 1.1)
    assert (row.error_message or "").startswith("BudgetExceeded: workflow 'w' is over its budget")
    with workflow("w", store=store) as wf:
        wf.observe(cost_usd="9")
        assert wf.left is not None
        assert wf.left < 0
        with pytest.raises(BudgetExceeded) as over:
            join("w", store=store, raise_over_budget=True).observe(agent="plan", cost_usd="0.60")
    assert (over.value.workflow_id, over.value.budget_usd) == ("w", Decimal(1))
    assert over.value.cost_usd == Decimal(str(project(store, "w").row.actual_cost_total))


def test_a_tracked_call_is_answered_over_the_budget_too() -> None:
    store = MemoryStore()
    with workflow("w", store=store, budget_usd="0.000001", raise_over_budget=True) as wf:
        wf.charge_later({"id": "m", "model": "claude-opus-4-5", "usage": {"input_tokens": 9, "output_tokens": 9}})
        assert wf.left is not None
        assert wf.left < 0


def test_a_budget_that_is_not_set_cannot_be_guarded(tmp_path: Path) -> None:
    store = MemoryStore()
    with pytest.raises(InvalidInput, match="raise_over_budget: no budget is set for workflow 'w'; give budget_usd"):
        workflow("w", store=store, raise_over_budget=True)
    with pytest.raises(InvalidInput, match="no budget is set"):
        join("w", store=store, raise_over_budget=True)
    assert store.size("w") is None
    with workflow("w", store=store, budget_usd="1"):
        pass
    with workflow("w", store=store, raise_over_budget=True), join("w", store=store, raise_over_budget=True):
        pass
    (tmp_path / "costledger.toml").write_text("[budgets]\ndefault_usd = '5'\n")
    with workflow("w", data=tmp_path, raise_over_budget=True):
        pass
