"""A moment may be a day ahead of the clock: who reports a later one gets an error, an import takes its own time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import DirectoryStore, workflow
from ledger.capture.json_events import submitted
from ledger.errors import InvalidEvent
from ledger.events import timestamps
from ledger.events.clock_check import AHEAD_MAX, check_not_ahead, problem_ahead, with_past_moments
from ledger.events.event import cost_observed
from ledger.importing.importer import import_source
from tests.ledger.transcript_lines import said, write

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@given(st.timedeltas(min_value=timedelta(days=-9), max_value=timedelta(days=9)))
def test_a_day_ahead_is_the_limit(ahead: timedelta) -> None:
    event = cost_observed("w", cost_usd="1", observed_at=NOW + ahead, id="a")
    if ahead <= AHEAD_MAX:
        assert check_not_ahead(event, NOW) is event
        assert with_past_moments([event], NOW) == ([event], [])
        return
    with pytest.raises(InvalidEvent, match=r"'observed_at': .* more than a day in the future: this computer's clock"):
        check_not_ahead(event, NOW)
    (changed,), again = with_past_moments([event], NOW)
    assert [changed] == again
    assert changed.fields["observed_at"] == timestamps.to_wire(NOW)
    assert "observed_at" in changed.derived, "the same event with its own moment is no conflict"
    assert {**changed.fields, "observed_at": ""} == {**event.fields, "observed_at": ""}


def test_a_moment_of_another_zone_is_compared_in_time() -> None:
    assert problem_ahead("2026-11-30T23:00:00+14:00", NOW) == ""
    assert "clock says 2026-11-29T12:00:00Z" in problem_ahead("2026-11-30T11:00:00-02:00", NOW)
    assert problem_ahead("no time", NOW) == "", "the event refuses that"


def _ahead(days: int) -> str:
    return timestamps.to_wire(datetime.now(UTC) + timedelta(days=days))


def test_no_way_of_reporting_records_the_future(tmp_path: Path) -> None:
    line = {"type": "cost_observed", "workflow_id": "w", "cost_usd": "1", "observed_at": _ahead(2)}
    with pytest.raises(InvalidEvent, match="observed_at"):
        submitted(json.dumps(line).encode())
    with workflow("w", data=tmp_path) as wf:
        with pytest.raises(InvalidEvent, match="observed_at"):
            wf.observe(cost_usd="1", observed_at=_ahead(2))
        with pytest.raises(InvalidEvent, match="observed_at"):
            wf.charge(cost_usd="1", observed_at=_ahead(2))
        assert wf.observe(cost_usd="1", observed_at=_ahead(0)).seq > 0


def test_a_log_of_the_future_counts_as_of_its_import_once(tmp_path: Path) -> None:
    file = write(tmp_path / "logs" / "s1.jsonl", said("m1", 5), said("m2", 7))
    future = timestamps.moment(_ahead(400))
    assert future is not None
    file.write_bytes(file.read_bytes().replace(b"2026-08-01T08:00:00.123Z", future.isoformat().encode()))
    store = DirectoryStore(tmp_path / "data")
    report = import_source(store, "claude", tmp_path / "logs")
    readings = [line for line in store.read("s1") if line["type"] == "cost_observed"]
    assert len(readings) == 2
    assert all(line["observed_at"] <= line["recorded_at"] for line in readings)
    assert [(found.note, found.reason) for found in report.skipped] == [
        (True, "3 events dated more than a day in the future; counted as of this import")
    ]
    assert import_source(store, "claude", tmp_path / "logs").appended == 0


def test_a_ledger_that_has_the_future_is_read_as_it_is(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    receipt = store.append([cost_observed("w", cost_usd="1", observed_at=_ahead(400), id="a")])[0]
    assert [line["seq"] for line in store.read("w") if line["type"] == "cost_observed"] == [receipt.seq]
