"""Messages of the Claude Agent SDK, as programs write them, cost what the same records of stream-json do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ledger.importing.importer import import_source
from ledger.sources import identified
from ledger.storage.memory_store import MemoryStore
from projections.replay.refresh import project
from tests.ledger.logs import HAIKU, SONNET, init, message, result, write


@dataclass
class SystemMessage:
    subtype: str
    data: dict[str, Any]


@dataclass
class AssistantMessage:
    content: list[Any]
    model: str
    parent_tool_use_id: str | None = None
    error: str | None = None
    usage: dict[str, Any] | None = None
    message_id: str | None = None
    stop_reason: str | None = None
    session_id: str | None = None
    uuid: str | None = None


@dataclass
class ResultMessage:
    subtype: str
    duration_ms: int
    is_error: bool
    num_turns: int
    session_id: str
    total_cost_usd: float | None = None
    usage: dict[str, Any] | None = None
    model_usage: dict[str, Any] | None = None
    uuid: str | None = None


@dataclass
class UserMessage:
    content: str
    uuid: str | None = None
    parent_tool_use_id: str | None = None
    more: list[str] = field(default_factory=list)


LINES = [init(), message("m1", 50), message("m2", 70), result(0.10, sonnet=0.08, haiku=0.02)]


def of_python(record: dict[str, Any]) -> dict[str, Any]:
    """A record as the dataclass that the SDK for Python makes of it, and a program writes with `asdict`."""
    if record["type"] == "system":
        return asdict(SystemMessage(record["subtype"], record))
    if record["type"] == "assistant":
        response, session = record["message"], record["session_id"]
        used = {"usage": response["usage"], "message_id": response["id"], "session_id": session}
        return asdict(AssistantMessage([{"text": "…"}], response["model"], uuid=record["uuid"], **used))
    figures = {name: record[name] for name in ("session_id", "total_cost_usd", "usage", "uuid")}
    return asdict(ResultMessage("success", 7, is_error=False, num_turns=2, model_usage=record["modelUsage"], **figures))


MESSAGES = [*map(of_python, LINES[:2]), asdict(UserMessage("Thanks")), *map(of_python, LINES[2:])]


def rows(path: Path) -> list[tuple[Any, ...]]:
    store = MemoryStore()
    report = import_source(store, "claude-stream", path)
    assert (report.skipped, report.problems) == ([], [])
    found = [project(store, id).row for id in store.workflow_ids()]
    return [
        (row.adw_id, row.actual_cost_nanousd, row.cost_basis, row.cost_breakdown, row.total_tokens) for row in found
    ]


@pytest.mark.parametrize("records", [LINES, MESSAGES], ids=["typescript", "python"])
@pytest.mark.parametrize("indent", [None, 2], ids=["compact", "pretty"])
def test_a_list_of_messages_costs_what_stream_json_does(
    records: list[dict[str, Any]], indent: int | None, tmp_path: Path
) -> None:
    stream = write(tmp_path / "run.jsonl", *LINES)
    dumped = write(tmp_path / "messages.json", json.dumps(records, indent=indent))
    assert identified(dumped) == "claude-stream"
    assert rows(dumped) == rows(stream)


def test_messages_one_a_line_cost_the_same(tmp_path: Path) -> None:
    assert rows(write(tmp_path / "m.jsonl", *MESSAGES)) == rows(write(tmp_path / "run.jsonl", *LINES))


@pytest.mark.parametrize("indent", [None, 2], ids=["compact", "pretty"])
def test_a_result_alone_gives_its_session(indent: int | None, tmp_path: Path) -> None:
    dumped = write(tmp_path / "result.json", json.dumps(MESSAGES[-1], indent=indent))
    (row,) = rows(dumped)
    assert row[:2] == ("s1", 100_000_000)
    assert [row] == rows(write(tmp_path / "run.jsonl", LINES[-1]))
    assert json.loads(row[3])["by_model"] == {SONNET: "0.08", HAIKU: "0.02"}


def test_results_of_several_sessions_are_a_workflow_each(tmp_path: Path) -> None:
    results = [of_python(result(0.1, "s1", sonnet=0.1)), of_python(result(0.2, "s2", sonnet=0.2))]
    dumped = write(tmp_path / "results.json", json.dumps(results, indent=2))
    assert [row[:2] for row in rows(dumped)] == [("s1", 100_000_000), ("s2", 200_000_000)]


def test_results_of_one_session_without_ids_count_as_it_went_on(tmp_path: Path) -> None:
    results = [of_python(result(cost, sonnet=cost)) | {"uuid": None} for cost in (0.1, 0.25)]
    dumped = write(tmp_path / "results.json", json.dumps(results, indent=2))
    assert [row[:2] for row in rows(dumped)] == [("s1", 250_000_000)]


def test_a_message_without_usage_is_no_call_and_one_without_an_id_is_reported(tmp_path: Path) -> None:
    bare = asdict(AssistantMessage([], SONNET, session_id="s1"))
    nameless = bare | {"usage": {"input_tokens": 1, "output_tokens": 2}}
    path = write(tmp_path / "m.jsonl", bare, nameless, MESSAGES[-1])
    report = import_source(MemoryStore(), "claude-stream", path)
    assert [each.line for each in report.skipped] == [2]
