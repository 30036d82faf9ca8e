"""An import leaves out what was removed, and says how much."""

from __future__ import annotations

from pathlib import Path

from ledger.events.event import cost_observed
from ledger.importing.removed_findings import removed_of, without_removed
from ledger.maintenance.removal import remove_ledger
from ledger.sources.findings import Call, Findings, Location
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.memory_store import MemoryStore


def call(message_id: str, session_id: str | None = None) -> Call:
    return Call("claude", message_id, "opus", {"input_tokens": 1}, Location("log", 1), session_id=session_id)


def test_sessions_and_responses_of_removed_workflows_are_left_out(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, durability="none")
    store.append([cost_observed("w", cost_usd=1, session_id="s1", message_id="m1")])
    remove_ledger(store, "w", purge=True)
    removed = removed_of(store)
    found = Findings(calls=[call("m1"), call("m2", "s1"), call("m3", "s2")], started={"id": "x"})
    left, (note,) = without_removed(found, "other", removed)
    assert ([one.message_id for one in left.calls], left.started) == (["m3"], {"id": "x"})
    assert note.reason.startswith("2 findings of removed workflows")
    assert without_removed(found, "w", removed)[0] == Findings()
    only_removed = Findings(calls=[call("m1")], started={"id": "x"})
    assert without_removed(only_removed, "other", removed)[0] == Findings()


def test_a_store_without_a_folder_has_removed_nothing() -> None:
    found = Findings(calls=[call("m1")])
    assert without_removed(found, "w", removed_of(MemoryStore())) == (found, [])
