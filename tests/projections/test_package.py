"""What the package offers at its face."""

from __future__ import annotations

import ledger
import projections


def test_what_a_workflow_over_its_budget_raises_is_imported_from_either_package() -> None:
    assert projections.BudgetExceeded is ledger.BudgetExceeded
