from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from projections.folding.breakdown import (
    UNATTRIBUTED,
    basis_of,
    name_of,
    possible_double_counting,
    retries_without_counter,
    subagents,
    summarise,
)
from tests.projections.lines import ended, events, folded, reading, started


@given(events)
def test_by_agent_and_by_model_the_whole_cost_is_attributed_and_no_part_is_zero(sequence: list[dict[str, Any]]) -> None:
    tree = folded(*sequence).tree
    found = summarise(tree)
    for parts in (found.cost_by_agent, found.cost_by_model):
        assert sum(parts.values()) == tree.root.cost_nanousd
        assert all(parts.values())
    for counts in (found.tokens_by_agent, found.tokens_by_model):
        assert tuple(map(sum, zip(*counts.values(), strict=True))) in (found.tokens, ())
        assert all(map(any, counts.values()))


@pytest.mark.parametrize(
    ("sequence", "basis"),
    [
        ([], None),
        ([reading("1.00")], "reported"),
        ([reading("1.00", cost_source="priced")], "priced"),
        ([reading("1.00", partial=True)], "partial"),
        ([reading(None, usage={"output_tokens": 5})], "partial"),
    ],
)
def test_the_basis_is_the_weakest_of_the_readings(sequence: list[dict[str, Any]], basis: str | None) -> None:
    found = summarise(folded(*sequence).tree)
    assert basis_of(found, 0) == basis
    assert basis_of(found, 1) == "partial"


def test_what_names_no_agent_is_unattributed_and_usage_without_a_price_is_counted_by_model() -> None:
    unpriced = reading(None, agent="plan", model="m", usage={"output_tokens": 5})
    found = summarise(folded(reading("1.00", session_id="s"), unpriced).tree)
    assert found.cost_by_agent == {UNATTRIBUTED: 10**9}
    assert (found.unpriced, found.unpriced_by_model) == (1, {"m": (1, 5)})


def test_meters_that_may_cover_the_same_calls_are_named() -> None:
    tree = folded(reading("1.00", agent="plan"), reading("2.00", session_id="s"), reading("1.00", model="m")).tree
    assert possible_double_counting(tree) == ["workflow: agent and session and model meters side by side"]
    same = folded(*(reading("1.00", agent=agent, message_id="m1") for agent in ("plan", "build"))).tree
    assert "message m1 under 2 meters" in possible_double_counting(same)
    assert possible_double_counting(folded(reading("1.00", agent="plan"), reading("1.00", agent="build")).tree) == []


@pytest.mark.parametrize("before", [[], [started(), reading("1.00", model="m", message_id="m0"), ended("completed")]])
def test_messages_without_a_model_beside_models_that_are_sums_of_messages_cover_other_calls(
    before: list[dict[str, Any]],
) -> None:
    messages = [
        *before,
        *([started(2)] if before else []),
        reading("2.00", model="m", message_id="m1"),
        reading("3.00", message_id="m2"),
    ]
    assert possible_double_counting(folded(*messages).tree) == []
    total_of_the_model = folded(*messages, reading("9.00", model="m")).tree
    assert possible_double_counting(total_of_the_model) == ["workflow: model and message meters side by side"]


def test_a_retry_below_what_it_had_cost_lacks_a_counter() -> None:
    retried = [started(), reading("2.00", agent="plan"), ended("failed"), started(2)]
    assert retries_without_counter(folded(*retried, reading("1.00", agent="plan")).tree) == ["agent plan"]
    assert retries_without_counter(folded(*retried, reading("1.00", agent="plan", counter="2")).tree) == []


def test_sub_agents_and_meters_have_names_for_people() -> None:
    tree = folded(reading("1.00", agent="plan", session_id="s-1", subagent="explore"), reading("1.00", agent="b")).tree
    assert subagents(tree) == {"explore": ["plan"]}
    assert [name_of(path) for path in tree.meters][:3] == [
        "workflow",
        "agent plan",
        "agent plan, session s-1",
    ]
