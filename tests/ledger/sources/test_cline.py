"""Cline, Roo Code and Kilo Code: whose task it is, and requests that a restored checkpoint removes."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger.importing.import_options import ImportOptions
from ledger.importing.importer import import_source
from ledger.sources import transcript
from ledger.sources.agents import AGENTS
from ledger.storage.directory_store import DirectoryStore
from projections.replay.refresh import project
from tests.ledger.sources.agent_samples import BUCKETS, add, readings

FAMILY = ("cline", "roo", "kilo-code")
TASK = "1767225600000"


def said(ts: int, say: str, cost: float, tokens: int) -> dict[str, Any]:
    figures = {"tokensIn": tokens, "tokensOut": tokens, "cost": cost}
    return {"ts": ts, "type": "say", "say": say, "text": json.dumps(figures)}


def write(folder: Path, *messages: dict[str, Any]) -> Path:
    """Write a task as the extension does: a new file that replaces the old one."""
    path = folder / "tasks" / TASK / "ui_messages.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".tmp")
    new.write_text(json.dumps(messages), encoding="utf-8")
    os.replace(new, path)
    return path


def usd(store: DirectoryStore) -> Decimal:
    return Decimal(project(store, TASK).row.actual_cost_nanousd) / 10**9


FIRST = said(1, "api_req_started", 0.01, 10)
SECOND = said(2, "api_req_started", 0.02, 20)
UNREAD = said(3, "api_req_started", 0.04, 40)


def test_sums_of_removed_requests_count_as_far_as_they_were_not_read(tmp_path: Path) -> None:
    logs, store = tmp_path / "logs", DirectoryStore(tmp_path / "data")
    write(logs, FIRST, SECOND)
    import_source(store, "cline", logs)
    write(logs, FIRST, said(9, "deleted_api_reqs", 0.06, 60))  # of the second and the unread one
    import_source(store, "cline", logs)
    assert usd(store) == Decimal("0.07")
    assert project(store, TASK).row.input_tokens == 70
    write(logs, said(12, "deleted_api_reqs", 0.07, 70))  # includes the first request, and the sums before
    import_source(store, "cline", logs)
    assert usd(store) == Decimal("0.07")
    write(logs, said(12, "deleted_api_reqs", 0.07, 70), said(13, "api_req_started", 0.08, 80))
    import_source(store, "cline", logs)
    assert usd(store) == Decimal("0.15")
    assert import_source(store, "cline", logs).appended == 0


def test_sums_of_removed_requests_that_no_import_read_count_whole(tmp_path: Path) -> None:
    logs, store = tmp_path / "logs", DirectoryStore(tmp_path / "data")
    write(logs, FIRST, said(9, "deleted_api_reqs", 0.06, 60))
    import_source(store, "cline", logs)
    assert usd(store) == Decimal("0.07")


def test_a_task_that_is_read_again_from_its_beginning_counts_its_removed_requests_once(tmp_path: Path) -> None:
    logs, store = tmp_path / "logs", DirectoryStore(tmp_path / "data")
    write(logs, FIRST, SECOND)
    import_source(store, "cline", logs)
    write(logs, FIRST, said(9, "deleted_api_reqs", 0.02, 20))
    import_source(store, "cline", logs, options=ImportOptions(only=frozenset({TASK})))
    import_source(store, "cline", logs)
    assert usd(store) == Decimal("0.03")


def test_a_file_that_is_cut_and_whole_again_counts_once(tmp_path: Path) -> None:
    logs, store = tmp_path / "logs", DirectoryStore(tmp_path / "data")
    path = write(logs, FIRST, SECOND)
    import_source(store, "cline", logs)
    path.write_bytes(path.read_bytes()[:-20])
    assert len(import_source(store, "cline", logs).skipped) == 1
    write(logs, FIRST, said(9, "deleted_api_reqs", 0.02, 20))
    assert import_source(store, "cline", logs).skipped == []
    assert usd(store) == Decimal("0.03")


@pytest.mark.parametrize(("changed", "basis"), [({}, "reported"), ({"cancelReason": "user_cancelled"}, "partial")])
def test_a_request_without_figures_is_running_unless_it_was_cancelled(
    changed: dict[str, str], basis: str, tmp_path: Path
) -> None:
    logs, store = tmp_path / "logs", DirectoryStore(tmp_path / "data")
    write(logs, FIRST, {"ts": 2, "type": "say", "say": "api_req_started", "text": json.dumps(changed)})
    import_source(store, "cline", logs)
    assert (project(store, TASK).row.cost_basis, usd(store)) == (basis, Decimal("0.01"))


@pytest.mark.parametrize("kind", FAMILY)
def test_a_kind_reads_the_tasks_of_its_own_extension(kind: str) -> None:
    reader = transcript(kind)
    (own, *_) = AGENTS[kind].places
    assert [other for other in FAMILY if AGENTS[other].places[0] == own] == [kind]
    path = f"{own}/tasks/{TASK}/ui_messages.json"
    assert [other for other in FAMILY if transcript(other).is_log(path)] == [kind]  # type: ignore[attr-defined]
    assert reader.is_log(f"/moved/tasks/{TASK}/ui_messages.json")  # type: ignore[attr-defined]


def test_public_tasks_cost_what_they_are_known_to(shared_data: Path, tmp_path: Path) -> None:
    folder, store = shared_data / "cline", DirectoryStore(tmp_path, durability="none")
    for kind in FAMILY:
        report = import_source(store, kind, folder)
        assert (report.skipped, report.problems) == ([], [])
    got: dict[str, dict[str, Any]] = {}
    for line in readings(store).values():
        add(got.setdefault(line["session_id"], {}), line)
    wanted = json.loads((folder / "EXPECTED.json").read_text())["sessions"]
    for path, figures in wanted.items():
        sums = got.pop(path.rpartition("/")[2])
        for name in ("calls", *BUCKETS):
            assert sums.get(name, 0) == figures[name], (path, name)
        assert sums["reported_usd"] == Decimal(figures["cost_usd"]), path
    assert got == {}
