"""Another application's table: its rows and columns stay its own; as a copy of our rows its costs become right."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import HistoryUnavailable, SourceUnreadable
from ledger.events.event import cost_observed, workflow_ended
from ledger.importing.importer import import_source
from ledger.storage.memory_store import MemoryStore
from projections.applications.opening import application_at
from projections.applications.postgres import PostgresDatabase
from projections.applications.sqlite import SqliteDatabase
from projections.applications.suspects import suspects_of_copies
from projections.applications.table import ApplicationTable, Writes
from projections.history.memory import MemoryHistory
from projections.history.postgres.history import open_postgres
from projections.history.sqlite.history import SqliteHistory
from projections.history.store import FOLD_VERSION
from projections.projector.run import project_on
from projections.replay.rebuild import rebuild
from projections.replay.refresh import project, refresh, resync
from projections.replay.verify import Proof, verify
from tests.applications import (
    POSTGRES_KINDS,
    Application,
    PostgresApplication,
    SqliteApplication,
    restored,
    row_of,
)
from tests.conftest import SteppingClock
from tests.projections.projector.test_projector import Hosts

_TOTAL = 2_374_561_000


class Copied:
    """Ledgers, our history, and an application's table that is a copy of it."""

    def __init__(self, application: Application, folder: Path) -> None:
        self.application, self.folder = application, folder
        self.clock = SteppingClock(datetime(2026, 11, 23, 18, tzinfo=UTC))
        self.store, self.history = MemoryStore(clock=self.clock), MemoryHistory(clock=self.clock)
        for agent, cost in (("plan", "0.094561"), ("build", "2.28")):
            use = {"input_tokens": 10, "output_tokens": 5}
            self.store.append([cost_observed("a5b80595", agent=agent, cost_usd=cost, model="m", usage=use)])
        self.store.append([workflow_ended("a5b80595", "completed")])
        self.store.append([cost_observed("unknown-to-the-app", cost_usd="1.00")])
        self.store.append([cost_observed("going", cost_usd="2.50")])
        self.database: SqliteDatabase | PostgresDatabase
        if isinstance(application, SqliteApplication):
            self.database = SqliteDatabase(application.path)
        else:
            self.database = PostgresDatabase(application.spelling)
        self.table = self.of_version(FOLD_VERSION)

    def of_version(self, fold_version: int) -> ApplicationTable:
        """The table as a version of costledger opens it."""
        return ApplicationTable(
            self.database, backups=self.folder / "backups", clock=self.clock, fold_version=fold_version
        )

    def write(self, *, pure: bool = False, reason: str = "refresh", **options: bool) -> Writes:
        refresh(self.store, self.history, pure=pure)
        return self.table.write(self.history.rows(), pure=pure, reason=reason, **options)

    def row(self, adw_id: str) -> dict[str, Any]:
        return row_of(self.application, adw_id)

    def cost(self, adw_id: str) -> float:
        return round(float(self.row(adw_id)["actual_cost_total"]), 4)

    def audit(self, adw_id: str) -> list[tuple[float | None, float, str]]:
        return [(entry.old_cost, entry.new_cost, entry.reason) for entry in self.table.audit(adw_id, limit=1000)]

    def doubts(self) -> list[str]:
        refresh(self.store, self.history)
        rows = self.history.rows()
        found = suspects_of_copies(rows, self.table.compare(rows), "app", now=self.clock())
        return [f"{doubt.adw_id}: {doubt.why}" for doubt in found]


@pytest.fixture(params=["sqlite", "sqlite in WAL mode", *POSTGRES_KINDS])
def copied(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Copied]:
    application: Application
    if request.param in POSTGRES_KINDS:
        application = PostgresApplication(request.getfixturevalue("postgres_url"), POSTGRES_KINDS[request.param])
    else:
        mode = "wal" if "WAL" in request.param else "delete"
        application = SqliteApplication(tmp_path / "workflow_history.db", journal_mode=mode)
    made = Copied(application, tmp_path / "data")
    yield made
    made.table.close()
    application.close()


def test_a_row_stuck_at_nine_cents_becomes_right_beside_the_application(copied: Copied) -> None:
    before = copied.row("a5b80595")
    done = copied.write(reason="resync")
    assert [(c.adw_id, c.old_nanousd, c.new_nanousd) for c in done.changes] == [("a5b80595", 90_000_000, _TOTAL)]
    assert done.changes == [change for change in done.repairs if change.adw_id == "a5b80595"]
    assert copied.audit("a5b80595") == [(0.09, 2.374561, "resync")]
    after = copied.row("a5b80595")
    assert float(after["actual_cost_total"]) == pytest.approx(2.374561, abs=0.005)
    assert after["total_tokens"] == 30
    ours = {"actual_cost_total", "cost_breakdown", "total_tokens", "input_tokens", "output_tokens", "cache_miss_tokens"}
    for name, value in before.items():
        assert name in ours or after[name] == value, name
    assert after.keys() == before.keys(), "only columns that its table has are written"
    names = [row["adw_id"] for row in copied.application.execute("SELECT adw_id FROM workflow_history ORDER BY 1")]
    assert names == ["a5b80595", "going", "not-ours", "waiting"]


def test_once_more_writes_nothing_also_where_its_column_rounds(copied: Copied) -> None:
    copied.write()
    before = copied.application.digest()
    assert copied.write() == Writes()
    assert copied.application.digest() == before
    assert [name for name, found in copied.table.compare(copied.history.rows()).items() if found.wrong] == []


def test_comparing_says_both_figures_and_changes_no_byte(copied: Copied) -> None:
    refresh(copied.store, copied.history)
    before = copied.application.digest()
    compared = copied.table.compare(copied.history.rows())
    assert str(compared["a5b80595"]) == "stored $0.09, ledger $2.374561"
    assert str(compared["going"]) == "stored $5.00 (held), ledger $2.50"
    assert compared.keys() == {"a5b80595", "going"}
    preview = copied.table.write(copied.history.rows(), pure=False, reason="resync", preview=True)
    assert [(c.adw_id, c.old_nanousd, c.new_nanousd) for c in preview.changes] == [("a5b80595", 90_000_000, _TOTAL)]
    found = list(verify(copied.store, copied.history, Proof(), application=copied.table))
    assert [one.workflow_id for one in found] == ["a5b80595", "going"]
    assert "stored $0.09, ledger $2.374561" in found[0].problem
    assert copied.audit("a5b80595") == []
    assert copied.application.digest() == before
    assert copied.application.tables() <= {"workflow_history", "sqlite_sequence"}


def test_ours_in_the_breakdown_is_one_key(copied: Copied) -> None:
    copied.write()
    breakdown = copied.row("a5b80595")["cost_breakdown"]
    parsed = json.loads(breakdown) if isinstance(breakdown, str) else breakdown
    assert parsed["by_phase"] == {"plan": 0.09}
    assert parsed["costledger"]["by_agent"] == {"build": "2.28", "plan": "0.094561"}
    if isinstance(breakdown, str):
        assert breakdown.startswith('{"by_phase": {"plan": 0.0900}'), "what is the application's keeps its bytes"


def test_a_running_row_keeps_a_larger_figure_until_it_ends(copied: Copied) -> None:
    copied.write()
    assert copied.cost("going") == 5.0
    assert [(old, new) for old, new, _ in copied.audit("going")] == [(2.5, 5.0)], "said once"
    found = copied.row("going")["cost_breakdown"]
    parsed = json.loads(found) if isinstance(found, str) else found
    assert parsed["costledger"]["by_agent"] == {"(held)": "2.50", "(unattributed)": "2.50"}
    assert "going: held: stored $5.00 (held), ledger $2.50 in app" in copied.doubts()
    copied.write()
    assert len(copied.audit("going")) == 1
    copied.store.append([workflow_ended("going", "completed")])
    copied.write()
    assert copied.cost("going") == 2.5
    assert copied.row("going")["status"] == "running", "the application says it itself"
    assert copied.audit("going")[-1] == (5.0, 2.5, "refresh")


@pytest.mark.parametrize("mend", [rebuild, resync])
def test_a_rebuild_and_a_forced_resync_write_pure_replay_and_remove_nothing(copied: Copied, mend: Any) -> None:
    for _ in range(2):
        mend(copied.store, copied.history, **({"force": True} if mend is resync else {}))
        copied.table.write(copied.history.rows(), pure=True, reason="rebuild", after_upgrade=True)
        assert list(verify(copied.store, copied.history, Proof(), application=copied.table)) == []
        assert (copied.cost("going"), copied.row("a5b80595")["total_tokens"]) == (2.5, 30)
        copied.application.execute("UPDATE workflow_history SET total_tokens = NULL, actual_cost_total = NULL")
    assert len(copied.application.execute("SELECT adw_id FROM workflow_history")) == 4


def test_an_application_that_resets_the_figure_is_named_and_the_audit_stays_small(copied: Copied) -> None:
    copied.write()
    for _ in range(20):
        copied.application.execute("UPDATE workflow_history SET actual_cost_total = 0.09 WHERE adw_id = 'a5b80595'")
        copied.write()
        assert copied.cost("a5b80595") == pytest.approx(2.374561, abs=0.005)
    assert len(copied.audit("a5b80595")) == 1, "one entry per pair of values and hour"
    (said,) = [one for one in copied.doubts() if "a5b80595" in one]
    assert "another writer of app keeps overwriting it: 20 times, last with $0.09 at 2026-11-23T18:" in said
    copied.clock.moment += timedelta(hours=1)
    assert not any("a5b80595" in one for one in copied.doubts()), "it has stopped"
    copied.application.execute("UPDATE workflow_history SET actual_cost_total = 0.09 WHERE adw_id = 'a5b80595'")
    copied.write()
    assert len(copied.audit("a5b80595")) == 2


def test_a_ledger_that_goes_on_is_no_other_writer(copied: Copied) -> None:
    for total in range(1, 6):
        copied.store.append([cost_observed("going", agent="build", cost_usd=f"{total}0.123456")])
        copied.write()
    assert [one for one in copied.doubts() if "writer" in one] == []
    assert len(copied.audit("going")) == 5


def test_values_of_an_older_meaning_wait_for_a_resync(copied: Copied) -> None:
    copied.write()
    copied.store.append([cost_observed("a5b80595", agent="late", cost_usd="1.00", final=True)])
    copied.table = copied.of_version(FOLD_VERSION + 1)
    assert copied.write().waiting == ["a5b80595"]
    assert copied.cost("a5b80595") == pytest.approx(2.374561, abs=0.005)
    assert "this version reads its ledger in another way" in "".join(copied.doubts())
    copied.application.execute("UPDATE workflow_history SET actual_cost_total = 9 WHERE adw_id = 'a5b80595'")
    assert copied.write().waiting == ["a5b80595"]
    done = copied.write(reason="resync", after_upgrade=True)
    assert (done.waiting, [change.adw_id for change in done.changes]) == ([], ["a5b80595"])
    assert copied.cost("a5b80595") == pytest.approx(3.374561, abs=0.005)


def test_an_upgrade_that_changes_no_value_of_a_row_lets_it_be_written(copied: Copied) -> None:
    copied.write()
    copied.table = copied.of_version(FOLD_VERSION + 1)
    copied.application.execute("UPDATE workflow_history SET actual_cost_total = 0.09 WHERE adw_id = 'a5b80595'")
    done = copied.write()
    assert (done.waiting, done.rows) == ([], ["a5b80595"]), "another writer changed it, not the upgrade"
    copied.store.append([cost_observed("going", agent="build", cost_usd="7.00")])
    done = copied.write()
    assert (done.waiting, copied.cost("going")) == ([], 7.0)


def test_columns_that_an_earlier_version_added_are_kept_right(copied: Copied) -> None:
    copied.application.execute("CREATE TABLE costledger_column (name VARCHAR(40) PRIMARY KEY)")
    copied.application.execute("CREATE TABLE costledger_meta (key VARCHAR(40) PRIMARY KEY, value BIGINT)")
    for name, kind in (("project", "TEXT"), ("ledger_seq", "BIGINT"), ("token_breakdown", "TEXT")):
        copied.application.execute(f"ALTER TABLE workflow_history ADD COLUMN {name} {kind}")
        copied.application.execute("INSERT INTO costledger_column (name) VALUES (?)", name)
    with closing(application_at(copied.application.spelling, copied.folder)) as opened:
        assert opened.application is not None
    copied.write()
    found = copied.row("a5b80595")
    assert (found["project"], found["ledger_seq"]) == (None, 4)
    assert json.loads(found["token_breakdown"])["by_agent"]["plan"] == {"input_tokens": 10, "output_tokens": 5}


@pytest.mark.parametrize("added", [True, False], ids=["added by an earlier version", "its own"])
def test_a_last_activity_is_written_only_where_we_added_it(copied: Copied, *, added: bool) -> None:
    copied.application.execute("ALTER TABLE workflow_history ADD COLUMN last_activity VARCHAR(40)")
    if added:
        copied.application.execute("CREATE TABLE costledger_column (name VARCHAR(40) PRIMARY KEY)")
        copied.application.execute("INSERT INTO costledger_column (name) VALUES ('last_activity')")
    copied.write()
    ours = copied.history.row("a5b80595")
    assert ours is not None
    assert ours.last_activity is not None
    assert copied.row("a5b80595")["last_activity"] == (ours.last_activity if added else None)


@pytest.mark.parametrize("behind", ["for a moment", "for good"])
def test_a_copy_that_follows_its_history_within_a_second_is_no_finding(copied: Copied, behind: str) -> None:
    copied.write(pure=True)
    copied.store.append([cost_observed("going", agent="build", cost_usd="7.00")])
    refresh(copied.store, copied.history)
    server = threading.Timer(0.3, copied.write, kwargs={"pure": True})
    with closing(application_at(copied.application.spelling, copied.folder)) as opened:
        assert opened.application is not None
        if behind == "for a moment":
            server.start()
        proof = Proof()
        found = [one.workflow_id for one in verify(copied.store, copied.history, proof, application=opened.application)]
    if behind == "for a moment":
        server.join()
    assert (found, proof.findings) == (([], 0) if behind == "for a moment" else (["going"], 1))


def test_the_first_write_backs_up_and_the_backup_undoes_it(copied: Copied) -> None:
    before = copied.application.execute("SELECT * FROM workflow_history ORDER BY id")
    backup = copied.write().backup
    assert backup is not None
    assert copied.write(pure=True).backup is None
    assert copied.application.execute("SELECT * FROM workflow_history ORDER BY id") != before
    if isinstance(copied.application, SqliteApplication):
        restored(backup, copied.application.path)
    else:
        copied.application.execute(backup.read_text(encoding="utf-8"))
    assert copied.application.execute("SELECT * FROM workflow_history ORDER BY id") == before
    assert "costledger_written" not in copied.application.tables()


def test_its_own_audit_log_is_used(copied: Copied) -> None:
    copied.application.execute(
        "CREATE TABLE cost_audit_log (id INTEGER PRIMARY KEY, adw_id TEXT, old_cost REAL, new_cost REAL, reason TEXT, "
        "timestamp TEXT)"
        if isinstance(copied.application, SqliteApplication)
        else "CREATE TABLE cost_audit_log (id serial PRIMARY KEY, adw_id text, old_cost numeric, new_cost numeric, "
        "reason text, timestamp timestamptz)"
    )
    copied.write(reason="resync")
    copied.application.execute("UPDATE workflow_history SET actual_cost_total = 0.09 WHERE adw_id = 'a5b80595'")
    copied.write(reason="resync")
    assert copied.audit("a5b80595") == [(0.09, 2.374561, "resync")]


def test_a_write_that_fails_leaves_nothing_behind(copied: Copied) -> None:
    copied.application.execute("CREATE VIEW cost_audit_log AS SELECT 'x' AS adw_id")
    before = copied.row("a5b80595")
    with pytest.raises(HistoryUnavailable):
        copied.write()
    assert copied.row("a5b80595") == before
    assert "costledger_written" not in copied.application.tables()
    assert not list((copied.folder / "backups").glob("*")), "a server tries again every second"


# SQLite alone


@pytest.fixture
def story(tmp_path: Path) -> Iterator[SqliteApplication]:
    made = SqliteApplication(tmp_path / "workflow_history.db")
    yield made
    made.close()


def test_its_status_and_times_become_events_and_its_costs_do_not(story: SqliteApplication) -> None:
    story.execute(
        "UPDATE workflow_history SET workflow_template = 'adw_sdlc', end_time = '2025-11-20 10:00:00' WHERE id = 1"
    )
    story.execute("UPDATE workflow_history SET error_message = 'it broke' WHERE adw_id = 'not-ours'")
    store = MemoryStore(clock=SteppingClock())
    store.append([cost_observed("a5b80595", cost_usd="2.37")])
    report = import_source(store, "history-db", story.path)
    assert report.problems == []
    assert import_source(store, "history-db", story.path).appended == 0
    row = project(store, "a5b80595").row
    assert (row.status, row.issue_number, row.workflow_template) == ("completed", 17, "adw_sdlc")
    assert (row.start_time, row.duration_seconds) == ("2025-11-20T09:00:00.000000Z", 3600)
    assert row.actual_cost_total == 2.37
    broken = project(store, "not-ours").row
    assert (broken.status, broken.error_message, broken.cost_basis) == ("failed", "it broke", None)
    assert project(store, "waiting").row.status == "running"


def test_a_row_without_a_reading_is_left_as_it_is(story: SqliteApplication, tmp_path: Path) -> None:
    copied = Copied(story, tmp_path / "data")
    import_source(copied.store, "history-db", story.path)
    before = [row_of(story, name) for name in ("waiting", "not-ours")]
    copied.write(pure=True)
    assert [row_of(story, name) for name in ("waiting", "not-ours")] == before


def test_what_was_spent_is_grouped_by_what_its_rows_say(story: SqliteApplication, tmp_path: Path) -> None:
    copied = Copied(story, tmp_path / "data")
    import_source(copied.store, "history-db", story.path)
    copied.write()
    found = {one.group: one.amounts[0] for one in copied.history.spent(["issue_number", "agent"], starts=())}
    assert (found[(17, "plan")], found[(17, "build")]) == (94_561_000, 2_280_000_000)


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_reading_leaves_no_file_and_no_byte_also_of_a_closed_database(tmp_path: Path, mode: str) -> None:
    (tmp_path / "db").mkdir()
    story = SqliteApplication(tmp_path / "db" / "app.db", journal_mode=mode)
    copied = Copied(story, tmp_path / "data")
    refresh(copied.store, copied.history)
    story.close()
    before, names = story.digest(), sorted(path.name for path in story.path.parent.iterdir())
    assert copied.table.compare(copied.history.rows())["a5b80595"].stored_nanousd == 90_000_000
    assert (story.digest(), sorted(path.name for path in story.path.parent.iterdir())) == (before, names)


def test_what_a_killed_application_left_in_its_journal_is_read(tmp_path: Path) -> None:
    story = SqliteApplication(tmp_path / "app.db", journal_mode="wal")
    (tmp_path / "copy").mkdir()
    story.execute("UPDATE workflow_history SET actual_cost_total = 0.5 WHERE adw_id = 'a5b80595'")
    for name in ("app.db", "app.db-wal"):
        (tmp_path / "copy" / name).write_bytes((tmp_path / name).read_bytes())
    story.close()
    opened = application_at(f"sqlite:{tmp_path / 'copy' / 'app.db'}", tmp_path / "data").application
    assert opened is not None
    store = MemoryStore()
    store.append([cost_observed("a5b80595", cost_usd="2.37")])
    assert opened.compare([project(store, "a5b80595").row])["a5b80595"].stored_nanousd == 500_000_000
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["app.db", "app.db-wal"]


def test_a_backup_is_kept_only_of_a_write_that_was_made(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db:
        limited = "actual_cost_total REAL CHECK (actual_cost_total < 1)"
        db.execute(f"CREATE TABLE workflow_history (adw_id TEXT UNIQUE, {limited})")
        db.execute("INSERT INTO workflow_history VALUES ('a5b80595', 0.09)")
        db.commit()
    table = ApplicationTable(SqliteDatabase(path), backups=tmp_path / "backups")
    store = MemoryStore()
    store.append([cost_observed("a5b80595", cost_usd="2.37")])
    for _ in range(2):
        with pytest.raises(HistoryUnavailable, match="nothing was written"):
            table.write([project(store, "a5b80595").row], pure=False, reason="resync")
    assert not list((tmp_path / "backups").glob("*"))


def test_a_link_to_a_database_in_use_is_read_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    story = SqliteApplication(tmp_path / "real" / "app.db", journal_mode="wal")
    (tmp_path / "app.db").symlink_to(tmp_path / "real" / "app.db")
    story.execute("UPDATE workflow_history SET actual_cost_total = 0.5 WHERE adw_id = 'a5b80595'")
    opened = application_at(f"sqlite:{tmp_path / 'app.db'}", tmp_path / "data").application
    assert opened is not None
    store = MemoryStore()
    store.append([cost_observed("a5b80595", cost_usd="2.37")])
    assert opened.compare([project(store, "a5b80595").row])["a5b80595"].stored_nanousd == 500_000_000
    story.close()


def test_text_that_is_no_utf_8_hides_no_row_and_is_left_alone(story: SqliteApplication, tmp_path: Path) -> None:
    story.execute("UPDATE workflow_history SET cost_breakdown = CAST(x'7bff7d' AS TEXT) WHERE adw_id = 'a5b80595'")
    copied = Copied(story, tmp_path / "data")
    copied.write(reason="resync")
    shown = "SELECT round(actual_cost_total, 4) AS cost, hex(cost_breakdown) AS bytes FROM workflow_history"
    assert story.execute(f"{shown} WHERE adw_id = 'a5b80595'") == [{"cost": 2.3746, "bytes": "7BFF7D"}]


def test_the_journal_mode_stays(story: SqliteApplication, tmp_path: Path) -> None:
    Copied(story, tmp_path / "data").write()
    assert story.execute("PRAGMA journal_mode") == [{"journal_mode": "delete"}]


def test_our_own_history_refuses_it_and_names_the_way(story: SqliteApplication) -> None:
    with pytest.raises(HistoryUnavailable, match="--history sqlite:"):
        SqliteHistory(story.path)


def test_one_that_an_earlier_version_adopted_is_still_anothers(story: SqliteApplication, tmp_path: Path) -> None:
    story.execute("CREATE TABLE costledger_column (name TEXT PRIMARY KEY)")
    story.execute("CREATE TABLE costledger_meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL)")
    story.execute("INSERT INTO costledger_meta (key, value) VALUES ('schema_version', 1), ('fold_version', 1)")
    before = story.digest()
    with pytest.raises(HistoryUnavailable, match="--history sqlite:"):
        SqliteHistory(story.path)
    story.execute("DROP TABLE costledger_column")
    assert application_at(story.spelling, tmp_path).application is not None
    assert before != story.digest()
    assert len(story.execute("SELECT adw_id FROM workflow_history")) == 4


def test_our_own_history_named_as_an_applications_is_our_own(tmp_path: Path) -> None:
    SqliteHistory(tmp_path / "history.db").close()
    opened = application_at(f"sqlite:{tmp_path / 'history.db'}", tmp_path / "data")
    assert (opened.application, opened.history) == (None, tmp_path / "history.db")


@pytest.mark.parametrize("cost", ["total_cost REAL", "Actual_Cost_Total REAL"])
def test_a_table_without_a_cost_to_repair_is_refused(tmp_path: Path, cost: str) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.execute(f"CREATE TABLE workflow_history (adw_id TEXT UNIQUE, {cost}, total_tokens INTEGER)")
    with pytest.raises(HistoryUnavailable, match="has no column actual_cost_total"):
        application_at(f"sqlite:{tmp_path / 'app.db'}", tmp_path)


def test_values_that_are_no_costs_and_ids_that_are_no_text_stop_nothing(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as db, db:
        columns = "adw_id PRIMARY KEY, actual_cost_total REAL, total_tokens"
        db.execute(f"CREATE TABLE workflow_history ({columns}) WITHOUT ROWID")
        rows = [("a", "abc", "many"), ("b", b"\x00", b"\xff"), ("c", -1, None), (17, 9e999, 1), (b"\x00", None, None)]
        db.executemany("INSERT INTO workflow_history VALUES (?, ?, ?)", rows)
    store, history = MemoryStore(), MemoryHistory()
    for name in ("a", "b", "c", "17"):
        store.append([cost_observed(name, cost_usd="2.37")])
    refresh(store, history)
    opened = application_at(f"sqlite:{tmp_path / 'app.db'}", tmp_path / "data").application
    assert opened is not None
    assert len(opened.write(history.rows(), pure=False, reason="resync").changes) >= 3
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        found = db.execute("SELECT adw_id, actual_cost_total, total_tokens FROM workflow_history ORDER BY 1").fetchall()
    assert found[1:] == [("a", 2.37, 0), ("b", 2.37, 0), ("c", 2.37, 0), (b"\x00", None, None)]


def test_what_is_no_such_table_is_refused(tmp_path: Path) -> None:
    partial = "CREATE UNIQUE INDEX some ON workflow_history (adw_id) WHERE status = 'completed'"
    table = "CREATE TABLE workflow_history (adw_id TEXT, status TEXT)"
    for number, script in enumerate(("CREATE TABLE x (y)", table, f"{table}; {partial}")):
        path = tmp_path / f"{number}.db"
        db = sqlite3.connect(path)
        db.executescript(script)
        db.close()
        with pytest.raises(HistoryUnavailable, match="adw_id is unique"):
            application_at(f"sqlite:{path}", tmp_path)
    with pytest.raises(HistoryUnavailable, match="no such database"):
        application_at(f"sqlite:{tmp_path / 'gone.db'}", tmp_path)
    assert not (tmp_path / "gone.db").exists()
    with pytest.raises(SourceUnreadable, match="no such database"):
        import_source(MemoryStore(), "history-db", tmp_path / "gone.db")
    (tmp_path / "text.db").write_text("hello, this is no database")
    with pytest.raises(SourceUnreadable, match="cannot be read as a SQLite database"):
        import_source(MemoryStore(), "history-db", tmp_path / "text.db")
    with pytest.raises(HistoryUnavailable, match="not a database"):
        application_at(f"sqlite:{tmp_path / 'text.db'}", tmp_path)


# PostgreSQL alone


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("CREATE TABLE workflow_history (adw_id text, status text)", "adw_id is unique"),
        ("CREATE TABLE workflow_history (adw_id text UNIQUE, actual_cost_total text)", "is text, not a number"),
        ("CREATE TABLE workflow_history (adw_id text UNIQUE, total_cost real)", "no column actual_cost_total"),
    ],
)
def test_what_is_no_such_table_in_postgresql_is_refused_and_left_as_it_is(
    postgres_url: str, tmp_path: Path, table: str, problem: str
) -> None:
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute(table)
        with pytest.raises(HistoryUnavailable, match=problem):
            application_at(postgres_url, tmp_path)
        query = "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
        assert db.execute(query).fetchone() == (1,)


def test_generated_columns_and_padded_ids_in_postgresql_are_no_obstacle(postgres_url: str, tmp_path: Path) -> None:
    import psycopg

    store, history = MemoryStore(), MemoryHistory()
    store.append([cost_observed("a5b80595", cost_usd="2.37", usage={"input_tokens": 10, "output_tokens": 5})])
    refresh(store, history)
    total = "total_tokens integer GENERATED ALWAYS AS (input_tokens + output_tokens) STORED"
    columns = "adw_id character(12) UNIQUE, actual_cost_total real, input_tokens integer, output_tokens integer"
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute(f"CREATE TABLE workflow_history ({columns}, {total})")
        db.execute("INSERT INTO workflow_history (adw_id, actual_cost_total) VALUES ('a5b80595', 0.09)")
        with closing(application_at(postgres_url, tmp_path)) as opened:
            assert opened.application is not None
            opened.application.write(history.rows(), pure=False, reason="resync")
            assert not any(found.differs for found in opened.application.compare(history.rows()).values())
        found = db.execute("SELECT adw_id, actual_cost_total, total_tokens FROM workflow_history").fetchall()
    assert found == [("a5b80595    ", 2.37, 15)]


def test_a_locked_table_in_postgresql_is_reported_and_only_its_writer_waits(postgres_url: str, tmp_path: Path) -> None:
    application = PostgresApplication(postgres_url, POSTGRES_KINDS["as it should be"])
    copied = Copied(application, tmp_path / "data")
    refresh(copied.store, copied.history)
    rows = copied.history.rows()
    application.execute("BEGIN")
    application.execute("SELECT 1 FROM workflow_history FOR UPDATE")
    writer = threading.Thread(target=copied.table.write, args=(rows,), kwargs={"pure": False, "reason": "refresh"})
    writer.start()
    while writer.is_alive() and not application.execute("SELECT 1 AS found FROM pg_locks WHERE NOT granted"):
        time.sleep(0.01)
    assert copied.table.compare(rows)["a5b80595"].stored_nanousd == 90_000_000
    assert writer.is_alive(), "a reader does not wait for the writer"
    application.execute("COMMIT")
    writer.join()
    assert copied.cost("a5b80595") == 2.3746
    application.execute("BEGIN")
    application.execute("LOCK TABLE workflow_history IN ACCESS EXCLUSIVE MODE")
    for reads in (lambda: copied.table.compare(rows), copied.table.state):
        with pytest.raises(HistoryUnavailable, match="another program keeps it locked"):
            reads()
    application.execute("ROLLBACK")
    copied.table.close()
    application.close()


def test_an_empty_schema_and_our_own_history_in_postgresql_are_our_own(postgres_url: str, tmp_path: Path) -> None:
    assert application_at(postgres_url, tmp_path).application is None
    open_postgres(postgres_url).close()
    opened = application_at(postgres_url, tmp_path)
    assert (opened.application, opened.history) == (None, postgres_url)


def test_projectors_and_our_own_history_refuse_an_applications_table(postgres_url: str) -> None:
    application = PostgresApplication(postgres_url, POSTGRES_KINDS["as it should be"])
    before = application.digest()
    with pytest.raises(HistoryUnavailable, match="is another application's and was left as it is"):
        open_postgres(postgres_url)
    hosts = Hosts(1)
    with pytest.raises(HistoryUnavailable, match="is another application's and was left as it is"):
        project_on(hosts.replica, postgres_url, once=True, wait_seconds=0)
    assert application.digest() == before
    application.close()
