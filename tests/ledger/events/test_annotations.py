"""Acceptances, tags and moves: events that change no figure of their ledger."""

from __future__ import annotations

import pytest

from ledger.errors import InvalidEvent, InvalidWorkflowId
from ledger.events.annotations import finding_accepted, workflow_moved, workflow_tagged


def test_each_needs_a_workflow_that_exists() -> None:
    made = (
        finding_accepted("w", findings={"low_cost": "x"}, reason="agreed"),
        workflow_tagged("w", tags={"team": "payments"}),
        workflow_moved("w", to="other"),
    )
    assert [one.needs_workflow for one in made] == [True, True, True]


def test_a_move_names_a_workflow_that_can_be_one() -> None:
    with pytest.raises(InvalidEvent, match="'to': is missing"):
        workflow_moved("w", to=None)  # type: ignore[arg-type]
    with pytest.raises((InvalidEvent, InvalidWorkflowId), match="not a workflow id"):
        workflow_moved("w", to="../other")
