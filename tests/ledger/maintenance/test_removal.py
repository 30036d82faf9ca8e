"""Removed ledgers: set aside, known by digests, and put back."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import UnknownWorkflow
from ledger.events.event import cost_observed
from ledger.maintenance.removal import NotRemoved, put_back, remove_ledger, removed_ids, removed_ledger
from ledger.storage.directory_store import DirectoryStore


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    made = DirectoryStore(tmp_path, durability="none")
    source = {"kind": "claude", "names": ["request-1"]}
    made.append([cost_observed("w", cost_usd=1, session_id="session-1", message_id="message-1", source=source)])
    return made


def test_what_was_removed_is_known_by_digests_alone(store: DirectoryStore, tmp_path: Path) -> None:
    assert not removed_ids(tmp_path)
    head = store.read("w").head
    tombstone, ids = remove_ledger(store, "w", purge=True)
    assert ids == {"w", "session-1", "message-1", "request-1"}
    assert (tombstone.events, tombstone.purged, head.seq) == (2, True, 0)
    removed = removed_ids(tmp_path)
    assert (removed.has_workflow("w"), removed.has_session("session-1")) == (True, True)
    assert (removed.has_message("message-1"), removed.has_message("request-1")) == (True, True)
    assert (removed.has_workflow("session-1"), removed.has_session(None), removed.has_message("other")) == (False,) * 3
    (file,) = (tmp_path / "removed").iterdir()
    assert b"session-1" not in file.read_bytes()
    with pytest.raises(UnknownWorkflow):
        remove_ledger(store, "w", purge=True)


def test_a_ledger_that_was_set_aside_is_put_back_unless_another_is_there(store: DirectoryStore, tmp_path: Path) -> None:
    raw = store.ledger_path("w").read_bytes()
    remove_ledger(store, "w", purge=False)
    assert (removed_ledger(tmp_path, "w").read_bytes(), store.size("w")) == (raw, None)
    store.append([cost_observed("w", cost_usd=2)])
    with pytest.raises(NotRemoved, match="another ledger has that id since"):
        put_back(store, "w")
    store.ledger_path("w").unlink()
    put_back(store, "w")
    assert (store.ledger_path("w").read_bytes(), bool(removed_ids(tmp_path))) == (raw, False)
    with pytest.raises(NotRemoved, match="was not removed"):
        put_back(store, "w")


def test_a_ledger_that_was_set_aside_can_be_erased(store: DirectoryStore, tmp_path: Path) -> None:
    remove_ledger(store, "w", purge=False)
    tombstone, ids = remove_ledger(store, "w", purge=True)
    assert (tombstone.events, tombstone.purged, "session-1" in ids) == (2, True, True)
    assert not removed_ledger(tmp_path, "w").exists()
    with pytest.raises(NotRemoved, match="its bytes were erased"):
        put_back(store, "w")


def test_a_second_ledger_of_a_removed_id_never_replaces_the_first(store: DirectoryStore, tmp_path: Path) -> None:
    raw = store.ledger_path("w").read_bytes()
    remove_ledger(store, "w", purge=False)
    store.append([cost_observed("w", cost_usd=2, session_id="session-2")])
    with pytest.raises(NotRemoved, match="was removed before"):
        remove_ledger(store, "w", purge=False)
    assert (removed_ledger(tmp_path, "w").read_bytes(), store.size("w") is None) == (raw, False)
    _, ids = remove_ledger(store, "w", purge=True)
    assert {"session-1", "session-2"} <= ids
    store.append([cost_observed("w", cost_usd=3)])
    remove_ledger(store, "w", purge=True)
    removed = removed_ids(tmp_path)
    assert (removed.has_session("session-1"), removed.has_session("session-2")) == (True, True), "of the purge before"
