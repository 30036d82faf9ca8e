"""An application's database on the command line: what reads leaves every byte, what writes says so."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.applications import POSTGRES_KINDS, PostgresApplication, SqliteApplication, row_of
from tests.ledger.logs import init, message, result, write
from tests.projections.cli.test_app import Run, run
from tests.waiting import until

__all__ = ["run"]

_READING = (
    "--no-import",
    "history --no-import",
    "show a5b80595",
    "show a5b80595 --as-of 2",
    "explain a5b80595",
    "stale",
    "daily --no-import",
    "weekly --no-import",
    "monthly --no-import",
    "session --no-import",
    "check a5b80595",
    "verify",
    "rebuild --check",
    "resync --dry-run",
    "resync --dry-run --force",
    "resync --dry-run a5b80595",
)


@pytest.fixture(params=["delete", "wal"])
def application(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[SqliteApplication]:
    """One next to the logs of two agents, of which the second came after the import."""
    made = SqliteApplication(tmp_path / "app.db", journal_mode=request.param)
    write(tmp_path / "agents/a5b80595/plan/raw_output.jsonl", init(), result(0.09, sonnet=0.09))
    assert run("import", "adw", "agents").code == 0
    assert run("import", "history-db", "app.db").code == 0
    write(
        tmp_path / "agents/a5b80595/build/raw_output.jsonl",
        init("s2", "p2"),
        result(2.28, "s2", uuid="r2", sonnet=2.28),
    )
    monkeypatch.setenv("COSTLEDGER_HISTORY", "sqlite:app.db")
    yield made
    made.close()


def ledgers(folder: Path) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((folder / "data/ledgers").iterdir())]


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("as_json", [False, True])
def test_commands_that_read_change_no_byte(
    run: Run, application: SqliteApplication, tmp_path: Path, as_json: bool, closed: bool
) -> None:
    if closed:
        application.close()
    before, appended = application.digest(), ledgers(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    for command in _READING:
        done = run(*command.split(), *(["--json"] if as_json else []))
        assert done.code in ((3,) if command in ("verify", "rebuild --check") else (0,)), (command, done.err)
        assert application.digest() == before, command
        assert ledgers(tmp_path) == appended, command
    for command in ("", "history", "daily", "session"):
        assert run(*command.split(), *(["--json"] if as_json else [])).code == 0
        assert application.digest() == before, f"{command} imports into our ledgers, and writes nothing there"
    assert ledgers(tmp_path) != appended
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_a_dry_run_says_what_a_resync_does(run: Run, application: SqliteApplication) -> None:
    said = run("resync", "--dry-run").out
    assert "a5b80595: $0.09 → $2.37\n" in said
    assert "the sources hold 2 new events; nothing was changed" in said
    preview = run("resync", "--dry-run", "--json").json
    assert preview["dry_run"]
    changes = [change for change in preview["changes"] if change["adw_id"] == "a5b80595"]
    done = run("resync", "--json")
    assert done.json["changes"] == preview["changes"]
    assert [(change["old_cost"], change["new_cost"], change["reason"]) for change in changes] == [
        ("0.09", "2.37", "resync")
    ]
    assert "was backed up to" in done.err
    assert done.json["application"]["rows"] == ["a5b80595"]
    assert row_of(application, "a5b80595")["actual_cost_total"] == 2.37
    assert "0 costs would change" in run("resync", "--dry-run").out


def test_commands_and_a_process_that_writes_all_the_time_do_not_disturb_each_other(
    run: Run, application: SqliteApplication
) -> None:
    writes = (
        "import sqlite3, sys, time\ndb = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)\nwhile True:\n"
    )
    statement = "UPDATE workflow_history SET nl_input = nl_input || '.', updated_at = datetime('now')"
    program = f'{writes}    db.execute("{statement}")\n    time.sleep(0.02)'
    with subprocess.Popen([sys.executable, "-c", program, str(application.path)]) as process:
        try:
            codes = [
                run(*command.split()).code for command in ("resync --dry-run", "resync", "rebuild --check", "stale")
            ]
            before = len(row_of(application, "a5b80595")["nl_input"])
            assert run("show", "a5b80595").code == 0
            until(lambda: len(row_of(application, "a5b80595")["nl_input"]) > before, bool)
            assert process.poll() is None
        finally:
            process.kill()
    found = row_of(application, "a5b80595")
    assert (codes, found["actual_cost_total"]) == ([0, 0, 0, 0], 2.37)


def test_a_row_that_shows_no_cost_yet_is_not_said_to_be_missing(run: Run, application: SqliteApplication) -> None:
    run("observe", "waiting", "--cost-usd", "0.25")
    assert "waiting: nothing → $0.25\n" in run("resync", "--dry-run", "waiting").out
    assert re.search(r"waiting +nothing +\$0\.2500", run("resync", "waiting").out)
    assert row_of(application, "waiting")["actual_cost_total"] == 0.25


def test_rows_without_a_reading_and_naive_times_are_normal(run: Run, application: SqliteApplication) -> None:
    application.execute("UPDATE workflow_history SET status = 'running' WHERE adw_id = 'going'")
    assert run("stale").code == 0
    assert run().code == 0
    listed = run("history", "--json").json["workflows"]
    assert {row["adw_id"]: row["cost_basis"] for row in listed}["waiting"] is None
    assert {row["adw_id"]: row["application"] for row in listed}["waiting"] is None


def test_each_figure_is_shown_beside_the_other(run: Run, application: SqliteApplication) -> None:
    assert "stored $0.09, ledger $2.37" not in run("show", "a5b80595").out, "its sources have not been read again"
    run("resync")
    application.execute("UPDATE workflow_history SET actual_cost_total = 0.09 WHERE adw_id = 'a5b80595'")
    assert "stored $0.09, ledger $2.37 in sqlite:app.db" in run("show", "a5b80595").out
    assert run("show", "a5b80595", "--json").json["application"] == {
        "stored_cost_usd": "0.09",
        "ledger_cost_usd": "2.37",
        "held": False,
        "wrong": ["actual_cost_total"],
        "overwrites": 0,
    }
    assert "$0.0900" in run("history").out
    assert "stored $0.09, ledger $2.37 in sqlite:app.db" in run("stale", "--json").out
    assert "stored $0.09, ledger $2.37 in sqlite:app.db" in run().out
    check = run("rebuild", "--check", "--json")
    assert (check.code, check.json["drift"][0]["next_step"]) == (3, "costledger resync -- a5b80595")
    assert run("refresh").code == 0
    assert row_of(application, "a5b80595")["actual_cost_total"] == 2.37


def test_a_running_workflow_holds_what_was_raised_by_hand(run: Run, application: SqliteApplication) -> None:
    run("observe", "going", "--cost-usd", "2.37")
    run("refresh")
    assert row_of(application, "going")["actual_cost_total"] == 5.0
    assert "stored $5.00 (held), ledger $2.37" in run("show", "going").out
    assert "$5.0000 (held)" in run("history").out
    assert run("rebuild", "--check").code == 3, "it is drift"
    assert "going: $5.00 → $2.37\n" in run("resync", "--dry-run", "--force").out
    run("complete", "going")
    run("refresh")
    assert row_of(application, "going")["actual_cost_total"] == 2.37


def test_a_killed_session_is_at_least_its_messages(run: Run, application: SqliteApplication, tmp_path: Path) -> None:
    write(tmp_path / "agents/a5b80595/fix/raw_output.jsonl", init("s3", "p3"), message("m", 5, "s3"))
    run("resync")
    found = row_of(application, "a5b80595")
    assert found["actual_cost_total"] > 2.37
    assert found["output_tokens"] == 105


def test_our_own_rows_with_naive_times_are_read(run: Run, tmp_path: Path) -> None:
    import sqlite3

    run("observe", "w", "--cost-usd", "1")
    run("history")
    with closing(sqlite3.connect(tmp_path / "data/history.db")) as db, db:
        db.execute("UPDATE workflow_history SET updated_at = datetime('now', '-2 days'), start_time = 'yesterday'")
    db.close()
    assert "running, and no event for 48 hours" in run("stale").out
    for command in ("", "history", "show w", "daily"):
        assert run(*command.split()).code == 0


def test_a_table_in_postgresql_is_previewed_repaired_and_kept_right(
    run: Run, postgres_url: str, tmp_path: Path
) -> None:
    application = PostgresApplication(postgres_url, POSTGRES_KINDS["as a Django model"])
    for agent, cost in (("plan", "0.09"), ("build", "2.28")):
        run("observe", "a5b80595", "--agent", agent, "--cost-usd", cost)
    run("complete", "a5b80595")
    before = application.digest()
    assert "stored $0.09, ledger $2.37 in postgresql://" in run("show", "a5b80595", "--history", postgres_url).out
    assert "a5b80595: $0.09 → $2.37\n" in run("resync", "--dry-run", "--history", postgres_url).out
    assert run("rebuild", "--check", "--history", postgres_url).code == 3
    assert application.digest() == before
    done = run("resync", "--history", postgres_url)
    (backup,) = (tmp_path / "data/backups").iterdir()
    assert f"was backed up to data/backups/{backup.name}" in done.err
    assert float(row_of(application, "a5b80595")["actual_cost_total"]) == 2.37
    assert run("rebuild", "--check", "--history", postgres_url).code == 0
    application.close()
