from __future__ import annotations

from pathlib import Path

from ledger import MemoryStore, cost_observed
from ledger.importing.import_plan import ImportPlan
from ledger.importing.ledger_state import state_of
from ledger.sources.findings import Location, Skipped


def test_a_plan_has_each_event_once_and_none_that_the_ledger_has() -> None:
    store = MemoryStore()
    store.append([cost_observed("w", cost_usd="1", id="a")])
    plan = ImportPlan("w", state_of(store.read("w")))
    assert plan.seq == 2
    for id in ("a", "b", "b", None, None):
        plan.add(cost_observed("w", cost_usd="1", id=id))
    assert [event.id for event in plan.events] == ["b", None, None]
    assert plan.unchanged == 2


def test_a_finding_that_counts_in_another_way_is_a_note_with_its_line() -> None:
    plan = ImportPlan("w", state_of([]))
    plan.note(Location("/h/a.jsonl", 3), "counts elsewhere")
    assert plan.skipped == [Skipped(Path("/h/a.jsonl"), 3, "counts elsewhere", note=True)]
