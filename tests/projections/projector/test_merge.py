from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import MemoryStore, cost_observed, event
from ledger.errors import CostledgerError
from projections.projector.merge import Merge, merged_head
from projections.replay.refresh import project
from tests.projections.lines import readings
from tests.projections.projector.pure_replay import merged

ORIGINS = ("0a", "0b")


def store(origin: str, sequence: list[dict[str, Any]]) -> MemoryStore:
    made = MemoryStore(origin=origin)
    made.append([cost_observed("w", cost_usd="0.01")])
    for fields in sequence:
        given_fields = {name: value for name, value in fields.items() if name != "cost_source"}
        made.append([event(given_fields | {"workflow_id": "w"})])
    return made


def lines(made: MemoryStore) -> list[bytes]:
    return list(made.read("w").raw_lines())


@settings(max_examples=40, deadline=None)
@given(st.lists(readings(), max_size=5))
def test_the_chain_of_one_origin_gives_the_row_of_its_own_ledger(sequence: list[dict[str, Any]]) -> None:
    made = store("0a", sequence)
    assert merged("w", {"0a": lines(made)}) == project(made, "w")


@settings(max_examples=40, deadline=None)
@given(st.lists(readings(), max_size=3), st.lists(readings(), max_size=3), st.data())
def test_chains_come_to_one_row_in_whatever_order_their_lines_arrive(
    one: list[dict[str, Any]], other: list[dict[str, Any]], data: st.DataObject
) -> None:
    chains = {origin: lines(store(origin, part)) for origin, part in zip(ORIGINS, (one, other), strict=True)}
    expected = merged("w", chains)
    left, merge = {origin: list(part) for origin, part in chains.items()}, Merge("w", retains_lines=True)
    while waiting := [origin for origin in ORIGINS if left[origin]]:
        origin = data.draw(st.sampled_from(waiting))
        merge.take(origin, left[origin].pop(0))
        if data.draw(st.booleans()):
            merge.projected()
    assert merge.projected() == expected
    assert merge.problems == {}
    assert expected.row.event_count == sum(map(len, chains.values()))


def test_an_id_that_two_origins_have_counts_once() -> None:
    made = {origin: MemoryStore(origin=origin) for origin in ORIGINS}
    for each in made.values():
        each.append([cost_observed("w", agent=each.origin, cost_usd="1", id="same")])
    assert merged("w", {origin: lines(each) for origin, each in made.items()}).row.actual_cost_nanousd == 10**9


def test_a_missing_line_stops_its_chain_until_it_comes() -> None:
    first, second, third = lines(store("0a", [{"type": "cost_observed", "cost_usd": "1.00"}]))
    merge = Merge("w")
    merge.take("0a", first)
    merge.take("0a", third)
    assert merge.problems == {"0a": "the line at seq 2 is missing, and later ones are there"}
    for raw in (second, third):
        merge.take("0a", raw)
    assert (merge.problems, merge.heads["0a"].seq) == ({}, 3)
    with pytest.raises(CostledgerError, match="seq 2 is missing"):
        merged("w", {"0a": [first, third]})


def test_a_chain_that_lost_what_the_rows_have_lags_until_it_is_there_again() -> None:
    raw = lines(store("0a", []))
    head = merged("w", {"0a": raw}).head
    merge = Merge("w")
    merge.expect("0a", head)
    assert (merge.lags, merge.reached("0a")) == (True, False)
    assert "lost some of them" in merge.problems["0a"]
    for line in raw:
        merge.take("0a", line)
    assert (merge.lags, merge.problems) == (False, {})


def test_a_second_origin_makes_a_merge_incomplete_that_retained_no_lines() -> None:
    merge = Merge("w")
    for origin in ORIGINS:
        merge.take(origin, lines(store(origin, []))[0])
    assert merge.incomplete
    assert merged_head({"0a": merge.heads["0a"]}, 5) == merge.heads["0a"]
