from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from projections.cli.output.costs import print_unpriced, unpriced_of
from projections.folding.row import Row, row
from tests.projections.lines import HEAD, folded, reading

usages = st.dictionaries(st.sampled_from(["a", "b"]), st.tuples(st.integers(1, 9), st.integers(1, 9)))


def unpriced(usage: dict[str, tuple[int, int]]) -> Row:
    readings: list[dict[str, Any]] = [
        reading(None, agent=str(number), model=model, usage={"output_tokens": tokens})
        for model, (events, tokens) in usage.items()
        for number in range(events)
    ]
    return row(folded(*readings), HEAD)


def printed(cost_nanousd: int, usage: dict[str, tuple[int, int]]) -> str:
    out = Console(file=io.StringIO(), width=200)
    print_unpriced(out, cost_nanousd, usage)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@given(st.lists(usages, max_size=3))
def test_usage_without_a_price_adds_up_by_model_over_rows(given_usages: list[dict[str, tuple[int, int]]]) -> None:
    found = unpriced_of(map(unpriced, given_usages))
    assert list(found) == sorted({model for usage in given_usages for model in usage})
    for model, (events, tokens) in found.items():
        parts = [usage[model] for usage in given_usages if model in usage]
        assert events == sum(count for count, _ in parts)
        assert tokens == sum(count * each for count, each in parts)


def test_a_total_without_some_prices_is_at_least_that_and_names_the_models() -> None:
    assert printed(0, {}) == ""
    assert printed(0, {"m": (1, 5)}) == "1 message unpriced: m (1 message, 5 tokens)\n"
    assert printed(90_000_000, {"m": (2, 5)}).startswith("at least $0.0900, 2 messages unpriced: m")


def test_a_row_with_all_prices_has_nothing_unpriced() -> None:
    made = row(folded(reading("1.00")), HEAD)
    assert unpriced_of([made, replace(made, adw_id="v")]) == {}
