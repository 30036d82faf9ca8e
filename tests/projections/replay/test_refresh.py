"""A row does not depend on when its ledger was refreshed: only a cost of another program is held."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.events.event import Event, cost_observed, workflow_ended, workflow_started
from ledger.storage.memory_store import MemoryStore
from projections.history.memory import MemoryHistory
from projections.history.sqlite.history import SqliteHistory
from projections.history.store import HistoryStore
from projections.replay.refresh import refresh
from tests.conftest import SteppingClock

_numbers = itertools.count(1)

observed = st.builds(
    lambda cents, agent, final: ("observe", cents, agent, final),
    st.integers(0, 12),
    st.sampled_from([None, "plan", "build"]),
    st.booleans(),
)
spoken = st.one_of(observed, observed, st.just(("start",)), st.sampled_from([("completed",), ("failed",)]))
steps = st.lists(st.tuples(spoken, st.booleans()), min_size=1, max_size=12)
"""What is said, and whether the ledger is refreshed after it."""


def event(workflow_id: str, said: tuple[object, ...]) -> Event:
    match said:
        case ("observe", int() as cents, agent, bool() as final):
            assert agent is None or isinstance(agent, str)
            return cost_observed(workflow_id, cost_usd=f"0.{cents:02d}", agent=agent, final=final)
        case ("start",):
            return workflow_started(workflow_id)
        case _:
            return workflow_ended(workflow_id, str(said[0]))


@given(moments=steps)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_refresh_after_any_of_the_prefixes_gives_the_row_of_one_at_the_end(
    history: HistoryStore, moments: list[tuple[tuple[object, ...], bool]]
) -> None:
    workflow_id, ledgers, once = f"w{next(_numbers)}", MemoryStore(clock=SteppingClock()), MemoryHistory()
    for said, refreshed in moments:
        ledgers.append([event(workflow_id, said)])
        if refreshed:
            refresh(ledgers, history, workflow_ids=[workflow_id])
    refresh(ledgers, history, workflow_ids=[workflow_id])
    refresh(ledgers, once)
    assert history.row(workflow_id) == once.row(workflow_id)
    assert history.spend(workflow_id) == once.spend(workflow_id)


def test_what_a_refresh_of_the_run_before_stored_is_not_held_in_the_next(history: HistoryStore) -> None:
    ledgers = MemoryStore(clock=SteppingClock())
    ledgers.append([workflow_started("w"), cost_observed("w", cost_usd=2)])
    refresh(ledgers, history)
    ledgers.append([cost_observed("w", cost_usd=1), workflow_ended("w", "completed"), workflow_started("w")])
    refresh(ledgers, history)
    row = history.row("w")
    assert row is not None
    assert row.actual_cost_total == 1.0
    assert "(held)" not in row.cost_breakdown


@pytest.mark.parametrize("refreshed_between", [True, False])
def test_what_somebody_else_stored_is_held_over_many_refreshes(tmp_path: Path, *, refreshed_between: bool) -> None:
    ledgers = MemoryStore(clock=SteppingClock())
    with SqliteHistory(tmp_path / "history.db") as history:
        ledgers.append([cost_observed("w", cost_usd=2)])
        refresh(ledgers, history)
        with closing(sqlite3.connect(tmp_path / "history.db", isolation_level=None)) as db:
            db.execute("UPDATE workflow_history SET actual_cost_total = 5")
        for cost in (3, 4):
            ledgers.append([cost_observed("w", cost_usd=cost)])
            if refreshed_between:
                refresh(ledgers, history)
        refresh(ledgers, history)
        row = history.row("w")
        assert row is not None
        assert (row.actual_cost_total, '"(held)":"1.00"' in row.cost_breakdown) == (5.0, True)
        ledgers.append([cost_observed("w", cost_usd=6)])
        refresh(ledgers, history)
        ledgers.append(
            [cost_observed("w", cost_usd=1, final=True), workflow_ended("w", "failed"), workflow_started("w")]
        )
        refresh(ledgers, history)
        row = history.row("w")
        assert row is not None
        assert (row.actual_cost_total, "(held)" in row.cost_breakdown) == (1.0, False)


def test_a_row_that_somebody_removed_is_made_again_though_its_ledger_did_not_grow(tmp_path: Path) -> None:
    ledgers = MemoryStore(clock=SteppingClock())
    ledgers.append([cost_observed("w", cost_usd=2)])
    ledgers.append([cost_observed("other", cost_usd=1)])
    with SqliteHistory(tmp_path / "history.db") as history:
        refresh(ledgers, history)
        with closing(sqlite3.connect(tmp_path / "history.db")) as db, db:
            db.execute("DELETE FROM workflow_history WHERE adw_id = 'w'")
        report = refresh(ledgers, history)
        row = history.row("w")
        assert row is not None
        assert (row.actual_cost_total, report.folded, report.unchanged) == (2.0, ["w"], 1)
