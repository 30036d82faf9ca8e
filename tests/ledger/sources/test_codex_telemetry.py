"""Codex's OpenTelemetry log records, from the committed sample."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from ledger import MemoryStore
from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from projections.folding.row import Row
from projections.replay.refresh import project
from tests.ledger.transcript_lines import meta, read_at, recorded, tokens, turn, write

SAMPLE = Path(__file__).parents[1] / "samples" / "otlp-codex.jsonl"
SESSION = "019fd100-0000-7ca3-9e29-000000000001"
COST = 1700 * 1250 + 1100 * 125 + 120 * 10000
"""By hand, in nanodollars: uncached tokens and writes at $1.25 per million, cached ones at $0.125, output at $10."""


def row(store: MemoryStore, session: str = SESSION) -> Row:
    return project(store, session).row


def readings(store: MemoryStore) -> list[dict[str, Any]]:
    return [line for line in store.read(SESSION) if line["type"] == "cost_observed"]


def test_a_completed_response_with_its_tokens_is_one_call_and_its_span_is_none() -> None:
    store = MemoryStore()
    report = import_source(store, "otlp", SAMPLE)
    assert (report.skipped, report.problems) == ([], [])
    first, second = readings(store)
    assert first["usage"] == {
        "input_tokens": 700,
        "cache_write_tokens": 100,
        "cache_read_tokens": 200,
        "output_tokens": 50,
    }
    assert second["usage"] == {"input_tokens": 900, "cache_read_tokens": 900, "output_tokens": 70}
    assert [line["observed_at"] for line in (first, second)] == [
        "2026-11-23T18:33:02.725000Z",
        "2026-11-23T18:33:04.802000Z",
    ]
    assert {(line["agent"], line["session_id"], line["model"]) for line in (first, second)} == {
        ("main", SESSION, "gpt-5-codex")
    }
    assert (row(store).actual_cost_nanousd, row(store).cost_basis) == (COST, "priced")


def test_exports_in_any_order_and_repeated_are_the_same_calls(tmp_path: Path) -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    for seed in range(5):
        store, chance = MemoryStore(), random.Random(seed)
        for line in chance.sample(lines * 2, 2 * len(lines)):
            path = tmp_path / "one.jsonl"
            path.write_text(line + "\n", encoding="utf-8")
            if "resourceLogs" in line:
                import_source(store, "otlp", path)
        assert row(store).actual_cost_nanousd == COST
        assert len(readings(store)) == 2


@pytest.mark.parametrize("order", ["otlp codex", "codex otlp", "otlp codex otlp codex", "codex otlp codex otlp"])
def test_a_rollout_of_the_same_session_is_never_added(tmp_path: Path, order: str) -> None:
    first, last = tokens(1000, 200, 50, 10, writes=100), tokens(1800, 900, 70, 20)
    total = {name: first[name] + last[name] for name in first}
    lines = [meta(SESSION), turn("gpt-5-codex"), recorded("resp_1", first, first, SESSION), read_at(first, first)]
    lines += [recorded("resp_2", total, last, SESSION), read_at(total, last)]
    paths = {"otlp": SAMPLE, "codex": write(tmp_path / "rollout.jsonl", *lines)}
    store = DirectoryStore(tmp_path / "data", durability="none")
    for kind in order.split():
        assert import_source(store, kind, paths[kind]).problems == []
    assert list(store.workflow_ids()) == [SESSION]
    found = project(store, SESSION).row
    assert (found.actual_cost_nanousd, found.output_tokens) == (COST, 120)


def test_a_sub_agents_calls_are_another_conversations_so_the_row_is_a_lower_bound(tmp_path: Path) -> None:
    text = SAMPLE.read_text(encoding="utf-8").replace("exec_command", "spawn_agent")
    path, store = tmp_path / "logs.jsonl", MemoryStore()
    path.write_text(text, encoding="utf-8")
    assert import_source(store, "otlp", path).skipped == []
    assert (row(store).actual_cost_nanousd, row(store).cost_basis) == (COST, "partial")


def test_a_web_search_has_no_figure_so_the_session_is_a_lower_bound(tmp_path: Path) -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    searched = json.loads(text.splitlines()[2])
    for record in searched["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        named = {attribute["key"]: attribute["value"] for attribute in record["attributes"]}
        record["attributes"] = [
            {"key": "event.name", "value": {"stringValue": "codex.sse_event"}},
            {"key": "event.kind", "value": {"stringValue": "response.web_search_call.completed"}},
            *({"key": key, "value": named[key]} for key in ("conversation.id", "model", "event.timestamp")),
        ]
    path, store = tmp_path / "logs.jsonl", MemoryStore()
    path.write_text(text + json.dumps(searched) + "\n", encoding="utf-8")
    assert import_source(store, "otlp", path).skipped == []
    assert (row(store).actual_cost_nanousd, row(store).cost_basis) == (COST, "partial")


def test_a_count_that_is_none_is_named_by_file_and_line(tmp_path: Path) -> None:
    request = json.loads(SAMPLE.read_text(encoding="utf-8").splitlines()[2])
    for record in request["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        for attribute in record["attributes"]:
            if attribute["key"] == "output_token_count":
                attribute["value"] = {"stringValue": "many"}
    path, store = tmp_path / "logs.jsonl", MemoryStore()
    path.write_text(SAMPLE.read_text(encoding="utf-8") + json.dumps(request) + "\n", encoding="utf-8")
    (skipped,) = import_source(store, "otlp", path).skipped
    assert (skipped.path, skipped.line) == (path, 4)
    assert "output_token_count" in skipped.reason
    assert len(readings(store)) == 2


@pytest.mark.parametrize("order", ["otlp codex otlp", "codex otlp codex", "codex codex otlp"])
def test_a_sub_agents_thread_is_never_added_to_its_rollout(tmp_path: Path, order: str) -> None:
    first, last = tokens(1000, 200, 50, 10, writes=100), tokens(1800, 900, 70, 20)
    total = {name: first[name] + last[name] for name in first}
    spawned = meta(SESSION, session_id="root", source={"subagent": {"thread_spawn": {"parent_thread_id": "root"}}})
    lines = [spawned, turn("gpt-5-codex"), read_at(first, first), read_at(total, last)]
    write(tmp_path / "codex" / "root.jsonl", meta("root"), turn("gpt-5-codex"), read_at(first, first))
    write(tmp_path / "codex" / "thread.jsonl", *lines)
    paths, store = {"otlp": SAMPLE, "codex": tmp_path / "codex"}, DirectoryStore(tmp_path / "data", durability="none")
    for kind in order.split():
        assert import_source(store, kind, paths[kind]).problems == []
    roots_own = 700 * 1250 + 100 * 1250 + 200 * 125 + 50 * 10000
    rows = {id: project(store, id).row.actual_cost_nanousd for id in store.workflow_ids()}
    one_row = {"root": roots_own + COST}
    assert rows == ({"root": roots_own, SESSION: COST} if order.startswith("otlp") else one_row)
