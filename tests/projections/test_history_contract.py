"""What every `HistoryStore` promises, run over each adapter, with the rule that decides which cost a row shows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from ledger.errors import DamagedLedger
from ledger.events import cost_observed, workflow_ended, workflow_started
from ledger.store import MemoryStore
from projections.replay import refresh, resync
from projections.store import HELD_REASON, HistoryStore
from projections.stores.memory import MemoryHistory
from projections.stores.postgres_adopted import open_postgres
from projections.stores.sqlite import SqliteHistory
from projections.verify import Proof, verify
from tests.conftest import SteppingClock


class Bench:
    """A history under test, and a person's hand that edits it."""

    def __init__(self, history: HistoryStore, edit: Callable[[str, float], None]) -> None:
        self.history, self.edit = history, edit
        self.ledgers = MemoryStore(clock=SteppingClock())

    def observe(self, cost: str, workflow_id: str = "w", **fields: object) -> None:
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
        yield Bench(memory, memory.edit)
        return
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        with open_postgres(url, clock=SteppingClock()) as postgres:
            yield Bench(postgres, Hand(url).edit)
        return
    path = tmp_path / "history.db"

    def edit(adw_id: str, cost: float) -> None:
        with sqlite3.connect(path) as db:
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
    assert bench.audit() == [(None, 0.09, "refresh")]
    assert [change.new_nanousd for change in report.changes] == [90_000_000]


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
    from projections.replay import project

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
        ("w", "DamagedLedger"),
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
