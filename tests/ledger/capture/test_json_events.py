from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import MemoryStore, cost_observed, event, workflow_ended
from ledger.capture.json_events import append_each, strict_json, submitted
from ledger.errors import ConflictingEvent, InvalidInput, UnknownWorkflow
from ledger.storage.append import Receipt

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values)
def test_any_json_is_read_as_it_is(value: Any) -> None:
    assert strict_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=0, max_value=10**6))
def test_a_number_with_a_point_stays_exact(amount: Decimal) -> None:
    assert strict_json(f'{{"cost_usd": {amount:f}}}'.encode())["cost_usd"] == amount


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b'{"a": 1, "a": 2}', "names 'a' twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"\xff", "is not UTF-8"),
        (b'{"a": ', "is not JSON: .* at character 7"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "is not JSON"),
    ],
)
def test_what_is_no_strict_json_is_refused_with_its_problem(text: bytes, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        strict_json(text)


def test_a_submitted_event_is_that_of_its_object() -> None:
    given_fields = {"type": "cost_observed", "workflow_id": "w", "cost_usd": "0.09"}
    assert submitted(json.dumps(given_fields).encode()) == event(given_fields)
    with pytest.raises(InvalidInput, match="is not a JSON object"):
        submitted(b"[]")


def test_of_events_together_only_the_one_that_conflicts_is_refused() -> None:
    store = MemoryStore()
    store.append([cost_observed("w", cost_usd="1", id="a")])
    events = [cost_observed("w", cost_usd=cost, id=id) for cost, id in (("2", "b"), ("9", "a"), ("3", "c"))]
    results = list(append_each(store, events))
    assert [type(result) for result in results] == [Receipt, ConflictingEvent, Receipt]
    assert [line.get("cost_usd") for line in store.read("w")][1:] == ["1.00", "2.00", "3.00"]


def test_an_end_needs_a_workflow_here_or_elsewhere() -> None:
    ended, cost = workflow_ended("w", "completed"), cost_observed("w", cost_usd="1")
    store = MemoryStore()
    first, second = append_each(store, [ended, cost])
    assert (type(first), type(second)) == (UnknownWorkflow, Receipt)
    assert [type(result) for result in append_each(store, [ended])] == [Receipt]
    assert [type(result) for result in append_each(MemoryStore(), [ended], elsewhere=lambda _: True)] == [Receipt]
