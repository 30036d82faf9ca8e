from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors.sentences import is_shortage, readable, reason, shown

values: st.SearchStrategy[Any] = st.one_of(
    st.text(st.characters(exclude_categories=())), st.integers(), st.floats(), st.binary(), st.decimals()
)


@given(values)
def test_any_value_is_a_short_printable_part_of_a_sentence(value: Any) -> None:
    assert shown(value).isprintable()
    assert len(shown(value)) <= 60


def test_values_have_the_words_of_json() -> None:
    given_values: tuple[object, ...] = (None, True, False, {}, [], "a")
    words = ["nothing", "true", "false", "an object", "a list", "'a'"]
    assert [shown(value) for value in given_values] == words


@given(st.binary().filter(lambda name: b"\0" not in name))
def test_a_path_of_any_bytes_can_be_printed(name: bytes) -> None:
    text = readable(name.decode("utf-8", "surrogateescape"))
    assert text.isprintable()
    text.encode()
    assert readable(Path("/h/ä.jsonl")) == "/h/ä.jsonl"


@pytest.mark.parametrize(("number", "short"), [(errno.EMFILE, True), (errno.ENFILE, True), (errno.EACCES, False)])
def test_too_few_descriptors_are_no_fault_of_a_file_and_have_a_next_step(number: int, short: bool) -> None:
    error = OSError(number, "refused")
    assert is_shortage(error) is short
    assert reason(error).startswith("refused")
    assert ("run this again" in reason(error)) is short
    assert not is_shortage(ValueError())
