"""A plan is appended to the ledger that it was made against, or made again."""

from __future__ import annotations

import pytest

from ledger.errors import LedgerMoved
from ledger.events.event import cost_observed
from ledger.storage.memory_store import MemoryStore
from ledger.storage.planned_append import PlannedEvents, append_planned


def reading(id: str) -> PlannedEvents:
    return PlannedEvents(0, [cost_observed("w", cost_usd="1", id=id)])


def test_a_plan_is_made_again_when_another_process_has_appended() -> None:
    store, heads = MemoryStore(), list[int]()

    def plan() -> PlannedEvents:
        heads.append(len(list(store.read("w"))) if store.size("w") else 0)
        if len(heads) < 3:
            store.append([cost_observed("w", cost_usd="2", id=f"other-{len(heads)}")])
        return PlannedEvents(heads[-1], reading("mine").events)

    made, receipts = append_planned(store, plan)
    assert (heads, made.seq, len(receipts)) == ([0, 2, 3], 3, 1)
    assert [line["id"] for line in store.read("w")][1:] == ["other-1", "other-2", "mine"]


def test_a_ledger_that_moves_at_every_attempt_is_given_up() -> None:
    store, attempts = MemoryStore(), list[int]()

    def plan() -> PlannedEvents:
        attempts.append(1)
        store.append([cost_observed("w", cost_usd="2", id=f"other-{len(attempts)}")])
        return reading("mine")

    with pytest.raises(LedgerMoved):
        append_planned(store, plan)
    assert len(attempts) == 50


def test_a_plan_without_events_makes_no_ledger() -> None:
    store = MemoryStore()
    assert append_planned(store, lambda: PlannedEvents(0, []))[1] == []
    assert store.size("w") is None
