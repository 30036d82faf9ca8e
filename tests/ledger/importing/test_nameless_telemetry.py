"""Telemetry of older Claude Code, which names no request, with a transcript that does: the higher of the two counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.events import money
from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from projections.replay.refresh import project

SONNET, HAIKU = "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"
CALLS = ((SONNET, 1000, "0.015", 1), (HAIKU, 1000, "0.005", 2), (SONNET, 2000, "0.030", 3))
"""Model, output tokens, their list price, second."""
WHOLE = money.parse("0.05")


def transcript(folder: Path) -> Path:
    path = folder / "projects" / "p" / "s1.jsonl"
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        for number, (model, output, _, second) in enumerate(CALLS):
            usage = {"input_tokens": 0, "output_tokens": output}
            body = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": model, "usage": usage}
            line = {
                "type": "assistant",
                "sessionId": "s1",
                "timestamp": f"2026-11-28T19:00:0{second}.000Z",
                "cwd": "/p",
            }
            file.write(json.dumps(line | {"uuid": f"u{number}", "requestId": f"req_{number}", "message": body}) + "\n")
    return path


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": str(value)}} for name, value in values.items()]


def telemetry(folder: Path, *calls: tuple[str, int, str, int]) -> Path:
    """An export of calls without request ids."""
    path = folder / f"logs-{len(calls)}.jsonl"
    records = []
    for model, output, cost, second in calls:
        values = {"event.name": "api_request", "session.id": "s1", "model": model, "cost_usd": cost}
        values |= {"input_tokens": "0", "output_tokens": str(output), "event.sequence": str(second)}
        records.append({"timeUnixNano": str((1_795_892_400 + second) * 10**9), "attributes": attributes(values)})
    scope = {"scope": {"name": "com.anthropic.claude_code.events"}, "logRecords": records}
    resource = {"attributes": attributes({"service.name": "claude-code", "service.version": "2.1.100"})}
    path.write_text(json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}) + "\n")
    return path


@pytest.mark.parametrize("order", ["telemetry first", "transcript first"])
@pytest.mark.parametrize("exported", [1, 2, 3])
def test_a_transcript_and_telemetry_without_request_ids_are_not_added(
    tmp_path: Path, order: str, exported: int
) -> None:
    store = DirectoryStore(tmp_path / "data", durability="none")
    sources = [("otlp", telemetry(tmp_path, *CALLS[:exported])), ("claude", transcript(tmp_path))]
    for kind, path in sources if order == "telemetry first" else reversed(sources):
        import_source(store, kind, path)
        assert project(store, "s1").row.actual_cost_nanousd <= WHOLE
    row = project(store, "s1").row
    assert (row.actual_cost_nanousd, row.cost_basis) == (WHOLE, "partial")


def test_calls_that_cannot_be_matched_are_under_their_own_model_and_none_is_added_to_a_total(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "data", durability="none")
    import_source(store, "claude", transcript(tmp_path))
    import_source(store, "otlp", telemetry(tmp_path, *CALLS[1:2], *CALLS[:1]))
    import_source(store, "otlp", telemetry(tmp_path, *CALLS))
    row = project(store, "s1").row
    models = json.loads(row.cost_breakdown)["by_model"]
    assert (row.actual_cost_nanousd, models) == (WHOLE, {SONNET: "0.045", HAIKU: "0.005"})
