"""Old logs that are imported today are old: what is idle, how long things took, and on which day they were spent."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.events import timestamps
from projections.folding.row import row
from projections.history.idle import is_idle, open_seconds
from tests.ledger.logs import init, result, write
from tests.projections.cli.test_app import Run, run
from tests.projections.lines import HEAD, ended, folded, reading, started

__all__ = ["run"]

JANUARY = datetime(2026, 1, 10, 21, 56, 47, tzinfo=UTC)


def seconds(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


@pytest.fixture
def january(run: Run, tmp_path: Path) -> Run:
    """A log of January, and a workflow that is active now."""
    path = write(tmp_path / "agents" / "old" / "plan" / "raw_output.jsonl", init(), result(1.25))
    os.utime(path, (JANUARY.timestamp(), JANUARY.timestamp()))
    run("import", "adw", str(tmp_path / "agents"))
    run("start", "new")
    run("observe", "new", "--cost-usd", "0.09")
    return run


def test_a_log_of_january_is_spent_in_january_and_the_report_names_the_evidence(january: Run) -> None:
    monthly = january("monthly", "--timezone", "UTC", "--json").json
    assert [line["cost_usd"] for line in monthly["lines"] if line["period"] == "2026-01"] == ["1.25"]
    assert monthly["spent_at_from_usd"] == {"file": "1.25"}
    shown = january("daily", "--until", "2026-02-01", "--timezone", "UTC").out
    assert "2026-01-10" in shown
    assert shown.count("$1.2500 dated by the log file's modification time") == 1
    assert "dated by" not in january("daily", "--since", "2026-02-01").out


def test_an_open_workflow_without_activity_is_idle_wherever_its_status_is_shown(january: Run) -> None:
    rows = {found["adw_id"]: found for found in january("history", "--json").json["workflows"]}
    assert {name: (found["status"], found["idle"]) for name, found in rows.items()} == {
        "old": ("running", True),
        "new": ("running", False),
    }
    assert [found["adw_id"] for found in january("history", "--status", "idle", "--json").json["workflows"]] == ["old"]
    assert [found["adw_id"] for found in january("history", "--json").json["workflows"]] == ["old", "new"], (
        "the latest activity last"
    )
    lines = [line.split() for line in january("history").out.splitlines()]
    assert [{"idle", "running"} & set(line) for line in lines if line[:1] in (["old"], ["new"])] == [
        {"idle"},
        {"running"},
    ]
    shown = january("show", "old")
    assert "idle" in shown.out.splitlines()[0]
    assert "(last activity)" in shown.out
    assert january("show", "old", "--json").json["idle"] is True


def test_what_runs_today_has_activity_and_the_others_are_counted(january: Run) -> None:
    picture = january("--json").json
    assert [found["adw_id"] for found in picture["running"]] == ["new"]
    assert (picture["idle"], picture["spent_usd"], picture["spent_at_from_usd"]) == (1, "0.09", {})
    shown = january().out
    assert "spent $0.0900" in shown
    assert "1 open workflow without activity: costledger history --status idle" in shown


def test_how_long_without_activity_is_idle_can_be_set(january: Run, tmp_path: Path) -> None:
    (tmp_path / "costledger.toml").write_text('idle_after = "9999d"\n')
    assert january("--json").json["idle"] == 0
    for wrong in ('"soon"', '"0h"', "3600"):
        (tmp_path / "costledger.toml").write_text(f"idle_after = {wrong}\n")
        refused = january("history")
        assert refused.code == 2
        assert 'costledger.toml, line 1: idle_after: expected a time such as "90m", "1h" or "2d"' in refused.err


def test_idle_is_decided_when_a_row_is_read() -> None:
    found = row(folded(started(), reading("0.10")), HEAD)
    at = datetime.fromisoformat(str(found.last_activity))
    assert not is_idle(found, at + timedelta(hours=1))
    assert is_idle(found, at + timedelta(hours=1, seconds=1))
    assert not is_idle(found, at + timedelta(days=3), timedelta(days=4))
    assert not is_idle(row(folded(started(), reading("0.10"), ended()), HEAD), at + timedelta(days=400))
    assert open_seconds(found) == 1
    opened = row(folded({"type": "ledger_opened", "format": 1, "origin": "o"}), HEAD)
    assert is_idle(opened, at), "nothing has ever happened in it"


@pytest.mark.parametrize("name", ["omni-cortex", "mhmdez", "multi-result"])
def test_real_logs_are_spent_when_their_evidence_says_and_none_runs_beyond_it(
    run: Run, shared_data: Path, name: str
) -> None:
    agents = shared_data / "adw" / name / "agents"
    run("import", "adw", str(agents))
    newest = max(os.stat(path).st_mtime for path in agents.rglob("*") if path.is_file())
    for found in run("history", "--json").json["workflows"]:
        last, state = found["last_activity"], agents / found["adw_id"] / "adw_state.json"
        if last is not None:
            assert datetime.fromisoformat(last).timestamp() <= newest + 1e-6, "by the logs, never by the import"
        if state.is_file() and last is not None:
            assert last[:10] == json.loads(state.read_text())["created_at"][:10]
        if found["duration_seconds"] is not None:
            assert found["duration_seconds"] <= seconds(found["start_time"], last)
    if name == "omni-cortex":
        made = run("monthly", "--timezone", "UTC", "--json").json
        assert [line["period"] for line in made["lines"]] == ["2026-01"]
        assert made["spent_at_from_usd"] == {"adw_state": made["total"]["cost_usd"]}
        picture = run("--json").json
        assert (picture["spent_usd"], picture["running"]) == ("0.00", [])


@pytest.mark.parametrize("status", [None, "completed"])
def test_real_transcripts_end_with_their_last_activity_and_none_lasts_longer(
    run: Run, shared_data: Path, tmp_path: Path, status: str | None
) -> None:
    run("import", "claude", str(shared_data / "claude-transcripts"), *(["--status", status] if status else []))
    readings: dict[str, list[dict[str, Any]]] = {}
    for path in (tmp_path / "data" / "ledgers").glob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        readings[path.stem] = [line for line in lines if line["type"] == "cost_observed" and "observed_at" in line]
    for found in run("history", "--json").json["workflows"]:
        if moments := [line["observed_at"] for line in readings[found["adw_id"]]]:
            assert found["last_activity"] == max(moments)
            assert found["end_time"] == (max(moments) if status else None)
            assert found["idle"] is (
                status is None and timestamps.to_wire(datetime.now(UTC) - timedelta(hours=1)) > max(moments)
            )
        assert (found["duration_seconds"] or 0) < timedelta(days=30).total_seconds()
