"""Rows as JSON lines and as Parquet."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest

from tests.projections.cli.test_app import Run, run

__all__ = ["run"]


@pytest.fixture
def filled(run: Run) -> Run:
    run("observe", "one", "--agent", "plan", "--model", "opus", "--cost-usd", "2.37")
    run("observe", "two", "--agent", "plan", "--model", "opus", "--cost-usd", "0.000000001")
    return run


def test_json_lines_are_the_objects_of_the_document(filled: Run) -> None:
    lines = [orjson.loads(line) for line in filled("history", "--jsonl").out.splitlines()]
    assert lines == orjson.loads(filled("history", "--json").out)["workflows"]
    by_model = [orjson.loads(line) for line in filled("spend", "--by", "model", "--jsonl").out.splitlines()]
    assert [(one["group"], one["cost_usd"]) for one in by_model] == [("opus", "2.370000001")]


def test_parquet_keeps_money_exact(filled: Run) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert filled("history", "--parquet", "rows.parquet").code == 0
    costs = parquet.read_table("rows.parquet").column("actual_cost_total").to_pylist()
    assert sorted(costs) == [Decimal("0.000000001"), Decimal("2.370000000")]
    assert filled("spend", "--by", "workflow", "--parquet", "spend.parquet").code == 0
    assert sum(parquet.read_table("spend.parquet").column("cost_usd").to_pylist()) == Decimal("2.370000001")


def test_one_format_at_a_time(filled: Run) -> None:
    assert filled("history", "--jsonl", "--csv").code == 2
    missing = filled("history", "--parquet", "no/such/folder/rows.parquet")
    assert (missing.code, "could not write" in missing.err) == (1, True)
