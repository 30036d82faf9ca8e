"""A resumed process of Claude Code 2.0.76, as recorded: telemetry has one call under an id of its own."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from ledger.events import money
from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from projections.replay.refresh import project
from tests.ledger.otlp_requests import attributes

SONNET, HAIKU = "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"
OWN, FIRST = "71f88bca-8771-402f-8e95-c2944df213e0", "031f2b48-7966-4c7a-92cd-35ee09178e6e"
CALLS = (
    (FIRST, HAIKU, 25, 131, "0.00068"),
    (OWN, HAIKU, 9, 173, "0.000874"),
    (OWN, SONNET, 31, 197, "0.003048"),
    (OWN, SONNET, 10896, 208, "0.02002545"),
    (OWN, HAIKU, 49, 241, "0.001254"),
    (OWN, SONNET, 9849, 343, "0.0142608"),
)
"""Session, model, input, output, Claude Code's cost."""
TOTAL, OWN_CALLS = money.parse("0.04014225"), money.parse("0.03946225")
"""What the process's result says, which includes the first call; and the sum of the others."""


def request(version: str, kind: str, content: dict[str, Any]) -> dict[str, Any]:
    resource = {"attributes": attributes({"service.name": "claude-code", "service.version": version})}
    scoped = {"scope": {"name": "com.anthropic.claude_code.events"}, **content}
    return {f"resource{kind}": [{"resource": resource, f"scope{kind}": [scoped]}]}


def record(version: str, at: int, values: dict[str, Any]) -> dict[str, Any]:
    one = {"timeUnixNano": str((1_795_931_733 + at) * 10**9), "attributes": attributes(values)}
    return request(version, "Logs", {"logRecords": [one]})


def prompt(version: str) -> dict[str, Any]:
    return record(version, 1, {"event.name": "user_prompt", "session.id": OWN, "prompt_length": "15"})


def calls(version: str) -> list[dict[str, Any]]:
    found = []
    for at, (session, model, given, output, cost) in enumerate(CALLS):
        values = {"event.name": "api_request", "session.id": session, "model": model, "cost_usd": cost}
        found.append(record(version, at, values | {"input_tokens": str(given), "output_tokens": str(output)}))
    return found


def metric(version: str, name: str, points: list[tuple[str, dict[str, str], float]]) -> dict[str, Any]:
    made = [
        {
            "attributes": attributes({"session.id": session, **more}),
            "startTimeUnixNano": "1795931733000000000",
            "timeUnixNano": "1795931739000000000",
            "asDouble": value,
        }
        for session, more, value in points
    ]
    one = {"name": name, "sum": {"aggregationTemporality": 1, "dataPoints": made}}
    return request(version, "Metrics", {"metrics": [one]})


def costs(version: str) -> dict[str, Any]:
    points = [
        (FIRST, {"model": HAIKU}, 0.00068),
        (OWN, {"model": HAIKU}, 0.002128),
        (OWN, {"model": SONNET}, 0.03733425),
    ]
    return metric(version, "claude_code.cost.usage", points)


def stream(folder: Path) -> Path:
    models = {HAIKU: {"costUSD": 0.002808}, SONNET: {"costUSD": 0.03733425}}
    start = {"type": "system", "subtype": "init", "session_id": OWN, "uuid": "u1", "claude_code_version": "2.0.76"}
    end = {
        "type": "result",
        "subtype": "success",
        "session_id": OWN,
        "total_cost_usd": 0.04014225,
        "modelUsage": models,
    }
    path = folder / "02.jsonl"
    path.write_text(f"{json.dumps(start)}\n{json.dumps(end)}\n")
    return path


class Imported:
    """A data directory, into which telemetry comes request by request."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, DirectoryStore(folder / "data", durability="none")

    def take(self, given: dict[str, Any]) -> None:
        path = self.folder / "request.jsonl"
        path.write_text(json.dumps(given) + "\n")
        assert import_source(self.store, "otlp", path).problems == []

    def rows(self) -> dict[str, tuple[int, str | None]]:
        found = {id: project(self.store, id).row for id in self.store.workflow_ids()}
        return {id: (row.actual_cost_nanousd, row.cost_basis) for id, row in found.items()}

    def sum(self) -> int:
        return sum(nanousd for nanousd, _ in self.rows().values())


@pytest.mark.parametrize("seed", range(8))
def test_calls_under_an_id_without_a_prompt_are_not_added_to_the_total_that_has_them(tmp_path: Path, seed: int) -> None:
    found, log, chance = Imported(tmp_path), stream(tmp_path), random.Random(seed)
    requests = [*calls("2.0.76"), costs("2.0.76"), prompt("2.0.76"), None]
    for each in chance.sample(requests * 2, 2 * len(requests)):
        if each is None:
            import_source(found.store, "claude-stream", log)
        else:
            found.take(each)
        assert found.sum() <= TOTAL
    assert found.rows() == {OWN: (TOTAL, "partial"), FIRST: (0, "partial")}


@pytest.mark.parametrize("metrics", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_calls_that_came_before_their_sessions_prompt_count_with_it(tmp_path: Path, seed: int, metrics: bool) -> None:
    found, chance = Imported(tmp_path), random.Random(seed)
    requests = [costs("2.0.76")] if metrics else calls("2.0.76")
    for each in chance.sample(requests, len(requests)):
        found.take(each)
    assert found.rows() == {OWN: (0, "partial"), FIRST: (0, "partial")}
    for each in (prompt("2.0.76"), *requests, prompt("2.0.76")):
        found.take(each)
    assert found.rows() == {OWN: (OWN_CALLS, "partial"), FIRST: (0, "partial")}


def test_time_at_a_terminal_shows_a_prompt_where_only_metrics_are_exported(tmp_path: Path) -> None:
    found = Imported(tmp_path)
    found.take(costs("2.0.76"))
    found.take(metric("2.0.76", "claude_code.active_time.total", [(OWN, {"type": "cli"}, 1.5)]))
    assert found.rows() == {OWN: (OWN_CALLS, "partial"), FIRST: (0, "partial")}


def test_newer_versions_name_one_id_and_no_call_waits(tmp_path: Path) -> None:
    found = Imported(tmp_path)
    for each in calls("2.1.100"):
        found.take(each)
    assert found.rows() == {OWN: (OWN_CALLS, "partial"), FIRST: (money.parse("0.00068"), "partial")}
