"""Removing a workflow from a history: its row, its spend and what it added to other rows."""

from __future__ import annotations

from pathlib import Path

from ledger.events.event import cost_observed
from ledger.storage.directory_store import DirectoryStore
from projections.history.store import HistoryStore
from projections.replay.move import move
from projections.replay.refresh import refresh
from projections.replay.removal import remove, replicas_of
from projections.replay.verify import Proof, verify


def test_row_spend_and_audit_go_and_rows_that_it_was_moved_to_are_made_again(
    tmp_path: Path, history: HistoryStore
) -> None:
    store = DirectoryStore(tmp_path / "data", durability="none")
    for name, cost in (("first", "1.00"), ("second", "2.00")):
        store.append([cost_observed(name, cost_usd=cost)])
    move(store, "first", to="second")
    refresh(store, history)
    done = remove(store, history, "first", purge=True)
    assert [(one.adw_id, one.new_nanousd) for one in done.changes] == [("second", 2_000_000_000), ("first", 0)]
    assert [one.adw_id for one in history.rows()] == ["second"]
    assert sum(one.amounts[0] for one in history.spent()) == 2_000_000_000
    assert (history.audit("first"), history.parts()) == ([], {})
    assert refresh(store, history).folded == []
    assert list(verify(store, history, Proof())) == []
    assert replicas_of(store.path, "first") == []


def test_a_row_counts_by_itself_again_when_the_workflow_is_removed_that_it_was_moved_to(
    tmp_path: Path, history: HistoryStore
) -> None:
    store = DirectoryStore(tmp_path / "data", durability="none")
    store.append([cost_observed("first", cost_usd="1.00")])
    move(store, "first", to="second")
    refresh(store, history)
    remove(store, history, "second", purge=False)
    assert [(one.adw_id, one.actual_cost_total) for one in history.rows()] == [("first", 1.0)]
    assert refresh(store, history).folded == []
    assert list(verify(store, history, Proof())) == []
