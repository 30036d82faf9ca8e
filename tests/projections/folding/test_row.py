from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given

from ledger.errors import UnstorableRow
from ledger.events import money
from projections.folding.cost_words import row_cost
from projections.folding.row import COLUMNS, FIGURE_MAX, HELD, held, is_held, row, spend
from tests.projections.lines import HEAD, ended, events, folded, reading, second, started


@given(events)
def test_the_figures_of_a_row_agree_with_each_other_and_with_its_spend(sequence: list[dict[str, Any]]) -> None:
    state = folded(*sequence)
    made = row(state, HEAD)
    assert money.parse_total(made.actual_cost_total) == made.actual_cost_nanousd == state.cost_nanousd
    assert made.total_tokens == made.input_tokens + made.cached_tokens + made.cache_hit_tokens + made.output_tokens
    assert made.cache_miss_tokens == made.input_tokens
    by_agent = orjson.loads(made.cost_breakdown)["by_agent"].values()
    assert sum(map(Decimal, by_agent)) * money.NANOUSD_PER_USD == made.actual_cost_nanousd, "a part may be negative"
    assert sum(one.cost_nanousd for one in spend(state)) == made.actual_cost_nanousd
    assert (made.event_count, made.ledger_seq, made.ledger_hash) == (len(sequence), HEAD.seq, HEAD.hash)
    assert row(state, HEAD) == made


def test_a_row_has_what_its_start_and_its_end_say() -> None:
    made = row(
        folded(
            started(issue_number=17, workflow_template="sdlc", project="/h/shop", observed_at=second(0)),
            reading("0.09", agent="plan", model="opus", observed_at=second(1)),
            ended("failed", error_message="killed", observed_at=second(3)),
        ),
        HEAD,
    )
    assert (made.issue_number, made.workflow_template, made.project) == (17, "sdlc", "/h/shop")
    assert (made.status, made.error_message, made.duration_seconds) == ("failed", "killed", 3)
    assert (made.start_time, made.end_time, made.last_activity) == (second(0), second(3), second(3))
    assert (made.model_used, made.tool, made.cost_basis) == ("opus", "API", "reported")
    assert COLUMNS[0] == "adw_id"


def test_a_figure_that_no_database_stores_is_refused_and_the_largest_is_stored() -> None:
    usage = {"input_tokens": FIGURE_MAX}
    assert row(folded(reading("1.00", usage=usage)), HEAD).input_tokens == FIGURE_MAX
    with pytest.raises(UnstorableRow, match=r"input_tokens comes to 9,223,372,036,854,775,808"):
        row(folded(reading("1.00", usage={"input_tokens": FIGURE_MAX + 1})), HEAD)


def test_a_larger_cost_that_is_stored_shows_as_held_and_a_smaller_one_changes_nothing() -> None:
    replayed = row(folded(reading("0.09", agent="plan")), HEAD)
    assert held(replayed, replayed.actual_cost_nanousd - 1) is replayed
    raised = held(replayed, 10**9)
    assert (raised.actual_cost_total, raised.actual_cost_nanousd) == (1.0, 10**9)
    assert orjson.loads(raised.cost_breakdown)["by_agent"] == {"plan": "0.09", HELD: "0.91"}


def test_a_held_cost_was_set_by_somebody_and_is_no_lower_bound() -> None:
    for other in (reading("0.05", agent="plan", partial=True), reading(agent="test", usage={"output_tokens": 5})):
        replayed = row(folded(reading("0.04", agent="build"), other), HEAD)
        assert (row_cost(replayed)[0], is_held(replayed)) == ("≥", False)
        raised = held(replayed, 10**9)
        assert (row_cost(raised), is_held(raised)) == ("$1.0000", True)
