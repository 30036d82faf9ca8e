"""The made-up workflows of `demo --serve`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

from ledger.storage.memory_store import MemoryStore
from projections.cli.example_workflows import STORY_ID, ExampleWorkflows
from projections.folding.fold import fold, initial

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


def test_the_same_moment_makes_the_same_events() -> None:
    assert list(ExampleWorkflows(NOW).past()) == list(ExampleWorkflows(NOW).past())


def test_the_story_costs_what_the_documentation_says() -> None:
    ledgers = MemoryStore()
    for events in ExampleWorkflows(NOW).past():
        ledgers.append(events)
    state = initial(STORY_ID)
    for line in ledgers.read(STORY_ID):
        fold(state, line)
    assert state.cost_nanousd == 2_370_000_000


def test_live_workflows_go_on_side_by_side() -> None:
    events = list(islice(ExampleWorkflows(NOW).live(), 200))
    ledgers = MemoryStore()
    for event in events:
        ledgers.append([event])
    assert len({event.workflow_id for event in events}) > 3
    assert not any("observed_at" in event.fields for event in events)
