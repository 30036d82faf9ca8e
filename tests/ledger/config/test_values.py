from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ledger.config.values import Name, Provider, Rate, Share, Span, Usd, WorkflowId

SPAN: TypeAdapter[timedelta] = TypeAdapter(Span)
SHARE: TypeAdapter[Decimal] = TypeAdapter(Share)


@given(st.integers(1, 999_999), st.sampled_from("smhd"), st.sampled_from(["", " "]))
def test_a_span_is_a_whole_number_of_its_unit(number: int, unit: str, blank: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400}[unit]
    assert SPAN.validate_python(f"{number}{blank}{unit}") == timedelta(seconds=number * seconds)


@given(st.decimals(-2, 2, allow_nan=True, places=3))
def test_a_share_is_above_nothing_and_at_most_the_whole(share: Decimal) -> None:
    if share.is_finite() and 0 < share <= 1:
        assert SHARE.validate_python(str(share)) == share
    else:
        with pytest.raises(ValidationError, match="a share of the budget"):
            SHARE.validate_python(share)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Usd, "0.09", 90_000_000),
        (Rate, "2.50", Decimal("2.5")),
        (Name, "Build", "Build"),
        (WorkflowId, "a5b80595", "a5b80595"),
        (Provider, "anthropic", "anthropic"),
    ],
)
def test_a_value_of_the_file_is_read(kind: Any, text: str, value: object) -> None:
    assert TypeAdapter(kind).validate_python(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (Usd, "-1", "is not an amount"),
        (Rate, "0.0000000000001", "more than 12 decimals"),
        (Name, "", "expected text"),
        (WorkflowId, "../x", "is not a workflow id"),
        (Provider, "antropic", "did you mean 'anthropic'"),
        (Provider, "zzz", "those that have one: "),
        (Span, "0h", 'such as "90m"'),
        (Span, "1w", 'such as "90m"'),
        (Span, 5, 'such as "90m"'),
        (Share, True, "a share of the budget"),
    ],
)
def test_what_cannot_be_is_answered_with_what_can(kind: Any, text: object, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        TypeAdapter(kind).validate_python(text)
