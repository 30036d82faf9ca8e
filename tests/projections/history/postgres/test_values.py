from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given

from ledger.events import money
from projections.folding.projection import Projected
from projections.folding.row import COLUMNS, row
from projections.history.postgres.values import HEAD_COLUMNS, JSON_COLUMNS, head_of, row_of, stored_of, values_of
from tests.projections.lines import HEAD, events, folded


@given(events)
def test_a_row_comes_back_in_whatever_order_its_json_is(sequence: list[dict[str, Any]]) -> None:
    made = row(folded(*sequence), HEAD)
    values = dict(zip(COLUMNS, values_of(made), strict=True))
    assert money.from_wire(values["actual_cost_total"]) == made.actual_cost_nanousd
    for name in JSON_COLUMNS:
        values[name] = orjson.dumps(dict(reversed(orjson.loads(values[name]).items()))).decode()
    values["actual_cost_total"] = made.actual_cost_total  # float8 in PostgreSQL, of the same text
    values["estimated_cost_total"] = made.estimated_cost_total
    assert row_of(list(values.values())) == made


def test_a_checkpoint_has_its_columns_and_json_of_others_stays_as_it_is() -> None:
    made = row(folded(), HEAD)
    assert dict(zip(HEAD_COLUMNS, head_of(Projected(made, (), HEAD)), strict=True)) == {
        "workflow_id": "w",
        "seq": HEAD.seq,
        "size": HEAD.size,
        "hash": HEAD.hash,
    }
    values = list(values_of(made))
    values[COLUMNS.index("cost_breakdown")] = "junk"
    assert row_of(values).cost_breakdown == "junk"


@pytest.mark.parametrize(("exact", "cost"), [(90_000_001, 90_000_001), (None, 90_000_000)])
def test_without_an_exact_cost_the_visible_one_counts(exact: int | None, cost: int) -> None:
    assert stored_of(0.09, exact, "running").exact_nanousd == cost
