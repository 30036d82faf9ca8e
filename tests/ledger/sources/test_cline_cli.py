"""Cline CLI: when the sum of a session counts, and whose workflow a child's session is part of."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from projections.replay.refresh import project

ENDED = {"ended_at": "2026-08-01T10:05:00.000Z"}


def write(folder: Path, id: str, messages: list[dict[str, Any]] | None, **more: Any) -> None:
    usage = {"inputTokens": 10, "outputTokens": 10, "totalCost": 0.5}
    metadata = {"usage": usage, "aggregateUsage": {**usage, "totalCost": 9}}
    session = {"session_id": id, "provider": "p", "model": "m", "messages_path": "/gone", "metadata": metadata}
    home = folder / "sessions" / id
    home.mkdir(parents=True, exist_ok=True)
    (home / f"{id}.json").write_text(json.dumps(session | more), encoding="utf-8")
    if messages is not None:
        document = {"sessionId": id, "agent": "explorer", "messages": messages}
        (home / f"{id}.messages.json").write_text(json.dumps(document), encoding="utf-8")


def said(id: str, cost: float | None) -> dict[str, Any]:
    message: dict[str, Any] = {"id": id, "role": "assistant", "ts": 1785578400000, "modelInfo": {"id": "m"}}
    metrics = {"inputTokens": 1, "outputTokens": 1, "cost": cost}
    return message if cost is None else message | {"metrics": metrics}


def imported(tmp_path: Path) -> dict[str, tuple[Decimal, str | None]]:
    store = DirectoryStore(tmp_path / "data", durability="none")
    assert import_source(store, "cline-cli", tmp_path / "sessions").problems == []
    rows = {id: project(store, id).row for id in store.workflow_ids()}
    return {id: (Decimal(row.actual_cost_nanousd) / 10**9, row.cost_basis) for id, row in rows.items()}


@pytest.mark.parametrize(
    ("messages", "more", "cost"),
    [
        (None, ENDED, "0.5"),
        ([said("msg_1", None)], ENDED, "0.5"),
        ([said("msg_1", 0.2), said("msg_2", 0.1)], ENDED, "0.3"),
    ],
)
def test_the_sum_of_a_session_counts_only_where_its_messages_name_nothing(
    messages: list[dict[str, Any]] | None, more: dict[str, Any], cost: str, tmp_path: Path
) -> None:
    write(tmp_path, "s", messages, **more)
    assert imported(tmp_path) == {"s": (Decimal(cost), "reported")}


def test_the_sum_of_a_running_session_waits_for_its_messages(tmp_path: Path) -> None:
    write(tmp_path, "s", [])
    assert imported(tmp_path) == {}
    write(tmp_path, "s", [said("msg_1", 0.25)], **ENDED)
    assert imported(tmp_path) == {"s": (Decimal("0.25"), "reported")}


def test_a_message_without_metrics_next_to_others_makes_the_session_cost_at_least_theirs(tmp_path: Path) -> None:
    write(tmp_path, "s", [said("msg_1", 0.2), said("msg_2", None)], **ENDED)
    assert imported(tmp_path) == {"s": (Decimal("0.2"), "partial")}


def test_equal_ids_of_messages_in_two_sessions_are_two_calls(tmp_path: Path) -> None:
    write(tmp_path, "s", [said("msg_1", 0.2)])
    write(tmp_path, "t", [said("msg_1", 0.2)])
    assert imported(tmp_path) == {id: (Decimal("0.2"), "reported") for id in ("s", "t")}


def test_all_descendants_of_a_session_count_in_its_workflow(tmp_path: Path) -> None:
    write(tmp_path, "lead", [said("msg_1", 0.2)])
    write(tmp_path, "child", [said("msg_1", 0.1)], parent_session_id="lead")
    write(tmp_path, "a-grandchild", [said("msg_1", 0.05)], parent_session_id="child")
    assert imported(tmp_path) == {"lead": (Decimal("0.35"), "reported")}


def test_sessions_that_name_each_other_as_parent_end_no_import(tmp_path: Path) -> None:
    write(tmp_path, "a", [said("msg_1", 0.2)], parent_session_id="b")
    write(tmp_path, "b", [said("msg_1", 0.1)], parent_session_id="a")
    assert sum(cost for cost, _ in imported(tmp_path).values()) == Decimal("0.3")
