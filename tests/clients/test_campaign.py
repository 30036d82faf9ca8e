"""The campaign with real clients (`pytest -m clients`), and what of it needs no client."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.campaign import CLIENTS, Cell, cells, run
from tests.clients.table import PAGE, page


@pytest.mark.clients
@pytest.mark.parametrize("cell", [*cells()], ids=lambda cell: f"{cell.client}-{cell.version}-{cell.scenario}")
def test_every_row_is_exact_or_a_lower_bound_with_a_reason(cell: Cell, tmp_path: Path) -> None:
    wrong = [result for result in run(cell, tmp_path / "cell") if result.is_wrong]
    for defect in CLIENTS[cell.client].defects:
        if wrong and all(defect.concerns(result.version, result.scenario, result.way) for result in wrong):
            pytest.xfail(defect.why)
    assert wrong == []


def test_the_page_has_the_tables_of_the_stored_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text
