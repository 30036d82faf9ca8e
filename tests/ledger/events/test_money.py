from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidMoney
from ledger.events import money

nanousd = st.integers(0, money.NANOUSD_MAX)


@given(nanousd)
def test_the_wire_spelling_is_read_back_to_the_same_nanodollar(amount: int) -> None:
    text = money.to_wire(amount)
    assert money.from_wire(text) == amount
    assert money.parse(text) == amount
    assert "e" not in text.lower()


@given(nanousd)
def test_every_amount_has_exactly_one_spelling(amount: int) -> None:
    text = money.to_wire(amount)
    for other in (text + "0", "0" + text, " " + text, text + "\n", "+" + text):
        with pytest.raises(InvalidMoney):
            money.from_wire(other)


@given(st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False))
def test_an_amount_is_rounded_once_half_to_even(amount: Decimal) -> None:
    assert money.parse(amount) == int((amount * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN))


@given(st.floats(min_value=0, max_value=1e9))
def test_a_float_enters_through_its_shortest_decimal_form(amount: float) -> None:
    assert money.parse(amount) == money.parse(repr(amount))


@pytest.mark.parametrize(
    "value",
    ["", "abc", "NaN", "inf", "-0.01", "1e400", "1e99999", "0x10", "1,5", "1_000", "²", "1" * 100, None, True, [], {}]
    + [float("nan"), float("inf"), -1, -0.5, 10**30, Decimal("NaN"), Decimal("1e9") + 1, "1000000000.01", b"1"],
)
def test_what_is_not_an_amount_is_refused_with_the_value_in_the_sentence(value: object) -> None:
    with pytest.raises(InvalidMoney, match="is not an amount in USD"):
        money.parse(value)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.0000"),
        (90_000_000, "$0.0900"),
        (2_370_000_000, "$2.3700"),
        (1_234_567_890_000, "$1,234.5679"),
        (-50_000, "-$0.00005"),
        (40_000, "$0.00004"),
        (41_500, "$0.000042"),
        (1, "$0.000000001"),
        (150_000, "$0.0002"),
        (None, "unknown"),
    ],
)
def test_an_amount_for_people(amount: int | None, text: str) -> None:
    assert money.shown(amount) == text
