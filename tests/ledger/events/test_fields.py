from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidMoney
from ledger.events import fields
from ledger.events.fields import COUNT_MAX, TOKENS_MAX, USAGE_FIELDS, check_count, check_name, check_prose, check_usage

anything: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.just({}), st.binary()
)


@given(st.text(st.characters(exclude_categories=()), max_size=600))
def test_a_name_is_one_line_of_unicode_text_of_at_most_512_characters(text: str) -> None:
    valid = 0 < len(text) <= 512 and not any(c < " " or c == "\x7f" or 0xD800 <= ord(c) < 0xE000 for c in text)
    if valid:
        assert check_name(text) == text
        assert check_prose(text) == text
    else:
        with pytest.raises(ValueError, match=r"text|character|surrogate"):
            check_name(text)


def test_prose_has_lines_and_a_name_has_one() -> None:
    assert check_prose("first\nsecond") == "first\nsecond"
    with pytest.raises(ValueError, match="control character"):
        check_name("first\nsecond")


@given(anything)
def test_a_count_is_a_whole_number_that_a_database_stores_exactly(value: Any) -> None:
    if type(value) is int and 0 <= value <= COUNT_MAX:
        assert check_count(value) == value
    else:
        with pytest.raises(ValueError, match=r"whole number|2\^63"):
            check_count(value)


@given(st.dictionaries(st.sampled_from(USAGE_FIELDS), st.integers(0, TOKENS_MAX), min_size=1))
def test_usage_has_its_buckets_in_one_order_and_the_part_never_exceeds_its_whole(usage: dict[str, int]) -> None:
    if usage.get("cache_write_1h_tokens", 0) > usage.get("cache_write_tokens", 0):
        with pytest.raises(ValueError, match="is a part of cache_write_tokens"):
            check_usage(usage)
    else:
        assert check_usage(usage) == usage
        assert list(check_usage(usage)) == [name for name in USAGE_FIELDS if name in usage]


@pytest.mark.parametrize("wrong", [{}, [], {"tokens": 1}, {"output_tokens": True}, {"output_tokens": TOKENS_MAX + 1}])
def test_what_is_no_usage_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"bucket|object|output_tokens"):
        check_usage(wrong)


@pytest.mark.parametrize(
    ("check", "good", "wrong"),
    [
        (fields.check_run, 1, 0),
        (fields.check_run, 10**9, 10**9 + 1),
        (fields.check_flag, False, 0),
        (fields.check_amount, "1.50", "-1"),
        (fields.check_cost, "0.09", "1000000.01"),
        (fields.one_of("completed", "failed"), "failed", "Failed"),
        (fields.check_findings, {"low": "12"}, {}),
        (fields.check_source, {"kind": "x", "line": 1, "later": [1]}, {"kind": "x", "line": 0}),
        (fields.check_source, {"kind": "x", "names": ["a"]}, {"file": "x"}),
    ],
)
def test_a_value_is_returned_as_it_is_recorded_or_refused(check: fields.Check, good: Any, wrong: Any) -> None:
    assert check(good) == good
    with pytest.raises((ValueError, InvalidMoney)):
        check(wrong)
