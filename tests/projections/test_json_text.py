from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from projections.json_text import json_bytes

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=8,
)


@dataclass
class Sum:
    tokens: int
    day: date


@given(values, st.booleans())
def test_a_value_reads_back_exactly_however_large_its_integers_are(value: Any, indented: bool) -> None:
    assert json.loads(json_bytes(value, indented=indented)) == value


def test_a_sum_above_64_bits_changes_nothing_else_of_its_document() -> None:
    small, large = ({"ä": [Sum(tokens, date(2026, 1, 2))]} for tokens in (1, 2**70))
    assert json.loads(json_bytes(small)) == {"ä": [{"tokens": 1, "day": "2026-01-02"}]}
    assert json.loads(json_bytes(large)) == {"ä": [{"tokens": 2**70, "day": "2026-01-02"}]}
    assert "ä" in json_bytes(large).decode()
