from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.events import cost_observed
from ledger.store import MemoryStore
from projections.proof import Proof, verify
from projections.replay import refresh
from projections.stale import stale
from projections.stores.memory import MemoryHistory
from projections.workflow_history import Row, held, row
from tests.projections.lines import HEAD, ended, folded, reading, started

USE = {"input_tokens": 200_000, "output_tokens": 5}
NOW = datetime.fromisoformat("2026-11-23T19:00:00Z")


def whys(found: Row, *, after: timedelta = timedelta(0), **options: datetime | dict[str, datetime]) -> list[str]:
    return [doubt.why for doubt in stale([found], now=NOW + after, **options)]  # type: ignore[arg-type]


GOOD = row(folded(started(), reading("2.37", agent="a", usage=USE), ended()), HEAD)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (replace(GOOD, actual_cost_nanousd=90_000_000), "ended at $0.0900 for 200,005 tokens"),
        (row(folded(reading("2.37", partial=True), ended()), HEAD), "ended, and the cost is at least this"),
        (held(row(folded(reading("0.45")), HEAD), 5_000_000_000), "held: somebody stored more"),
        (row(folded(reading("1.00", session_id="s"), reading("1.00", model="m")), HEAD), "possible double counting"),
        (row(folded(reading("1.00"), {"type": "cost_guessed"}), HEAD), "events that this version does not know"),
    ],
)
def test_a_row_that_may_be_wrong_says_why(found: Row, why: str) -> None:
    assert [told[: len(why)] for told in whys(found)][:1] == [why]


@pytest.mark.parametrize(
    ("told", "cause", "next_step"),
    [
        (reading("2.37", partial=True), "some usage is known to be incomplete", "costledger correct "),
        (reading(None, usage=USE), "the tokens of 1 meter have no price", "costledger reprice "),
    ],
)
def test_a_lower_bound_has_a_next_step_that_can_end_it(told: dict[str, Any], cause: str, next_step: str) -> None:
    doubts = [doubt for doubt in stale([row(folded(told, ended()), HEAD)], now=NOW) if "at least this" in doubt.why]
    assert [(cause in doubt.why, doubt.next_step[: len(next_step)]) for doubt in doubts] == [(True, next_step)]


@pytest.mark.parametrize("end", [[], [ended(run=2)]])
def test_a_retry_that_lacks_a_counter_names_the_option_that_gives_it_one(end: list[dict[str, Any]]) -> None:
    first = [started(), reading("0.50", agent="plan"), ended("failed"), started(2), reading("0.40", agent="plan")]
    (doubt,) = stale([row(folded(*first, *end), HEAD)], now=NOW)
    assert doubt.why.endswith("a retry read less than the runs before it had cost (agent plan)")
    assert "--counter" in doubt.next_step


def test_what_this_version_cannot_read_is_the_only_doubt_about_a_lower_bound() -> None:
    unread = row(folded(reading("2.37", partial=True), {"type": "cost_guessed"}, ended()), HEAD)
    assert whys(unread) == ["events that this version does not know"]


def test_a_right_row_raises_no_doubt() -> None:
    assert whys(GOOD) == []
    assert whys(row(folded(started()), HEAD)) == []


def test_a_running_workflow_that_fell_silent() -> None:
    silent = row(folded(started(), reading("1.00")), HEAD)
    assert whys(silent, after=timedelta(hours=5)) == []
    assert whys(silent, after=timedelta(hours=8)) == ["running, and no event for 9 hours"]


def test_a_source_that_was_written_after_the_last_event() -> None:
    updated = datetime.fromisoformat(GOOD.updated_at)
    assert whys(GOOD, changed_at={"w": updated - timedelta(seconds=1)}) == []
    assert whys(GOOD, changed_at={"w": updated + timedelta(seconds=1)})[0].startswith("a source was written at")


def test_a_workflow_recorded_ahead_of_the_clock_is_named_by_stale_and_by_verify() -> None:
    store, history = MemoryStore(clock=lambda: datetime(2099, 1, 1, tzinfo=UTC)), MemoryHistory()
    store.append([cost_observed("w", cost_usd=1)])
    refresh(store, history)
    found = history.rows()[0]
    assert whys(found)[0].startswith("its last event was recorded at 2099-01-01 00:00 UTC, ahead of the clock")
    (finding,) = verify(store, history, Proof())
    assert (finding.workflow_id, "ahead of the clock" in finding.problem) == ("w", True)
