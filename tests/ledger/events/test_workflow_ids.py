"""The spelling of a workflow id has one owner; the format's page repeats it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ledger
from ledger.errors import InvalidWorkflowId
from ledger.events.workflow_ids import WORKFLOW_ID_PATTERN, check_workflow_id, is_workflow_id


@pytest.mark.parametrize(
    "hostile",
    ["", ".", "..", "../x", "a/b", "a\\b", "x" * 129, "a\0b", "a\n", "é", ".hidden", None, 7, "a b", "\ud800"],
)
def test_a_workflow_id_that_could_not_be_a_file_name_is_refused(hostile: object) -> None:
    with pytest.raises(InvalidWorkflowId, match=r"no workflow id|is not a workflow id"):
        check_workflow_id(hostile)


@pytest.mark.parametrize("good", ["a5b80595", "--skip-e2e", "_", "x" * 128, "A.b-c_d"])
def test_ids_of_real_folders_are_accepted(good: str) -> None:
    assert check_workflow_id(good) == good


@given(st.text(max_size=130) | st.from_regex(WORKFLOW_ID_PATTERN, fullmatch=True))
def test_an_id_is_accepted_exactly_when_it_is_one_and_is_a_name_in_its_folder(text: str) -> None:
    if is_workflow_id(text):
        assert check_workflow_id(text) == text == Path("ledgers", text).name
    else:
        with pytest.raises(InvalidWorkflowId):
            check_workflow_id(text)


def test_the_page_about_the_format_has_the_same_spelling() -> None:
    page = (Path(ledger.__file__).parent / "FORMAT.md").read_text(encoding="utf-8")
    assert f"`{WORKFLOW_ID_PATTERN}`" in page
