"""What is Kimi's own: forks, which no line of Kimi CLI shows, and titles."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ledger.importing.importer import import_source
from ledger.importing.titles import titles_of
from ledger.storage.directory_store import DirectoryStore
from tests.ledger.sources.agent_samples import readings, sample

SESSION = "3c1e0000-0000-4000-8000-00000000000a"
FORK = "00000000-fork"


def fork(logs: Path) -> Path:
    """Fork a session: its lines in a folder whose name sorts before it, and one call more."""
    source = next(logs.glob(f"sessions/*/{SESSION}"))
    target = source.with_name(FORK)
    target.mkdir()
    shutil.copy(source / "wire.jsonl", target / "wire.jsonl")
    (target / "state.json").write_text(json.dumps({"custom_title": "Fork: Add a cart"}))
    usage = {"input_other": 5, "output": 6, "input_cache_read": 0, "input_cache_creation": 0}
    update = {"type": "StatusUpdate", "payload": {"token_usage": usage, "message_id": "chatcmpl-F"}}
    with (target / "wire.jsonl").open("a") as wire:
        wire.write(json.dumps({"timestamp": 1767225600.75, "message": update}) + "\n")
    return target


def test_what_a_fork_copied_counts_in_its_source(tmp_path: Path) -> None:
    logs, store = sample("kimi", tmp_path), DirectoryStore(tmp_path / "data")
    fork(logs)
    import_source(store, "kimi", logs)
    assert [id for workflow_id, id in readings(store) if workflow_id == FORK] == ["chatcmpl-F"]
    assert {f"chatcmpl-{id}" for id in ("A", "S", "B2")} <= {id for owner, id in readings(store) if owner == SESSION}


def test_a_fork_that_is_imported_first_has_its_copies_and_its_source_only_the_rest(tmp_path: Path) -> None:
    logs, store = sample("kimi", tmp_path), DirectoryStore(tmp_path / "data")
    import_source(store, "kimi", fork(logs))
    import_source(store, "kimi", logs)
    ids = [id for _, id in readings(store)]
    assert len(ids) == len(set(ids))
    assert [id for owner, id in readings(store) if owner == SESSION] == ["chatcmpl-B2"]


def test_a_session_without_a_title_is_named_by_the_first_words_of_its_user(tmp_path: Path) -> None:
    logs, store = sample("kimi-code", tmp_path), DirectoryStore(tmp_path / "data")
    for state in logs.rglob("state.json"):
        state.unlink()
    import_source(store, "kimi-code", logs)
    assert titles_of(store.path, {"session_3c1e000a": 1}) == {"session_3c1e000a": "Add a cart"}
