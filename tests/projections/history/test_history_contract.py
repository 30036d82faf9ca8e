"""What every `HistoryStore` promises, run over each adapter, with the rule that decides which cost a row shows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ledger.errors import DamagedLedger
from ledger.events import money
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.memory_store import MemoryStore
from projections.folding.spend import AMOUNTS, quarter_of
from projections.history.memory import MemoryHistory
from projections.history.postgres.history import open_postgres
from projections.history.sqlite.history import SqliteHistory
from projections.history.store import HELD_REASON, Derived, Group, HistoryStore
from projections.replay.rebuild import rebuild
from projections.replay.refresh import project, refresh, resync
from projections.replay.verify import Proof, verify
from tests.conftest import SteppingClock


class Bench:
    """A history under test, and a person's hand that edits it."""

    def __init__(self, history: HistoryStore, edit: Callable[[str, float], None]) -> None:
        self.history, self.edit = history, edit
        self.ledgers = MemoryStore(clock=SteppingClock())

    def observe(self, cost: str | None, workflow_id: str = "w", **fields: object) -> None:
        self.ledgers.append([cost_observed(workflow_id, cost_usd=cost, **fields)])  # type: ignore[arg-type]

    def cost(self, workflow_id: str = "w") -> float:
        row = self.history.row(workflow_id)
        assert row is not None
        return row.actual_cost_total

    def audit(self) -> list[tuple[float | None, float, str]]:
        return [(entry.old_cost, entry.new_cost, entry.reason) for entry in self.history.audit("w")]


class Hand:
    """A person at a PostgreSQL prompt."""

    def __init__(self, url: str) -> None:
        self._url = url

    def edit(self, adw_id: str, cost: float) -> None:
        with psycopg.connect(self._url) as db:
            db.execute("UPDATE workflow_history SET actual_cost_total = %s WHERE adw_id = %s", (cost, adw_id))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "memory":
        memory = MemoryHistory(clock=SteppingClock())

        def raise_to(adw_id: str, cost: float) -> None:
            found = memory.recorded(adw_id)
            assert found.row is not None
            memory.put(replace(found.row, actual_cost_total=cost), found.checkpoint, found.spend)

        yield Bench(memory, raise_to)
        return
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        with open_postgres(url, clock=SteppingClock()) as postgres:
            yield Bench(postgres, Hand(url).edit)
        return
    path = tmp_path / "history.db"

    def edit(adw_id: str, cost: float) -> None:
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE workflow_history SET actual_cost_total = ? WHERE adw_id = ?", (cost, adw_id))
        db.close()

    with SqliteHistory(path, clock=SteppingClock()) as history:
        yield Bench(history, edit)


def test_a_refresh_writes_row_checkpoint_and_audit_together(bench: Bench) -> None:
    bench.ledgers.append([workflow_started("w", issue_number=17), cost_observed("w", cost_usd="0.09")])
    report = refresh(bench.ledgers, bench.history)
    row = bench.history.row("w")
    assert row is not None
    assert (row.issue_number, row.actual_cost_total, row.ledger_seq) == (17, 0.09, 3)
    assert bench.history.checkpoints()["w"].hash == row.ledger_hash
    assert (bench.history.shared, bench.history.origins("w")) == (False, {})
    assert bench.audit() == [(None, 0.09, "refresh")]
    assert [change.new_nanousd for change in report.changes] == [90_000_000]


def test_a_cost_that_was_unknown_before_is_no_zero_in_the_audit(bench: Bench) -> None:
    bench.ledgers.append([workflow_started("w")])
    refresh(bench.ledgers, bench.history)
    bench.observe(None, model="who-knows-1", usage={"output_tokens": 7})
    refresh(bench.ledgers, bench.history)
    assert bench.audit() == []
    bench.observe("0.09", agent="plan")
    refresh(bench.ledgers, bench.history)
    assert bench.audit() == [(None, 0.09, "refresh")]
    bench.observe("0.00", "v")
    refresh(bench.ledgers, bench.history)
    bench.observe("0.50", "v")
    refresh(bench.ledgers, bench.history)
    assert [(one.old_cost, one.new_cost) for one in bench.history.audit("v")] == [(0.0, 0.5)], "which was read"


def test_a_refresh_without_news_folds_nothing(bench: Bench) -> None:
    bench.observe("0.09")
    refresh(bench.ledgers, bench.history)
    again = refresh(bench.ledgers, bench.history)
    assert (again.folded, again.unchanged, again.changes) == ([], 1, [])
    assert len(bench.audit()) == 1


def test_a_running_row_that_somebody_raised_stays_until_the_end_and_is_audited_once(bench: Bench) -> None:
    bench.observe("0.45")
    refresh(bench.ledgers, bench.history)
    bench.edit("w", 5.0)
    for cost in ("0.50", "0.60"):
        refresh(bench.ledgers, bench.history)
        bench.observe(cost)
    refresh(bench.ledgers, bench.history)
    row = bench.history.row("w")
    assert row is not None
    assert (row.actual_cost_total, row.actual_cost_nanousd) == (5.0, 5_000_000_000)
    assert '"(held)":"4.40"' in row.cost_breakdown
    bench.ledgers.append([workflow_ended("w", "completed")])
    refresh(bench.ledgers, bench.history)
    assert bench.cost() == 0.6
    assert bench.audit() == [(None, 0.45, "refresh"), (0.45, 5.0, HELD_REASON), (5.0, 0.6, "refresh")]


def test_a_running_row_that_somebody_lowered_is_put_right_at_once(bench: Bench) -> None:
    bench.observe("0.45")
    refresh(bench.ledgers, bench.history)
    bench.edit("w", 0.01)
    refresh(bench.ledgers, bench.history)
    assert bench.cost() == 0.45
    assert bench.audit()[-1] == (0.01, 0.45, "refresh")


def test_a_forced_resync_shows_replay_also_where_a_running_row_holds_more(bench: Bench) -> None:
    bench.observe("0.45")
    refresh(bench.ledgers, bench.history)
    bench.edit("w", 5.0)
    assert resync(bench.ledgers, bench.history, workflow_ids=["w"]).changes[-1].new_nanousd == 5_000_000_000
    resync(bench.ledgers, bench.history, workflow_ids=["w"], force=True)
    assert bench.cost() == 0.45
    assert bench.audit()[-1] == (5.0, 0.45, "resync --force")


def test_a_resync_without_an_id_replays_all_ended_ones(bench: Bench) -> None:
    for name in ("running", "done"):
        bench.observe("0.45", name)
    bench.ledgers.append([workflow_ended("done", "failed")])
    refresh(bench.ledgers, bench.history)
    assert resync(bench.ledgers, bench.history).folded == ["done"]


def test_a_write_that_is_behind_the_stored_checkpoint_is_left_out(bench: Bench) -> None:
    bench.observe("0.45")
    old = project(bench.ledgers, "w")
    bench.observe("0.90")
    refresh(bench.ledgers, bench.history)
    assert bench.history.write([old], pure=True, reason="slow") == []
    assert bench.cost() == 0.9


def test_a_ledger_that_does_not_extend_its_checkpoint_is_a_problem_and_the_others_are_done(bench: Bench) -> None:
    for name in ("v", "w"):
        bench.observe("0.45", name)
    refresh(bench.ledgers, bench.history)
    other = MemoryStore(clock=SteppingClock(), origin="another")
    for name in ("u", "w"):
        other.append([cost_observed(name, cost_usd="9.00"), cost_observed(name, cost_usd="9.10")])
    report = refresh(other, bench.history)
    assert [(p.workflow_id, type(p.error).__name__) for p in report.problems] == [
        ("v", "LedgerVanished"),
        ("w", "ReplacedLedger"),
    ]
    assert isinstance(report.problems[1].error, DamagedLedger)
    assert (bench.cost("u"), bench.cost("v"), bench.cost("w")) == (9.1, 0.45, 0.45)
    findings = [(f.workflow_id, f.problem[:21]) for f in verify(other, bench.history, Proof())]
    assert [name for name, _ in findings] == ["v", "w"]


def test_verify_names_every_column_that_is_not_what_replay_says(bench: Bench) -> None:
    bench.observe("0.45")
    refresh(bench.ledgers, bench.history)
    proof = Proof()
    assert list(verify(bench.ledgers, bench.history, proof)) == []
    assert (proof.ledgers, proof.rows) == (1, 1)
    bench.edit("w", 0.09)
    finding = next(iter(verify(bench.ledgers, bench.history, Proof())))
    assert finding.problem == "actual_cost_total is $0.09, and replay says $0.45"
    assert finding.next_step == "costledger resync --force -- w"


def test_removing_a_row_is_audited(bench: Bench) -> None:
    bench.observe("0.45")
    refresh(bench.ledgers, bench.history)
    bench.history.remove(["w", "never"], reason="no ledger")
    assert bench.history.rows() == []
    assert bench.history.checkpoints() == {}
    assert bench.audit()[-1] == (0.45, 0.0, "no ledger")


def at(minute: int) -> str:
    return f"2026-11-23T{18 + minute // 60:02d}:{minute % 60:02d}:00Z"


def sums(history: HistoryStore, *by: Group, first: int | None = None, last: int | None = None) -> list[tuple[Any, ...]]:
    """Quarter hours from 18:00, group, USD and output tokens."""
    start = quarter_of(at(0))
    found = history.spent(by, first=first, last=last)
    return [
        (one.quarter - start, *one.group, money.to_wire(one.amounts[0]), one.amounts[AMOUNTS.index("output_tokens")])
        for one in found
    ]


def test_spend_is_kept_by_quarter_hour_and_summed_by_any_group(bench: Bench) -> None:
    for name, where in (("v", "site"), ("w", None)):
        bench.ledgers.append([workflow_started(name, issue_number=17, workflow_template="sdlc", project=where)])
    bench.observe(
        "0.45", "v", agent="plan", session_id="s", model="opus", usage={"output_tokens": 7}, observed_at=at(0)
    )
    bench.observe("0.05", "w", agent="plan", observed_at=at(1), source={"kind": "codex"})
    bench.observe("1.00", "w", agent="build", observed_at=at(15), source={"kind": "claude"})
    refresh(bench.ledgers, bench.history)
    assert sorted(sums(bench.history, "tool")) == [
        (0, "API", "0.45", 7),
        (0, "Claude Code, Codex", "0.05", 0),
        (1, "Claude Code, Codex", "1.00", 0),
    ]
    assert sums(bench.history) == [(0, "0.50", 7), (1, "1.00", 0)]
    assert sums(bench.history, "agent") == [(0, "plan", "0.50", 7), (1, "build", "1.00", 0)]
    assert sorted(sums(bench.history, "project", "model"), key=str) == [
        (0, "site", "opus", "0.45", 7),
        (0, None, None, "0.05", 0),
        (1, None, None, "1.00", 0),
    ]
    assert sorted(sums(bench.history, "adw_id", "session_id")) == [
        (0, "v", "s", "0.45", 7),
        (0, "w", None, "0.05", 0),
        (1, "w", None, "1.00", 0),
    ]
    assert sums(bench.history, "workflow_template", "issue_number") == [
        (0, "sdlc", 17, "0.50", 7),
        (1, "sdlc", 17, "1.00", 0),
    ]
    merged = {one.group: one.amounts[0] for one in bench.history.spent(["agent"], starts=())}
    assert merged == {("plan",): 500_000_000, ("build",): 1_000_000_000}
    of_one = bench.history.spent(["model"], starts=(), where=[("adw_id", ("v",)), ("issue_number", (17, None))])
    assert [(one.group, one.amounts[0]) for one in of_one] == [(("opus",), 450_000_000)]
    assert list(bench.history.spent(starts=(), where=[("project", ())])) == []
    both = Derived(("adw_id", "issue_number"), lambda values: f"{values[0]} of {values[1]}")
    is_plan = Derived(("agent",), lambda values: values[0] == "plan")
    of_plan = bench.history.spent([both, "model"], starts=(), where=[(is_plan, (True,)), ("issue_number", (17,))])
    assert sorted((*one.group, one.amounts[0]) for one in of_plan) == [
        ("v of 17", "opus", 450_000_000),
        ("w of 17", None, 50_000_000),
    ]
    assert sorted(bench.history.row_values("project"), key=str) == [None, "site"]
    begin = quarter_of(at(0))
    assert bench.history.spent_between() == (begin, begin + 1)
    by_period = bench.history.spent(["adw_id"], starts=[begin - 4, begin + 1])
    assert sorted((one.quarter - begin, *one.group, one.amounts[0]) for one in by_period) == [
        (0, "v", 450_000_000),
        (0, "w", 50_000_000),
        (1, "w", 1_000_000_000),
    ]
    assert [one.amounts[0] for one in bench.history.spent(starts=())] == [1_500_000_000]
    assert list(bench.history.spent(first=0, last=1, starts=())) == []
    later = quarter_of(at(15))
    assert sums(bench.history, first=later) == [(1, "1.00", 0)]
    assert sums(bench.history, last=later - 1) == [(0, "0.50", 7)]
    assert sums(bench.history, first=later, last=later - 1) == []


def test_a_refresh_replaces_what_a_workflow_spent_and_leaves_the_others(bench: Bench) -> None:
    for name in ("v", "w"):
        bench.observe("0.45", name, model="opus", observed_at=at(0))
    refresh(bench.ledgers, bench.history)
    bench.observe("0.60", model="opus", observed_at=at(5))
    bench.observe("0.70", model="haiku", observed_at=at(40))
    refresh(bench.ledgers, bench.history)
    assert [(one.model, one.cost_nanousd) for one in bench.history.spend("w")] == [
        ("opus", 600_000_000),
        ("haiku", 700_000_000),
    ]
    assert [one.cost_nanousd for one in bench.history.spend("v")] == [450_000_000]
    bench.ledgers.append(
        [cost_observed("w", cost_usd=0, final=True, observed_at=at(41)), workflow_ended("w", "failed")]
    )
    refresh(bench.ledgers, bench.history)
    assert sum(one.cost_nanousd for one in bench.history.spend("w")) == 0
    assert bench.history.spend("w") == project(bench.ledgers, "w").spend


def test_what_a_row_is_held_at_is_not_spent(bench: Bench) -> None:
    bench.observe("0.45", observed_at=at(0))
    refresh(bench.ledgers, bench.history)
    bench.edit("w", 5.0)
    refresh(bench.ledgers, bench.history)
    assert bench.cost() == 5.0
    assert sums(bench.history) == [(0, "0.45", 0)]


@pytest.mark.parametrize("way", ["removed", "rebuilt without its ledger"])
def test_a_row_that_goes_takes_its_spend_along(bench: Bench, way: str) -> None:
    bench.observe("0.45")
    refresh(bench.ledgers, bench.history)
    if way == "removed":
        bench.history.remove(["w"], reason="no ledger")
    else:
        bench.history.forget("w")
        rebuild(MemoryStore(), bench.history)
    assert bench.history.spend("w") == ()
    assert sums(bench.history) == []


def test_a_rebuild_stores_the_same_spend(bench: Bench) -> None:
    for name in ("v", "w"):
        bench.observe("0.45", name, model="opus", observed_at=at(0))
        bench.observe("0.60", name, model="haiku", observed_at=at(20))
    refresh(bench.ledgers, bench.history)
    before = sums(bench.history, "adw_id", "model")
    rebuild(bench.ledgers, bench.history)
    assert sums(bench.history, "adw_id", "model") == before


def test_the_audit_log_is_read_on_from_an_entry(bench: Bench) -> None:
    for cost in ("1", "2", "3"):
        bench.observe(cost)
        refresh(bench.ledgers, bench.history)
    every = bench.history.audit()
    assert [entry.new_cost for entry in every] == [1.0, 2.0, 3.0]
    assert bench.history.audit(after=every[0].id) == every[1:]
    assert bench.history.audit(after=every[0].id, limit=1) == every[1:2]
    assert bench.history.audit("w", after=every[1].id) == every[2:]
    assert bench.history.audit("v", after=0) == bench.history.audit(after=every[2].id) == []


def test_rows_that_may_need_attention_are_found_without_the_others(bench: Bench) -> None:
    late, used = "2999-01-01T00:00:00.000000Z", {"input_tokens": 200_000}
    bench.observe("2.37", "right", usage=used)
    bench.observe("0.09", "cheap", usage=used)
    bench.observe("0.50", "killed", partial=True)
    bench.observe(None, "unpriced", usage={"input_tokens": 5})
    bench.observe("1.00", "twice", session_id="s")
    bench.observe("1.00", "twice", model="m")
    bench.ledgers.append([workflow_started("cheap", budget_usd="5.00")])
    for name in ("right", "cheap", "killed", "unpriced", "twice"):
        bench.ledgers.append([workflow_ended(name, "completed")])
    bench.observe("0.50", "runs", partial=True)
    refresh(bench.ledgers, bench.history)
    for idle_before in ("2000-01-01T00:00:00.000000Z", late):
        found = bench.history.suspect_rows(99, idle_before=idle_before)
        assert [row.adw_id for row in found] == [
            *(["runs"] if idle_before == late else []),
            *("twice", "unpriced", "cheap"),
        ]
        assert found == [bench.history.row(row.adw_id) for row in found]
        assert bench.history.suspect_rows(2, idle_before=idle_before) == found[:2]
        assert bench.history.suspect_rows(2, idle_before=idle_before, offset=1) == found[1:3]
    every = bench.history.rows()
    assert {row.status for row in every} == {"running", "completed"}
    for status in ("running", "completed", "failed"):
        assert bench.history.rows(status) == [row for row in every if row.status == status]
    moments = sorted(row.last_activity or "" for row in every)
    for since in (moments[0], moments[-1], late):
        assert bench.history.rows(since=since) == [row for row in every if (row.last_activity or "") >= since]
    assert bench.history.rows("completed", cost_from=0) == bench.history.rows("completed")
    some = bench.history.rows("completed", cost_from=600_000_000)
    assert [row.adw_id for row in some] == ["cheap", "right", "twice"]


def test_rows_recorded_after_a_moment_are_found_without_the_others(bench: Bench) -> None:
    for name in ("a", "b", "c"):
        bench.observe("1", name)
    refresh(bench.ledgers, bench.history)
    newest = sorted(bench.history.rows(), key=lambda row: row.updated_at, reverse=True)
    assert [row.adw_id for row in newest] == ["c", "b", "a"]
    assert bench.history.recorded_after("2000-01-01T00:00:00.000000Z", 9) == newest
    assert bench.history.recorded_after("2000-01-01T00:00:00.000000Z", 2) == newest[:2]
    assert bench.history.recorded_after(newest[1].updated_at, 9) == newest[:1]
