"""The application's part of a breakdown keeps its bytes; ours is one key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.applications.columns import KEY, with_breakdown

OURS = '{"by_agent":{"plan":"2.37"},"by_model":{}}'
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_objects = st.dictionaries(st.text(), _values, max_size=5)
_layouts = st.sampled_from([{}, {"indent": 1}, {"separators": (" , ", "\n:\t")}, {"ensure_ascii": False}])


@given(_objects, _layouts, st.sampled_from(["", " ", "\n\t"]))
def test_everything_else_of_an_object_stays_as_it_is(found: dict[str, Any], layout: dict[str, Any], space: str) -> None:
    text = space + json.dumps(found, **layout) + space
    written = with_breakdown(text, OURS)
    assert written is not None
    assert json.loads(written) == found | {KEY: json.loads(OURS)}
    assert with_breakdown(written, OURS) == written
    other = with_breakdown(written, '{"by_agent":{}}')
    assert other is not None
    assert json.loads(other) == found | {KEY: {"by_agent": {}}}
    if KEY not in found:
        inside = text.rstrip().removesuffix("}")
        assert written.startswith(inside)
        assert other.startswith(inside)


@given(st.text() | _values.map(json.dumps) | st.integers() | st.binary())
def test_what_is_no_object_is_left_alone(found: Any) -> None:
    try:
        is_object = isinstance(json.loads(found), dict)
    except (ValueError, TypeError):
        is_object = False
    if not is_object and not (isinstance(found, str) and not found.strip()):
        assert with_breakdown(found, OURS) is None


@pytest.mark.parametrize("absent", [None, "", " \n"])
def test_an_absent_one_is_made(absent: str | None) -> None:
    assert with_breakdown(absent, OURS) == f'{{"costledger":{OURS}}}'


def test_a_number_keeps_its_spelling_and_one_nested_too_deep_is_left_alone() -> None:
    found = with_breakdown('{"by_phase": {"plan": 0.0900, "big": 12345678901234567890.10}, "costledger": 1 }', OURS)
    assert found == f'{{"by_phase": {{"plan": 0.0900, "big": 12345678901234567890.10}}, "costledger": {OURS} }}'
    assert with_breakdown('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", OURS) is None
