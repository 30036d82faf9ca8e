"""The receipt of a workflow, as a document and as Markdown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from projections.documents.cost_receipt import receipt_document, receipt_markdown
from projections.documents.rows import row_document
from projections.folding.row import row, spend
from projections.reports.budgets import configured_budgets
from tests.projections.lines import HEAD, ended, events, folded, reading, started


@given(events)
def test_the_lines_add_up_to_the_cost_and_the_tokens(given_events: list[dict[str, Any]]) -> None:
    state = folded(*given_events)
    replayed = row(state, HEAD)
    made = receipt_document(row_document(replayed, configured_budgets(None), idle=False), spend(state))
    assert sum(Decimal(one["cost_usd"]) for one in made["lines"]) * 10**9 == replayed.actual_cost_nanousd


@given(st.text(min_size=1).filter(lambda name: "\0" not in name))
def test_a_name_stays_in_its_cell_of_the_table(name: str) -> None:
    state = folded(started(), reading("2.37", agent=name, model="opus"), ended())
    replayed = row(state, HEAD)
    made = receipt_document(row_document(replayed, configured_budgets(None), idle=False), spend(state))
    text = receipt_markdown(made, replayed, "14 min 1 s")
    assert text.startswith("### Cost: $2.3700\n")
    (line,) = [line for line in text.splitlines() if "opus" in line]
    assert line.replace("\\|", "").count("|") == 5
