"""What is the pi family's own: OpenClaw's database while it is written, and compressed entries."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

from ledger.importing.importer import import_source
from ledger.importing.titles import titles_of
from ledger.storage.directory_store import DirectoryStore
from tests.ledger.sources.agent_samples import readings, sample

SESSION = "5f110000-0000-4000-8000-00000000000e"
INSERT = "INSERT INTO transcript_events (session_id, seq, event_json, created_at, event_zstd) VALUES (?, ?, ?, ?, ?)"


def message(id: str, role: str, **fields: object) -> str:
    """An entry with a message."""
    at = {"id": id, "parentId": None, "timestamp": "2026-01-05T13:01:00.000Z"}
    return json.dumps({"type": "message", **at, "message": {"role": role, **fields}})


def test_new_entries_of_openclaw_are_read_once_and_its_database_is_not_changed(tmp_path: Path) -> None:
    logs, store = sample("pi", tmp_path), DirectoryStore(tmp_path / "data")
    file = logs / "agents" / "main" / "agent" / "openclaw-agent.sqlite"
    assert import_source(store, "openclaw", file).appended > 0
    usage = {"input": 9, "output": 8, "cacheRead": 0, "cacheWrite": 0, "cost": {"total": 0.000147}}
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        user = message("k5", "user", content=[{"type": "text", "text": "Add a cart"}])
        db.execute(INSERT, (SESSION, 2, user, 1767618060000, None))
        new = message("k6", "assistant", model="claude-sonnet-4-5", usage=usage, responseId="msg_k6")
        db.execute(INSERT, (SESSION, 3, new, 1767618061000, None))
        before = {each: each.read_bytes() for each in (file, Path(f"{file}-wal"))}
        assert import_source(store, "openclaw", file).appended == 1
        assert {each: each.read_bytes() for each in before} == before
        assert import_source(store, "openclaw", file).appended == 0
    line = readings(store)[SESSION, "msg_k6"]
    assert (line["cost_usd"], line["cost_source"]) == ("0.000147", "reported")
    assert titles_of(store.path, {SESSION: 1}) == {SESSION: "Add a cart"}


def test_compressed_entries_are_reported(tmp_path: Path) -> None:
    logs, store = sample("pi", tmp_path), DirectoryStore(tmp_path / "data")
    file = logs / "agents" / "main" / "agent" / "openclaw-agent.sqlite"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute(INSERT, (SESSION, 4, None, 1767618062000, b"\x28\xb5\x2f\xfd"))
    report = import_source(store, "openclaw", file)
    assert [skipped.reason for skipped in report.skipped] == ["1 of its entries are compressed, and are not read"]
