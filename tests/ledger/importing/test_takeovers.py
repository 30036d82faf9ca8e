"""A named workflow takes sessions over from those that were made for them by default, in any order of imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from projections.history.memory import MemoryHistory
from projections.replay.move import move
from projections.replay.refresh import refresh
from tests.ledger import logs
from tests.ledger.transcript_lines import said, write


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "data", durability="none")


def costs(store: DirectoryStore) -> dict[str, float]:
    history = MemoryHistory()
    refresh(store, history)
    return {row.adw_id: round(row.actual_cost_total, 6) for row in history.rows() if row.actual_cost_nanousd}


def by_agent(store: DirectoryStore, workflow_id: str) -> set[str | None]:
    history = MemoryHistory()
    refresh(store, history)
    return {one.agent for one in history.spend(workflow_id)}


def test_an_adw_folder_has_its_sessions_in_whatever_order_it_is_imported(store: DirectoryStore, tmp_path: Path) -> None:
    agents = tmp_path / "agents"
    logs.write(agents / "w1" / "plan" / "raw_output.jsonl", logs.init(), logs.result("1.25", sonnet="1.25"))
    transcript = write(tmp_path / "t" / "s1.jsonl", said("m1", 5))
    other = DirectoryStore(tmp_path / "other", durability="none")
    import_source(other, "adw", agents)
    import_source(other, "claude", transcript)
    import_source(store, "claude", transcript)
    first = import_source(store, "adw", agents)
    assert any("s1 was made for a session of it" in skipped.reason for skipped in first.skipped)
    assert costs(store) == costs(other) == {"w1": 1.25}
    assert by_agent(store, "w1") == by_agent(other, "w1") == {"plan"}
    assert import_source(store, "adw", agents).appended == import_source(store, "claude", transcript).appended == 0


def test_a_move_by_hand_is_the_last_word(store: DirectoryStore, tmp_path: Path) -> None:
    import_source(store, "claude", write(tmp_path / "t" / "s1.jsonl", said("m1", 5)))
    move(store, "s1", to="mine")
    log = logs.write(tmp_path / "log.jsonl", logs.init(), logs.result("1.25", sonnet="1.25"))
    import_source(store, "claude-stream", log, workflow_id="w1")
    assert costs(store) == {"mine": 1.25}


def test_transcripts_that_did_not_change_are_regrouped(store: DirectoryStore, tmp_path: Path) -> None:
    for number in (1, 2):
        lines = [said(f"m{number}", 5, session=f"s{number}", cwd="/home/dev/shop")]
        write(tmp_path / "t" / f"s{number}.jsonl", *lines)
    import_source(store, "claude", tmp_path / "t")
    (one, two), total = costs(store), sum(costs(store).values())
    assert (one, two) == ("s1", "s2")
    assert import_source(store, "claude", tmp_path / "t", workflow_by="project").appended == 2
    ((name, cost),) = costs(store).items()
    assert (name.startswith("shop-"), cost) == (True, round(total, 6))
    assert import_source(store, "claude", tmp_path / "t", workflow_by="project").appended == 0
    assert import_source(store, "claude", tmp_path / "t", workflow_id="all").appended == 0, "moved once before"
