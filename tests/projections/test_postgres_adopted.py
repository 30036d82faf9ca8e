"""Another application's table in PostgreSQL: its rows, its columns, its status stay its own; the costs become right."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from ledger.errors import HistoryUnavailable
from ledger.events import cost_observed, workflow_ended, workflow_started
from ledger.store import MemoryStore
from projections.agreement import disagreeing_rows
from projections.proof import Proof, verify
from projections.rebuild import rebuild
from projections.replay import refresh, resync
from projections.shared import project_on
from projections.stores.postgres_adopted import PostgresAdopted, open_postgres
from tests.conftest import SteppingClock
from tests.projections.test_projector import Hosts

TABLE = """CREATE TABLE workflow_history (
    id serial PRIMARY KEY, adw_id varchar(64) NOT NULL UNIQUE, issue_number integer, nl_input text,
    status text NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed')),
    start_time {moment}, end_time {moment}, model_used text, input_tokens integer DEFAULT 0,
    total_tokens integer DEFAULT 0, actual_cost_total {money} DEFAULT 0.0, cost_breakdown {json},
    created_at {moment} DEFAULT CURRENT_TIMESTAMP, extra text DEFAULT 'x')"""
ROWS = """INSERT INTO workflow_history (adw_id, issue_number, nl_input, status, actual_cost_total) VALUES
    ('a5b80595', 17, 'do it', 'completed', 0.09), ('waiting', 18, 'later', 'pending', NULL),
    ('going', 20, 'go', 'running', 5.0)"""
KINDS = {
    "as a Django model": {"moment": "timestamptz", "money": "numeric(10,2)", "json": "jsonb"},
    "as an old script": {"moment": "timestamp", "money": "real", "json": "text"},
    "as it should be": {"moment": "timestamptz", "money": "double precision", "json": "json"},
}


class App:
    """The application, which keeps its connection open all the time."""

    def __init__(self, url: str, kinds: dict[str, str]) -> None:
        self.url = url
        self.db = psycopg.connect(url, autocommit=True, row_factory=dict_row)
        self.db.execute(TABLE.format(**kinds))
        self.db.execute(ROWS)

    def row(self, adw_id: str) -> dict[str, Any]:
        found = self.db.execute("SELECT * FROM workflow_history WHERE adw_id = %s", (adw_id,)).fetchone()
        assert found is not None
        return found

    def names(self) -> list[str]:
        return [found["adw_id"] for found in self.db.execute("SELECT adw_id FROM workflow_history ORDER BY 1")]


@pytest.fixture(params=KINDS)
def app(request: pytest.FixtureRequest, postgres_url: str) -> Any:
    made = App(postgres_url, KINDS[request.param])
    yield made
    made.db.close()


@pytest.fixture
def store() -> MemoryStore:
    ledgers = MemoryStore(clock=SteppingClock())
    for agent, cost in (("plan", "0.094561"), ("build", "2.28")):
        use = {"input_tokens": 10, "output_tokens": 5}
        ledgers.append([cost_observed("a5b80595", agent=agent, cost_usd=cost, model="m", usage=use)])
    ledgers.append([cost_observed("unknown-to-the-app", cost_usd="1.00")])
    return ledgers


def test_a_row_stuck_at_nine_cents_becomes_right_beside_the_app(app: App, store: MemoryStore) -> None:
    before = app.row("a5b80595")
    with open_postgres(app.url) as history:
        assert isinstance(history, PostgresAdopted)
        report = refresh(store, history)
        assert [(c.adw_id, c.old_nanousd, c.new_nanousd) for c in report.changes if c.adw_id == "a5b80595"] == [
            ("a5b80595", 90_000_000, 2_374_561_000)
        ]
        assert [(entry.old_cost, entry.new_cost) for entry in history.audit("a5b80595")] == [(0.09, 2.374561)]
        assert list(verify(store, history, Proof(), unread_too=True)) == []
        assert refresh(store, history).folded == ["unknown-to-the-app"], "rounding by its column is no edit"
    after = app.row("a5b80595")
    assert float(after["actual_cost_total"]) == pytest.approx(2.374561, abs=0.005)
    assert (after["total_tokens"], after["actual_cost_nanousd"]) == (30, 2_374_561_000)
    ours = {"actual_cost_total", "cost_breakdown", "total_tokens", "input_tokens"}
    for name, value in before.items():
        assert name in ours or after[name] == value, name
    assert float(app.row("going")["actual_cost_total"]) == 5.0, "no reading says anything about it"
    assert app.names() == ["a5b80595", "going", "waiting"]


def test_a_running_row_keeps_a_larger_figure_until_it_ends(app: App, store: MemoryStore) -> None:
    store.append([cost_observed("going", cost_usd="2.50")])
    with open_postgres(app.url) as history:
        refresh(store, history)
        assert float(app.row("going")["actual_cost_total"]) == 5.0
        store.append([workflow_ended("going", "completed")])
        refresh(store, history)
    assert float(app.row("going")["actual_cost_total"]) == 2.5
    assert app.row("going")["status"] == "running", "the application says it itself"


@pytest.mark.parametrize("mend", [rebuild, resync])
def test_rebuild_and_resync_update_in_place_and_remove_nothing(app: App, store: MemoryStore, mend: Any) -> None:
    with open_postgres(app.url) as history:
        for _ in range(2):
            mend(store, history, **({"force": True} if mend is resync else {}))
            app.db.execute("UPDATE workflow_history SET total_tokens = 1 WHERE adw_id = 'a5b80595'")
        mend(store, history, **({"force": True} if mend is resync else {}))
        assert list(verify(store, history, Proof())) == []
        assert history.drop_old_versions() == []
    assert app.names() == ["a5b80595", "going", "waiting"]


def test_projectors_update_it_in_place_and_what_is_the_apps_is_no_finding(app: App) -> None:
    hosts = Hosts(2)
    for store, cost in zip(hosts.stores, ("0.094561", "2.28"), strict=True):
        use = {"input_tokens": 10, "output_tokens": 5}
        store.append([cost_observed("a5b80595", agent=store.origin, cost_usd=cost, model="m", usage=use)])
        store.append([cost_observed("unknown-to-the-app", cost_usd="1.00")])
    hosts.stores[0].append([workflow_started("going")])
    hosts.send_all()
    project_on(hosts.replica, app.url, once=True, wait_seconds=0)
    assert float(app.row("a5b80595")["actual_cost_total"]) == pytest.approx(2.374561, abs=0.005)
    assert app.names() == ["a5b80595", "going", "waiting"]
    with open_postgres(app.url) as history:
        assert list(disagreeing_rows(hosts.replica, history)) == []
        app.db.execute("UPDATE workflow_history SET total_tokens = 1 WHERE adw_id = 'a5b80595'")
        (finding,) = disagreeing_rows(hosts.replica, history)
        assert finding.problem == "total_tokens is 1, and replay says 30"
        assert "--rebuild" not in finding.next_step
        hosts.stores[1].append([cost_observed("a5b80595", agent="more", cost_usd="1.00")])
        hosts.send_all()
        project_on(hosts.replica, app.url, once=True, wait_seconds=0)
        assert list(disagreeing_rows(hosts.replica, history)) == [], "as the next step said"


def test_missing_rows_are_inserted_only_when_told(app: App, store: MemoryStore) -> None:
    with open_postgres(app.url, insert_missing=True) as history:
        refresh(store, history)
        assert list(verify(store, history, Proof(), unread_too=True)) == []
    assert app.row("unknown-to-the-app")["status"] == "running"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("CREATE TABLE workflow_history (adw_id text, status text)", "adw_id is unique"),
        ("CREATE TABLE workflow_history (adw_id text UNIQUE, actual_cost_total text)", "is text, not a number"),
    ],
)
def test_what_is_no_such_table_is_refused_and_left_as_it_is(postgres_url: str, table: str, problem: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute(table)
        with pytest.raises(HistoryUnavailable, match=problem):
            open_postgres(postgres_url)
        query = "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
        assert db.execute(query).fetchone() == (1,)
