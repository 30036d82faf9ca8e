"""When something was spent whose source has no time: the best evidence, named, and never a reason to append again."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import ConflictingEvent
from ledger.events import timestamps
from ledger.events.event import Line, cost_observed
from ledger.importing.importer import ImportOptions, import_source
from ledger.storage.memory_store import MemoryStore
from projections.replay.refresh import project
from tests.ledger.logs import SONNET, init, message, result, write
from tests.ledger.transcript_lines import raw, said

JANUARY = datetime(2026, 1, 10, 21, 56, 47, tzinfo=UTC)
FILE, STATE = {"spent_at_from": "file"}, {"spent_at_from": "adw_state"}


def written(path: Path, at: datetime) -> Path:
    """The file, as if it was last written at a moment."""
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def log(folder: Path, at: datetime, *records: Any) -> Path:
    """A log of workflow `w`, written at a moment."""
    return written(write(folder / "agents" / "w" / "plan" / "raw_output.jsonl", *records), at)


def state(folder: Path, **fields: Any) -> None:
    (folder / "agents" / "w").mkdir(parents=True, exist_ok=True)
    (folder / "agents" / "w" / "adw_state.json").write_text(json.dumps(fields))


def of_type(store: MemoryStore, kind: str) -> list[Line]:
    return [line for line in store.read("w") if line["type"] == kind]


def dated(store: MemoryStore) -> set[tuple[str, str]]:
    """When readings were spent, and by what evidence."""
    return {(line["spent_at"], line["source"]["spent_at_from"]) for line in of_type(store, "cost_observed")}


def test_a_total_its_models_and_the_messages_of_a_killed_session_are_dated_by_the_file(tmp_path: Path) -> None:
    killed = [init("s2", "p2"), message("m9", 5, "s2")]
    after = [result(0.25, sonnet=0.25), message("m1", 7)]
    store, path = MemoryStore(), log(tmp_path, JANUARY, init(), *after, *killed)
    import_source(store, "claude-stream", path)
    assert len(of_type(store, "cost_observed")) == 4
    assert dated(store) == {(timestamps.to_wire(JANUARY), "file")}


def test_the_same_log_with_another_modification_time_appends_nothing(tmp_path: Path) -> None:
    store, path = MemoryStore(), log(tmp_path, JANUARY, init(), result(0.25, sonnet=0.25))
    assert import_source(store, "claude-stream", path).appended == 2
    ids = [line["id"] for line in of_type(store, "cost_observed")]
    written(path, JANUARY + timedelta(days=300))
    assert import_source(store, "claude-stream", path).appended == 0
    fresh = MemoryStore()
    import_source(fresh, "claude-stream", path)
    assert [line["id"] for line in of_type(fresh, "cost_observed")] == ids


def test_an_id_given_again_with_other_evidence_is_the_same_event() -> None:
    store = MemoryStore()
    first = cost_observed("w", cost_usd="1", id="e", spent_at=JANUARY)
    assert not store.append([first])[0].duplicate
    for other in (None, JANUARY + timedelta(days=1)):
        assert store.append([cost_observed("w", cost_usd="1", id="e", spent_at=other)])[0].duplicate
    with pytest.raises(ConflictingEvent):
        store.append([cost_observed("w", cost_usd="2", id="e", spent_at=JANUARY)])


CREATED, FINISHED = "2026-01-10T21:56:47+00:00", "2026-01-10T22:30:00+00:00"
AT_END = "2026-01-10T22:30:00.000000Z"


@pytest.mark.parametrize(
    ("fields", "file_at", "spent_at", "by"),
    [
        ({"created_at": CREATED, "completed_at": FINISHED}, JANUARY + timedelta(days=300), AT_END, "adw_state"),
        ({"created_at": CREATED, "completed_at": FINISHED}, JANUARY, timestamps.to_wire(JANUARY), "file"),
        ({"created_at": CREATED}, JANUARY + timedelta(days=300), timestamps.to_wire(JANUARY), "adw_state"),
        (
            {"created_at": CREATED},
            JANUARY + timedelta(hours=3),
            timestamps.to_wire(JANUARY + timedelta(hours=3)),
            "file",
        ),
        ({"created_at": CREATED}, JANUARY - timedelta(days=9), timestamps.to_wire(JANUARY), "adw_state"),
        ({"phase_results": [{"completed_at": FINISHED}]}, JANUARY + timedelta(days=300), AT_END, "adw_state"),
        ({}, JANUARY, timestamps.to_wire(JANUARY), "file"),
        ({"created_at": "soon"}, JANUARY, timestamps.to_wire(JANUARY), "file"),
    ],
)
def test_a_state_rules_out_modification_times_outside_of_its_own(
    tmp_path: Path, fields: dict[str, Any], file_at: datetime, spent_at: str, by: str
) -> None:
    log(tmp_path, file_at, init(), result(0.25))
    state(tmp_path, status="completed", **fields)
    store = MemoryStore()
    import_source(store, "adw", tmp_path)
    assert dated(store) == {(spent_at, by)}


def test_an_end_without_a_time_is_dated_by_the_last_activity_of_its_source(tmp_path: Path) -> None:
    log(tmp_path, JANUARY, init(), result(0.25))
    state(tmp_path, status="completed")
    store = MemoryStore()
    import_source(store, "adw", tmp_path)
    (end,) = of_type(store, "workflow_completed")
    assert (end["observed_at"], end["source"]["spent_at_from"]) == (timestamps.to_wire(JANUARY), "file")
    row = project(store, "w").row
    assert (row.end_time, row.last_activity) == (timestamps.to_wire(JANUARY), timestamps.to_wire(JANUARY))
    written(tmp_path / "agents" / "w" / "plan" / "raw_output.jsonl", JANUARY + timedelta(days=1))
    assert import_source(store, "adw", tmp_path).appended == 0


def test_an_end_that_the_caller_names_is_dated_likewise_also_in_a_later_import(tmp_path: Path) -> None:
    path = log(tmp_path, JANUARY, init(), result(0.25))
    store = MemoryStore()
    import_source(store, "claude-stream", path)
    import_source(store, "claude-stream", path, options=ImportOptions(status="failed"))
    assert project(store, "w").row.end_time == timestamps.to_wire(JANUARY)
    transcript = tmp_path / "projects" / "p" / "s1.jsonl"
    transcript.parent.mkdir(parents=True)
    transcript.write_bytes(raw(said("m0", 5, 0), said("m1", 5, 60)))
    for statuses in ((None, "completed"), ("completed",)):
        store = MemoryStore()
        for status in statuses:
            import_source(store, "claude", transcript.parent.parent, options=ImportOptions(status=status))
        (workflow_id,) = store.workflow_ids()
        row = project(store, workflow_id).row
        assert row.status == "completed"
        assert (
            row.end_time
            == row.last_activity
            == max(line["observed_at"] for line in store.read(workflow_id) if line["type"] == "cost_observed")
        )


def test_times_of_the_sessions_messages_go_before_the_file(tmp_path: Path) -> None:
    store, seen = MemoryStore(), JANUARY + timedelta(minutes=3)
    call = cost_observed(
        "w", agent="plan", session_id="s1", model=SONNET, message_id="m1", cost_usd="0.10", observed_at=seen
    )
    store.append([call])
    path = log(tmp_path, JANUARY + timedelta(days=300), init(), message("m1", 5), result(0.25))
    import_source(store, "claude-stream", path)
    assert of_type(store, "cost_observed")[-1]["spent_at"] == timestamps.to_wire(seen)
    assert of_type(store, "cost_observed")[-1]["source"]["spent_at_from"] == "transcript"


def application(path: Path, **row: Any) -> Path:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"CREATE TABLE workflow_history ({', '.join(row)})")
        db.execute(f"INSERT INTO workflow_history VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
    return path


@pytest.mark.parametrize(
    ("times", "ended_at", "by"),
    [
        ({"end_time": "2026-01-10 22:30:00", "updated_at": "2026-11-28 10:00:00"}, AT_END, None),
        ({"start_time": "2026-01-10 22:00:00", "duration_seconds": 1800}, AT_END, "application"),
        ({"completed_at": "2026-01-10 22:30:00", "updated_at": "2026-11-28 10:00:00"}, AT_END, "application"),
        ({"start_time": "2026-01-10 22:00:00", "updated_at": "2026-01-10 22:30:00"}, AT_END, "application"),
    ],
)
def test_an_applications_row_dates_its_end_and_the_totals_of_its_logs(
    tmp_path: Path, times: dict[str, Any], ended_at: str, by: str | None
) -> None:
    store = MemoryStore()
    import_source(store, "history-db", application(tmp_path / "app.db", adw_id="w", status="completed", **times))
    (end,) = of_type(store, "workflow_completed")
    assert (end["observed_at"], end["source"].get("spent_at_from")) == (ended_at, by)
    import_source(store, "claude-stream", log(tmp_path, JANUARY + timedelta(days=300), init(), result(0.25)))
    assert dated(store) == {(ended_at, "application")}
    assert project(store, "w").row.actual_cost_total == 0.25


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(0, 400)), min_size=1, max_size=6))
def test_evidence_decides_no_cost(moments: list[tuple[int, int]]) -> None:
    dated_too, without = MemoryStore(), MemoryStore()
    for cents, days in moments:
        reading: dict[str, Any] = {"cost_usd": f"0.{cents:02d}", "final": True}
        dated_too.append([cost_observed("w", spent_at=JANUARY + timedelta(days=days), **reading)])
        without.append([cost_observed("w", **reading)])
    rows = [project(store, "w").row for store in (dated_too, without)]
    assert rows[0].actual_cost_nanousd == rows[1].actual_cost_nanousd
