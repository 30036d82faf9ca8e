from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import cost_observed
from ledger.events.workflow_ids import check_workflow_id
from ledger.sources.names import branch_name, moment, name, name_id

foreign: st.SearchStrategy[Any] = st.one_of(
    st.text(st.characters(exclude_categories=())), st.integers(), st.none(), st.lists(st.text())
)


@given(foreign)
def test_what_is_taken_from_foreign_text_is_valid_in_an_event(value: Any) -> None:
    cost_observed("w", agent=name(value) or None, model=branch_name(value) or None, cost_usd="1")
    cost_observed("w", observed_at=moment(value) or None, cost_usd="1")
    assert name(value) in ("", value)


@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=200), st.none() | st.text(max_size=10))
def test_any_text_has_a_workflow_id_and_a_text_that_is_one_is_itself(text: str, readable: str | None) -> None:
    id = name_id(text, readable=readable)
    assert check_workflow_id(id) == id
    if readable is None:
        assert name_id(id) == id


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_texts_have_two_ids(one: str, other: str) -> None:
    assert (name_id(one, readable="x") == name_id(other, readable="x")) == (one == other)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T05:04:05+02:00", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T03:04:05", ""),
        ("yesterday", ""),
    ],
)
def test_a_moment_needs_a_zone(text: str, spelled: str) -> None:
    assert moment(text) == spelled


def test_no_branch_is_checked_out_at_a_detached_head() -> None:
    assert (branch_name("HEAD"), branch_name("fix/HEAD")) == ("", "fix/HEAD")
