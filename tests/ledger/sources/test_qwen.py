"""What is Qwen Code's own: its telemetry of the same calls, which an export has, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.importing.importer import import_source
from ledger.sources import transcript
from ledger.storage.directory_store import DirectoryStore
from projections.replay.refresh import project
from tests.ledger.sources.agent_samples import readings, sample

SESSION = "9a3e0c00-0000-4000-8000-00000000000a"


def export(chat: Path, file: Path) -> None:
    """Write what the client exports of a chat's telemetry: a request of one log record for each call."""
    events = [json.loads(line).get("systemPayload", {}).get("uiEvent") for line in chat.read_text().splitlines()]
    with file.open("w") as written:
        for event in filter(None, events):
            values: dict[str, Any] = {"session.id": SESSION, **event}
            attributes = [
                {"key": key, "value": {"intValue" if isinstance(value, int) else "stringValue": value}}
                for key, value in values.items()
            ]
            scope = {"scope": {"name": "qwen-code"}, "logRecords": [{"attributes": attributes}]}
            written.write(json.dumps({"resourceLogs": [{"scopeLogs": [scope]}]}) + "\n")


@pytest.mark.parametrize("order", ["chat first", "telemetry first"])
def test_a_chat_and_an_export_of_its_telemetry_count_once(order: str, tmp_path: Path) -> None:
    logs, store, alone = sample("qwen", tmp_path), DirectoryStore(tmp_path / "data"), DirectoryStore(tmp_path / "alone")
    chat = logs / "projects" / "-home-ann-shop" / "chats" / f"{SESSION}.jsonl"
    export(chat, tmp_path / "telemetry.jsonl")
    sources = [("qwen", chat), ("otlp", tmp_path / "telemetry.jsonl")]
    for kind, path in sources if order == "chat first" else reversed(sources):
        assert import_source(store, kind, path).skipped == []
    import_source(alone, "qwen", chat)
    assert {id for _, id in readings(store)} == {"chatcmpl-1", "chatcmpl-2", "chatcmpl-3"}
    one, other = project(store, SESSION).row, project(alone, SESSION).row
    assert (one.actual_cost_nanousd, one.input_tokens, one.output_tokens) == (
        other.actual_cost_nanousd,
        other.input_tokens,
        other.output_tokens,
    )


def test_a_fork_that_is_imported_alone_counts_its_copies_in_its_parent(tmp_path: Path) -> None:
    logs, store = sample("qwen", tmp_path), DirectoryStore(tmp_path / "data")
    chats = logs / "projects" / "-home-ann-shop" / "chats"
    fork = SESSION.replace("0a", "0b")
    import_source(store, "qwen", chats / f"{fork}.jsonl")
    assert sorted(readings(store)) == [(SESSION, "chatcmpl-1"), (fork, "chatcmpl-4")]
    import_source(store, "qwen", logs)
    assert len(readings(store)) == len({id for _, id in readings(store)})


def test_a_transcript_of_claude_code_that_begins_with_a_system_line_is_its_own(tmp_path: Path) -> None:
    ids = {"uuid": "u1", "parentUuid": None, "sessionId": "s1", "cwd": "/home/ann/shop", "version": "2.1.276"}
    line = ids | {"type": "system", "subtype": "local_command", "content": "x", "timestamp": "2026-01-05T09:00:00.000Z"}
    file = tmp_path / "s1.jsonl"
    file.write_text(json.dumps(line) + "\n")
    assert not transcript("qwen").identify(file)
    assert transcript("qwen").identify(sample("qwen", tmp_path / "of qwen"))
