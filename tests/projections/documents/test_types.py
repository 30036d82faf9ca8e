from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ledger.events import money
from projections.documents.types import About, TypedDict, Usd, document, usd


@document
class Priced(TypedDict):
    """A document of the test."""

    cost_usd: Usd
    count: Annotated[int, About("how many", minimum=0)]


@given(st.none() | st.integers(0, 10**15))
def test_an_amount_is_exact_text_and_no_amount_is_none(nanousd: int | None) -> None:
    text = usd(nanousd)
    assert (None if text is None else money.from_wire(text)) == nanousd


def test_the_schema_of_a_document_has_descriptions_and_no_other_fields() -> None:
    schema = TypeAdapter(Priced).json_schema()
    assert schema["additionalProperties"] is False
    assert schema["properties"]["count"] == {
        "description": "how many",
        "minimum": 0,
        "title": "Count",
        "type": "integer",
    }
    assert schema["properties"]["cost_usd"]["examples"] == ["2.37"]
    with pytest.raises(ValidationError):
        TypeAdapter(Priced).validate_python({"cost_usd": "1.00", "count": 1, "other": 2})
