"""Moves: what one workflow cost counts in another, and no day's total changes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.events.annotations import workflow_moved, workflow_tagged
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.memory_store import MemoryStore
from projections.folding.row import Row
from projections.history.idle import shown_status
from projections.history.memory import MemoryHistory
from projections.history.query import STATUSES, Query, totals_of
from projections.history.store import HistoryStore
from projections.replay.move import MoveRefused, move
from projections.replay.rebuild import rebuild
from projections.replay.refresh import project, refresh, resync
from projections.replay.verify import Proof, verify
from tests.conftest import SteppingClock

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def ledgers() -> MemoryStore:
    return MemoryStore(clock=SteppingClock())


def observe(ledgers: MemoryStore, workflow_id: str, cost: str, **fields: Any) -> None:
    ledgers.append([cost_observed(workflow_id, cost_usd=cost, **fields)])


def row(history: HistoryStore, workflow_id: str) -> Row:
    found = history.row(workflow_id)
    assert found is not None
    return found


def costs(history: HistoryStore) -> dict[str, float]:
    return {one.adw_id: one.actual_cost_total for one in history.rows()}


def test_what_was_moved_counts_there_and_later_readings_too(ledgers: MemoryStore, history: HistoryStore) -> None:
    observe(ledgers, "a", "2.00", agent="plan", session_id="s1", usage={"output_tokens": 7})
    ledgers.append([workflow_started("b", issue_number=17), cost_observed("b", cost_usd="1.00", agent="build")])
    refresh(ledgers, history)
    assert move(ledgers, "a", to="b", agent="review") is not None
    refresh(ledgers, history)
    assert costs(history) == {"a": 0, "b": 3}
    observe(ledgers, "a", "2.50", agent="plan", session_id="s1", usage={"output_tokens": 9})
    refresh(ledgers, history)
    assert costs(history) == {"a": 0, "b": 3.5}
    there, here = row(history, "b"), row(history, "a")
    breakdown = orjson.loads(there.cost_breakdown)
    assert breakdown["by_agent"] == {"review": "2.50", "build": "1.00"}
    assert (breakdown["moved_from"], orjson.loads(here.cost_breakdown)["moved_to"]) == ({"a": "2.50"}, {"b": "2.50"})
    assert (there.output_tokens, there.issue_number, there.cost_basis) == (9, 17, "reported")
    assert (here.status, here.total_tokens, here.last_activity) == ("running", 0, None)
    before = history.rows(), history.parts(), history.spend("b")
    assert rebuild(ledgers, history).changes == []
    assert (history.rows(), history.parts(), history.spend("b")) == before
    assert list(verify(ledgers, history, Proof())) == []
    audit = [(one.adw_id, one.old_cost, one.new_cost) for one in history.audit()]
    assert audit[2:] == [("a", 2, 0), ("b", 1, 3), ("b", 3, 3.5)]


def test_a_new_name_takes_all_that_is_known(ledgers: MemoryStore, history: HistoryStore) -> None:
    ledgers.append([workflow_started("a", issue_number=17, budget_usd=5), cost_observed("a", cost_usd="2.00")])
    ledgers.append([workflow_ended("a", "failed", error_message="no")])
    move(ledgers, "a", to="b")
    refresh(ledgers, history)
    there, before = row(history, "b"), project(ledgers, "a").row
    for name in ("issue_number", "status", "error_message", "start_time", "end_time", "budget_nanousd", "cost_basis"):
        assert getattr(there, name) == getattr(before, name)
    assert row(history, "a").budget_nanousd is None


def test_a_new_name_keeps_what_its_own_events_do_not_say(ledgers: MemoryStore, history: HistoryStore) -> None:
    started = workflow_started("a", issue_number=17, project="/code/shop", budget_usd=2)
    ledgers.append([started, workflow_tagged("a", tags={"team": "pay", "size": "s"}), workflow_ended("a", "completed")])
    move(ledgers, "a", to="b")
    ledgers.append([workflow_tagged("b", tags={"size": "l"})])
    refresh(ledgers, history)
    assert row(history, "b").tags == '{"size":"l","team":"pay"}'
    assert row(history, "b").status == "completed"
    ledgers.append([workflow_started("b", project="/code/store"), cost_observed("b", cost_usd="0.01")])
    refresh(ledgers, history)
    there = row(history, "b")
    assert (there.issue_number, there.project, there.budget_nanousd) == (17, "/code/store", 2 * 10**9)
    assert (there.status, there.tags) == ("running", '{"size":"l","team":"pay"}')
    before = history.rows()
    assert rebuild(ledgers, history).changes == []
    assert history.rows() == before


def test_only_a_session_is_moved_unless_a_meter_above_it_has_a_reading(
    ledgers: MemoryStore, history: HistoryStore
) -> None:
    observe(ledgers, "a", "2.00", agent="plan", session_id="s1")
    observe(ledgers, "a", "0.50", agent="plan", session_id="s2", partial=True)
    observe(ledgers, "b", "1.00")
    move(ledgers, "a", to="b", session_id="s2")
    refresh(ledgers, history)
    assert costs(history) == {"a": 2, "b": 1.5}
    assert (row(history, "a").cost_basis, row(history, "b").cost_basis) == ("priced", "partial")
    observe(ledgers, "a", "2.25", agent="plan", final=True)
    refresh(ledgers, history)
    assert costs(history) == {"a": 2.5, "b": 1}
    with pytest.raises(MoveRefused, match="covers it; move all of it"):
        move(ledgers, "a", to="c", session_id="s1")
    with pytest.raises(MoveRefused, match="has no session 's9'; its sessions: s1, s2"):
        move(ledgers, "a", to="b", session_id="s9")


def test_the_last_move_counts_and_a_move_home_ends_it(ledgers: MemoryStore, history: HistoryStore) -> None:
    for name in ("a", "b", "c"):
        observe(ledgers, name, "1.00")
    refresh(ledgers, history)
    before = history.rows()
    for to, shown in (("b", (0, 2, 1)), ("c", (0, 1, 2)), ("a", (1, 1, 1))):
        move(ledgers, "a", to=to)
        refresh(ledgers, history)
        assert tuple(costs(history).values()) == shown
    assert history.parts() == {}
    names = ("ledger_seq", "ledger_hash", "event_count", "updated_at")
    for old, new in zip(before, history.rows(), strict=True):
        assert all(getattr(old, n) == getattr(new, n) for n in Row.__slots__ if n not in names)
    assert move(ledgers, "a", to="a") is None


def test_what_is_moved_follows_where_its_new_workflow_goes_and_a_circle_is_refused(
    ledgers: MemoryStore, history: HistoryStore
) -> None:
    for name in ("a", "b", "c"):
        observe(ledgers, name, "1.00")
    move(ledgers, "a", to="b")
    move(ledgers, "b", to="c")
    refresh(ledgers, history)
    assert costs(history) == {"a": 0, "b": 0, "c": 3}
    with pytest.raises(MoveRefused, match=r"which was moved to it \(a → b → c\); .*--to b -- b"):
        move(ledgers, "c", to="a")
    ledgers.append([workflow_moved("c", to="a")])  # as another host may, which did not know
    refresh(ledgers, history)
    assert costs(history) == {"a": 1, "b": 1, "c": 1}


def test_a_moved_row_is_counted_as_moved_and_under_no_other_status(ledgers: MemoryStore, history: HistoryStore) -> None:
    for name, end in (("a", "failed"), ("b", "completed"), ("c", "failed")):
        ledgers.append([workflow_started(name, workflow_template="sdlc"), cost_observed(name, cost_usd="1.00")])
        ledgers.append([workflow_ended(name, end)])
    move(ledgers, "a", to="b")
    refresh(ledgers, history)
    counts = {"completed": 1, "failed": 1, "moved": 1}
    for query in (Query(), Query(workflow_template="sdlc"), Query(where=(("workflow_template", ("sdlc",)),))):
        page = history.page(query)
        assert {status: sums.count for status, sums in page.totals.by_status.items()} == counts
        assert page.totals == totals_of(page.rows)
    for asked in (Query(statuses=("failed",)), Query(where=(("status", ("failed",)),))):
        assert [found.adw_id for found in history.page(asked).rows] == ["c"]
    assert [found.adw_id for found in history.page(Query(statuses=("failed", "moved"), sort="adw_id")).rows] == [
        "c",
        "a",
    ]


def test_a_session_that_is_left_behind_is_a_workflow_and_not_moved(ledgers: MemoryStore, history: HistoryStore) -> None:
    for session_id, usd in (("s1", "1.00"), ("s2", "2.00")):
        observe(ledgers, "a", usd, agent="plan", session_id=session_id)
    assert move(ledgers, "a", to="b") is not None
    assert move(ledgers, "a", to="a", session_id="s1") is not None
    assert move(ledgers, "a", to="a", session_id="s1") is None
    refresh(ledgers, history)
    left = row(history, "a")
    assert (left.actual_cost_total, shown_status(left)) == (1, "running")
    assert left.last_activity is not None
    assert costs(history) == {"a": 1, "b": 2}


def test_a_moved_row_is_never_held(ledgers: MemoryStore) -> None:
    history = MemoryHistory()

    def edit(name: str) -> None:
        found = history.recorded(name)
        assert found.row is not None
        history.put(replace(found.row, actual_cost_total=9.0), found.checkpoint, found.spend)

    for name in ("a", "b"):
        observe(ledgers, name, "1.00")
    refresh(ledgers, history)
    edit("a")
    edit("b")
    refresh(ledgers, history)
    assert costs(history) == {"a": 9, "b": 9}
    move(ledgers, "a", to="b")
    refresh(ledgers, history)
    assert costs(history) == {"a": 0, "b": 9}
    resync(ledgers, history, force=True)
    assert costs(history) == {"a": 0, "b": 2}


def test_a_mistyped_move_leaves_nothing_behind_once_it_is_moved_back(
    ledgers: MemoryStore, history: HistoryStore
) -> None:
    ledgers.append([workflow_started("a", issue_number=17), cost_observed("a", cost_usd="2.00", agent="plan")])
    refresh(ledgers, history)
    before, totals = row(history, "a"), history.page(Query()).totals
    for to, shown in (("b", {"a": 0, "b": 2}), ("c", {"a": 0, "c": 2}), ("a", {"a": 2})):
        move(ledgers, "a", to=to)
        refresh(ledgers, history, workflow_ids=["a"] if to == "a" else None)
        assert costs(history) == shown
        assert not history.page(Query()).totals.at_least
    of_ledger = ("ledger_seq", "ledger_hash", "event_count", "updated_at")
    assert all(getattr(before, n) == getattr(row(history, "a"), n) for n in Row.__slots__ if n not in of_ledger)
    assert history.page(Query()).totals == totals
    assert list(verify(ledgers, history, Proof(), unread_too=True)) == []
    assert rebuild(ledgers, history).changes == []
    assert costs(history) == {"a": 2}
    move(ledgers, "a", to="b")  # a new name again
    refresh(ledgers, history, workflow_ids=["a"])
    assert costs(history) == {"a": 0, "b": 2}
    move(ledgers, "a", to="a")
    observe(ledgers, "b", "0.50")
    refresh(ledgers, history)
    assert costs(history) == {"a": 2, "b": 0.5}


def test_tags_of_the_environment_give_a_mistyped_name_no_row_and_those_of_a_person_do(
    ledgers: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSTLEDGER_TAGS", "user=alice")
    history = MemoryHistory()
    observe(ledgers, "a", "2.00")
    for to in ("b", "a"):
        move(ledgers, "a", to=to)
        refresh(ledgers, history)
    assert costs(history) == {"a": 2}
    ledgers.append([workflow_tagged("b", tags={"team": "payments"})])
    refresh(ledgers, history)
    assert row(history, "b").tags == '{"team":"payments","user":"alice"}'


def test_only_one_row_of_a_moved_workflow_without_a_reading_is_unknown(
    ledgers: MemoryStore, history: HistoryStore
) -> None:
    ledgers.append([workflow_started("a", issue_number=17)])
    move(ledgers, "a", to="b")
    refresh(ledgers, history)
    assert (row(history, "a").cost_basis, row(history, "b").cost_basis) == ("reported", None)
    assert history.page(Query()).totals.unknown_count == 1


def test_a_move_to_a_workflow_without_a_ledger_waits_for_it(ledgers: MemoryStore, history: HistoryStore) -> None:
    observe(ledgers, "a", "1.00")
    ledgers.append([workflow_moved("a", to="b")])
    refresh(ledgers, history)
    assert costs(history) == {"a": 1}
    observe(ledgers, "b", "1.00")
    refresh(ledgers, history)
    assert costs(history) == {"a": 0, "b": 2}
    assert list(verify(ledgers, history, Proof())) == []
    history.remove(["b"], reason="test")
    assert costs(history) == {"a": 1}


steps = st.one_of(
    st.tuples(
        st.just("read"),
        st.sampled_from(NAMES),
        st.integers(1, 9),
        st.sampled_from(["s1", "s2", None]),
        st.sampled_from(["opus", None]),
        st.integers(0, 40),
    ),
    st.tuples(
        st.just("move"),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
        st.sampled_from([None, None, "s1"]),
        st.sampled_from([None, "review"]),
    ),
    st.tuples(st.just("end"), st.sampled_from(NAMES)),
    st.tuples(st.just("refresh")),
)


def take(ledgers: MemoryStore, history: HistoryStore, step: tuple[Any, ...]) -> None:
    if step[0] == "read":
        _, name, cents, session_id, model, minutes = step
        fields = {"agent": "plan", "session_id": session_id, "model": model, "partial": cents == 3}
        at = f"2026-11-23T18:{minutes:02d}:00Z"
        observe(ledgers, name, f"0.0{cents}", usage={"output_tokens": cents}, observed_at=at, **fields)
    elif step[0] == "move":
        _, name, to, session_id, agent = step
        ledgers.append([workflow_moved(name, to=to, session_id=session_id, agent=agent)])
    elif step[0] == "end":
        ledgers.append([workflow_ended(step[1], "completed")])
    else:
        refresh(ledgers, history)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, max_size=25))
def test_full_is_incremental_and_no_quarter_hour_changes(taken: list[tuple[Any, ...]]) -> None:
    ledgers, history = MemoryStore(clock=SteppingClock()), MemoryHistory()
    for step in taken:
        take(ledgers, history, step)
    refresh(ledgers, history)
    full = MemoryHistory()
    refresh(ledgers, full)
    assert history.rows() == full.rows()
    assert history.parts() == full.parts()
    assert list(verify(ledgers, history, Proof(), unread_too=True)) == []
    before = history.rows()
    assert rebuild(ledgers, history).changes == []
    assert history.rows() == before
    each: Counter[int] = Counter()
    for name in ledgers.workflow_ids():
        for one in project(ledgers, name).spend:
            each[one.quarter] += one.cost_nanousd
    assert history.page(Query()).totals == totals_of(before)
    for status in STATUSES:
        found = history.page(Query(statuses=(status,)))
        assert {row.adw_id for row in found.rows} == {row.adw_id for row in before if shown_status(row) == status}
        assert found.totals == totals_of(found.rows)
    sums: Counter[int] = Counter({one.quarter: one.amounts[0] for one in history.spent()})
    assert +each == +sums
    for shown in history.rows():
        spend = history.spend(shown.adw_id)
        assert spend == full.spend(shown.adw_id)
        assert sum(part.cost_nanousd for part in spend) == shown.actual_cost_nanousd >= 0
        by_agent = orjson.loads(shown.cost_breakdown)["by_agent"]
        assert sum(round(float(usd) * 1e9) for usd in by_agent.values()) == shown.actual_cost_nanousd
