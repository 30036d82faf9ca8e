"""What a newer version of a tool writes where we expect usage is never passed over in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from tests.ledger import logs
from tests.ledger.transcript_lines import counted, meta, said, turn, write

USAGE = {"input_tokens": 5, "output_tokens": 5}


def other(record: dict[str, Any], **more: Any) -> dict[str, Any]:
    return record | more


def request(value: Any) -> dict[str, Any]:
    values = {"session.id": "s", "model": "m", "cost_usd": "1", "input_tokens": "5", "output_tokens": "5"}
    attributes = [{"key": name, "value": {"stringValue": value}} for name, value in values.items()]
    record = {"eventName": "claude_code.api_request", "timeUnixNano": "1700000000000000000", "attributes": attributes}
    return {"resourceLogs": value or [{"scopeLogs": [{"logRecords": [record]}]}]}


@pytest.mark.parametrize(
    ("kind", "known", "unknown"),
    [
        ("claude", [said("m1", 5)], other(said("m2", 5), message={"id": "m2", "usage": [1, 2]})),
        ("claude", [said("m1", 5)], {"type": "assistant.v2", "sessionId": "s1", "response": {"usage": USAGE}}),
        (
            "codex",
            [meta("s1"), turn(), counted(9, 0, 9)],
            {"type": "event_msg", "payload": {"type": "t2", "usage": USAGE}},
        ),
        (
            "codex",
            [meta("s1"), turn(), counted(9, 0, 9)],
            {"type": "event_msg", "payload": {"type": "token_count", "info": {"total_token_usage": {"inp": 10}}}},
        ),
        ("otlp", [request(None)], request(5)),
        ("claude-stream", [logs.message("m1", 5)], {"type": "turn", "session_id": "s1", "turn": {"usage": USAGE}}),
    ],
)
def test_usage_in_an_unknown_shape_is_told_once_with_its_line(
    tmp_path: Path, kind: str, known: list[Any], unknown: dict[str, Any]
) -> None:
    store = DirectoryStore(tmp_path / "data", durability="none")
    path = write(tmp_path / "t.jsonl", *known, *[unknown] * 9)
    report = import_source(store, kind, path, workflow_id="w")
    assert (report.problems, report.appended > 0) == ([], True)
    [skipped] = report.skipped
    assert (skipped.path.name, skipped.line) == ("t.jsonl", len(known) + 1)
    assert "in a shape that this version does not know, nor in 8 more" in skipped.reason


def test_what_tells_of_usage_that_stands_elsewhere_is_not_told(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "data", durability="none")
    user = {"type": "user", "sessionId": "s1", "toolUseResult": {"usage": USAGE}}
    system = {"type": "system", "sessionId": "s1", "content": '{"usage": {"input_tokens": 5}}', "usage": None}
    path = write(tmp_path / "t.jsonl", said("m1", 5), user, system, said("m2", 5, agent="a", progress=True))
    assert import_source(store, "claude", path).skipped == []
