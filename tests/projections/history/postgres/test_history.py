"""What only a history in PostgreSQL can suffer: many writers, swaps under readers, lost connections, other owners."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from ledger.errors import HistoryUnavailable, InvalidInput
from ledger.events.event import cost_observed, workflow_ended
from ledger.installation import extra_hint
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.memory_store import MemoryStore
from projections.folding.projection import Projected
from projections.folding.row import row
from projections.history.open import open_history
from projections.history.postgres.connection import PostgresConnection, named
from projections.history.postgres.history import PostgresHistory, open_postgres
from projections.replay.rebuild import rebuild
from projections.replay.refresh import project, refresh
from projections.replay.verify import Proof, verify
from tests.conftest import PROJECT, SteppingClock
from tests.postgres_server import PostgresServer
from tests.projections.lines import HEAD, ended, events, folded, reading, started


@contextmanager
def database(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as db:
        yield db


def ledgers(count: int = 3) -> MemoryStore:
    store = MemoryStore(clock=SteppingClock())
    for number in range(count):
        store.append([cost_observed(f"w{number}", cost_usd=f"0.{number}9", agent="plan", usage={"output_tokens": 7})])
    return store


@pytest.fixture
def history(postgres_url: str) -> Iterator[PostgresHistory]:
    with open_postgres(postgres_url) as opened:
        yield opened


@given(sequence=events)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_row_comes_back_as_it_was_written(history: PostgresHistory, sequence: list[dict[str, Any]]) -> None:
    written = row(folded({"type": "ledger_opened"}, *sequence), HEAD)
    history.write([Projected(written, (), HEAD)], pure=True, reason="test")
    assert history.row("w") == written
    assert history.rows() == [written]


STRANGE = {
    "text": [started(workflow_template='"ü\\ \U0001f600', project="x"), ended("failed", error_message="a\nb\t\0c")],
    "keys of many lengths": [reading("0.01", agent=name, model=name) for name in ("zz", "a", "bbb", "é", '"', "A")],
    "early and late": [
        started(observed_at="0001-01-01T00:00:00.000001Z"),
        ended(observed_at="9999-12-31T23:59:59.999999Z"),
    ],
    "nanodollars": [reading("123456789.123456789"), reading("0.000000001", agent="a")],
    "counts": [reading("0.01", usage={"input_tokens": 2**62, "output_tokens": 2**61}), started(issue_number=2**63 - 1)],
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_row_comes_back_as_it_was_written(history: PostgresHistory, kind: str) -> None:
    written = row(folded(*STRANGE[kind]), HEAD)
    history.write([Projected(written, (), HEAD)], pure=True, reason="test")
    assert history.row("w") == written
    assert not history.stored()["w"].edited


def keep_refreshing(data: str, url: str, rounds: int) -> None:
    store = DirectoryStore(data, durability="none")
    with open_postgres(url) as opened:
        for number in range(rounds):
            for name in ("a", "b", "c", "d"):
                store.append([cost_observed(name, cost_usd=number, agent="x")])
            refresh(store, opened, pure=number % 2 == 0, unchanged_too=True)


def test_many_processes_refresh_at_once_and_no_update_is_lost(tmp_path: Path, postgres_url: str) -> None:
    spawn = get_context("spawn")
    at_once = [spawn.Process(target=keep_refreshing, args=(str(tmp_path), postgres_url, 5)) for _ in range(4)]
    for process in at_once:
        process.start()
    for process in at_once:
        process.join()
    assert [process.exitcode for process in at_once] == [0] * 4
    with open_postgres(postgres_url) as opened:
        assert list(verify(DirectoryStore(tmp_path), opened, Proof(), unread_too=True)) == []
        chains = defaultdict(list)
        for entry in opened.audit():
            chains[entry.adw_id].append((entry.old_cost, entry.new_cost))
    for name, chain in chains.items():
        assert [old for old, _ in chain[1:]] == [new for _, new in chain[:-1]], name


def test_writers_that_name_workflows_in_another_order_do_not_lock_each_other_out(postgres_url: str) -> None:
    store = ledgers(40)
    batch = [project(store, f"w{number}") for number in range(40)]
    failures: list[BaseException] = []

    def write(given: list[Projected]) -> None:
        try:
            with open_postgres(postgres_url) as opened:
                for _ in range(6):
                    opened.write(given, pure=True, reason="test")
                    opened.remove([one.row.adw_id for one in given[::3]], reason="test")
        except BaseException as error:
            failures.append(error)

    before = deadlocks(postgres_url)
    orders = (batch, batch[::-1], batch[20:] + batch[:20], batch[::2] + batch[1::2])
    threads = [threading.Thread(target=write, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failures, deadlocks(postgres_url)) == ([], before)


def test_who_asks_for_changes_after_the_last_one_seen_misses_none(postgres_url: str) -> None:
    names, stop, seen = ["a", "b", "c", "d"], threading.Event(), dict[str, int]()

    def write(name: str) -> None:
        store = MemoryStore()
        with open_postgres(postgres_url) as opened:
            for number in range(25):
                store.append([cost_observed(name, cost_usd=number)])
                refresh(store, opened, workflow_ids=[name])

    def look() -> None:
        last, ended = 0, False
        with open_postgres(postgres_url) as opened:
            while not ended:
                ended = stop.is_set()
                for number, name in opened.changes_after(last, 3):
                    seen[name] = last = number

    threads = [threading.Thread(target=write, args=(name,)) for name in names]
    watcher = threading.Thread(target=look)
    for thread in (watcher, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    watcher.join()
    with open_postgres(postgres_url) as opened:
        assert sorted((number, name) for name, number in seen.items()) == opened.changes_after(0, 10)


def deadlocks(url: str) -> int:
    with database(url) as db:
        found = db.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
        assert found is not None
        return int(found[0])


def test_a_rebuild_swaps_under_readers_and_keeps_the_version_before(
    history: PostgresHistory, postgres_url: str
) -> None:
    store = ledgers()
    refresh(store, history)
    with database(postgres_url) as db:
        db.execute("CREATE ROLE dashboard")
        try:
            db.execute("GRANT USAGE ON SCHEMA " + current_schema(db) + " TO dashboard")
            db.execute("GRANT SELECT ON workflow_history TO dashboard")
            db.execute("UPDATE workflow_history SET actual_cost_total = 9 WHERE adw_id = 'w1'")
            with history.rebuilding() as fresh:
                fresh.add([project(store, f"w{number}") for number in range(3)])
                assert shown(db, "w1") == 9
                changes = fresh.swap(keep=[], again=lambda name: project(store, name), reason="rebuild")
            assert [(change.adw_id, change.old_nanousd) for change in changes] == [("w1", 9_000_000_000)]
            db.execute("SET ROLE dashboard")
            assert float(shown(db, "w1")) == 0.19
            db.execute("RESET ROLE")
            assert history.old_versions() == [1]
            assert db.execute("SELECT actual_cost_total FROM workflow_history_1 WHERE adw_id = 'w1'").fetchone() == (9,)
            rebuild(store, history)
            assert history.drop_old_versions() == [2]
            assert history.old_versions() == []
            assert list(verify(store, history, Proof())) == []
        finally:
            db.execute("RESET ROLE")
            db.execute("DROP OWNED BY dashboard")
            db.execute("DROP ROLE dashboard")


READ: Final = (
    "workflow_history, costledger_spend, cost_audit_log, costledger_checkpoint, costledger_change, costledger_chain, "
    "costledger_partition, costledger_meta, costledger_part, costledger_move"
)


def test_who_may_only_read_reads_everything(history: PostgresHistory, postgres_url: str) -> None:
    store = ledgers()
    refresh(store, history)
    with database(postgres_url) as db:
        db.execute("CREATE ROLE reader LOGIN")
        try:
            db.execute(f"GRANT USAGE ON SCHEMA {current_schema(db)} TO reader")
            db.execute(f"GRANT SELECT ON {READ} TO reader")
            with open_postgres(postgres_url.replace("//postgres@", "//reader@")) as opened:
                assert opened.rows() == history.rows()
                assert refresh(store, opened).unchanged == 3
                assert (len(opened.audit()), len(list(opened.spent())), len(opened.changes_after(0, 9))) == (3, 1, 3)
                assert list(verify(store, opened, Proof())) == []
                store.append([cost_observed("w1", cost_usd=9)])
                with pytest.raises(HistoryUnavailable, match=r"permission denied.*docs/postgres\.md"):
                    refresh(store, opened)
        finally:
            db.execute("DROP OWNED BY reader")
            db.execute("DROP ROLE reader")


def current_schema(db: psycopg.Connection) -> str:
    found = db.execute("SELECT current_schema()").fetchone()
    assert found is not None
    return str(found[0])


def shown(db: psycopg.Connection, adw_id: str) -> Any:
    found = db.execute("SELECT actual_cost_total FROM workflow_history WHERE adw_id = %s", (adw_id,)).fetchone()
    assert found is not None
    return found[0]


def test_what_changed_while_a_rebuild_was_on_is_in_it(history: PostgresHistory) -> None:
    store = ledgers()
    refresh(store, history)
    with history.rebuilding() as fresh:
        fresh.add([project(store, f"w{number}") for number in range(3)])
        store.append([cost_observed("w0", cost_usd="5.00", agent="plan")])
        store.append([cost_observed("new", cost_usd="7.00", agent="plan")])
        refresh(store, history)
        fresh.swap(keep=["w2"], again=lambda name: project(store, name), reason="rebuild")
    assert [(found.adw_id, found.actual_cost_total) for found in history.rows()] == [
        ("new", 7.0),
        ("w0", 5.0),
        ("w1", 0.19),
        ("w2", 0.29),
    ]
    assert refresh(store, history).folded == []


def test_a_rebuild_that_is_interrupted_leaves_no_trace(history: PostgresHistory, postgres_url: str) -> None:
    store = ledgers()
    refresh(store, history)
    before = tables(postgres_url)
    with suppress(KeyboardInterrupt), history.rebuilding() as fresh:
        fresh.add([project(store, "w0")])
        raise KeyboardInterrupt
    assert tables(postgres_url) == before
    assert len(history.rows()) == 3


def tables(url: str) -> list[str]:
    with database(url) as db:
        found = db.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace ORDER BY 1"
        )
        return [name for (name,) in found]


def keep_looking(url: str, stop: threading.Event, problems: list[str], looks: list[int]) -> None:
    seen: dict[str, float] = {}
    with open_postgres(url) as reader:
        while not stop.is_set():
            rows = {found.adw_id: found for found in reader.rows()}
            problems += [f"{name} vanished" for name in seen.keys() - rows.keys()]
            for name, found in rows.items():
                if found.actual_cost_total < seen.get(name, 0.0) or found.event_count != found.ledger_seq:
                    problems.append(f"{name} at {found.actual_cost_total}")
                seen[name] = found.actual_cost_total
            looks.append(len(rows))


def test_a_reader_sees_only_valid_states_through_refreshes_and_rebuilds(
    history: PostgresHistory, postgres_url: str
) -> None:
    store, stop, problems, looks = ledgers(3), threading.Event(), list[str](), list[int]()
    refresh(store, history)
    reader = threading.Thread(target=keep_looking, args=(postgres_url, stop, problems, looks))
    writer = threading.Thread(target=_append_and_refresh, args=(store, postgres_url, 60))
    for thread in (reader, writer):
        thread.start()
    for _ in range(15):
        rebuild(store, history)
    writer.join()
    stop.set()
    reader.join()
    refresh(store, history)
    assert (problems, len(looks) > 10) == ([], True)
    assert list(verify(store, history, Proof(), unread_too=True)) == []


def _append_and_refresh(store: MemoryStore, url: str, rounds: int) -> None:
    with open_postgres(url) as opened:
        for number in range(rounds):
            store.append([cost_observed(f"w{number % 3}", cost_usd=number, agent="plan")])
            refresh(store, opened)


@pytest.mark.parametrize("key", ["schema_version", "fold_version"])
def test_a_history_of_another_version(history: PostgresHistory, postgres_url: str, key: str) -> None:
    store = ledgers()
    refresh(store, history)
    before = history.rows()
    with database(postgres_url) as db:
        db.execute("UPDATE costledger_meta SET value = 99 WHERE key = %s", (key,))
        with pytest.raises(HistoryUnavailable, match="newer version"):
            open_postgres(postgres_url)
        db.execute("UPDATE costledger_meta SET value = 0 WHERE key = %s", (key,))
    with open_postgres(postgres_url) as opened:
        assert opened.checkpoints() == {}
        refresh(store, opened)
        assert opened.rows() == before
        assert opened.audit("w1")[0].new_cost == 0.19


@pytest.mark.parametrize("key", ["schema_version", "fold_version"])
def test_what_an_upgrade_changes_is_audited_as_that_once(history: PostgresHistory, postgres_url: str, key: str) -> None:
    store = MemoryStore()
    attempts = [cost_observed("w", agent="plan", cost_usd=usd, counter=usd) for usd in ("0.50", "0.40")]
    store.append(attempts)
    store.append([cost_observed("other", cost_usd="1.00")])
    refresh(store, history)
    with database(postgres_url) as db:
        lower = "actual_cost_total = 0.5, actual_cost_nanousd = 500000000"
        db.execute(f"UPDATE workflow_history SET {lower} WHERE adw_id = 'w'")
        db.execute("UPDATE costledger_meta SET value = 1 WHERE key = %s", (key,))
    with open_postgres(postgres_url) as opened:
        (change,) = refresh(store, opened).changes
        assert (change.adw_id, change.old_nanousd, change.new_nanousd) == ("w", 500_000_000, 900_000_000)
        assert opened.audit("w")[-1].reason == "upgrade: retry counts"
        store.append([cost_observed("w", agent="plan", cost_usd="0.60", counter="0.40")])
        assert [change.reason for change in refresh(store, opened).changes] == ["refresh"]


def test_a_server_that_restarts_between_two_refreshes_is_reached_again(
    history: PostgresHistory, postgres_server: PostgresServer
) -> None:
    store = ledgers()
    refresh(store, history)
    postgres_server.stop("immediate")
    later = threading.Timer(0.5, postgres_server.start)
    later.start()
    try:
        store.append([cost_observed("w0", cost_usd="5.00", agent="plan")])
        assert [change.new_nanousd for change in refresh(store, history).changes] == [5_000_000_000]
    finally:
        later.join()


def test_a_server_that_is_not_there_is_said_without_any_password() -> None:
    for url in (
        "postgresql://me:s3cret@127.0.0.1:1/db",
        "postgresql://me:s3cret@x@127.0.0.1:1/db",
        "postgresql://me:s3cret%40y@127.0.0.1:1/db?sslmode=bad",
        "postgresql://me@127.0.0.1:1/db?password=s3cret",
        "postgresql://me:s3cret/w0rd@127.0.0.1:1/db",
    ):
        with pytest.raises(HistoryUnavailable) as caught:
            open_postgres(url)
        assert "s3cret" not in str(caught.value), url
        assert "w0rd" not in str(caught.value), url
    assert named("postgresql://me:s3cret@h:5432/db?x=1") == "postgresql://me@h:5432/db"


@pytest.mark.parametrize("password", ["pa@word", "pa#word", "pa/word", "pa?word", "12/word", "12?word", "pa@a=word"])
def test_a_password_that_is_not_encoded_is_refused_and_no_part_of_it_is_shown(password: str) -> None:
    with pytest.raises(HistoryUnavailable, match=r"postgresql://…@h:5432/db.*@ as %40") as caught:
        open_postgres(f"postgresql://me:{password}@h:5432/db")
    assert not any(piece in str(caught.value) for piece in ("pa@", "pa#", "pa/", "pa?", "12", "word@"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///db?host=/tmp",
        "postgres://me:@/db?host=/tmp/a@b&options=-csearch_path%3Dx",
        "postgresql://me:a%40b:c@h1:1,h2:2/db?sslmode=require",
        "postgresql://[::1]:5432/db",
        "postgresql://%2Ftmp/db",
        "postgresql://h",
    ],
)
def test_urls_that_libpq_reads_are_taken(url: str) -> None:
    PostgresConnection(url)


def test_a_transaction_that_lost_a_race_is_run_again(postgres_url: str) -> None:
    connection = PostgresConnection(postgres_url)
    runs = []

    def work(cursor: Any) -> int:
        runs.append(1)
        if len(runs) < 3:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40P01'; END $$")
        return len(runs)

    assert connection.run(work) == 3
    with pytest.raises(HistoryUnavailable, match="another program won"):
        connection.run(lambda cursor: cursor.execute("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40001'; END $$"))
    connection.close()
    with pytest.raises(HistoryUnavailable, match="was closed"):
        connection.run(work)


def test_a_missing_package_names_the_extra() -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from projections.cli.app import main; main(['--history', 'postgresql://me@x/y', 'history'])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (f"costledger: a history in PostgreSQL needs an optional package: {extra_hint('postgres')}\n")


def test_a_spelling_that_names_no_history() -> None:
    for spelling in ("mysql://x", "sqlite:", "postgresql:x"):
        with pytest.raises(InvalidInput, match="sqlite:PATH"):
            open_history(spelling)


def test_a_row_of_a_killed_writer_and_its_checkpoint_agree(history: PostgresHistory, postgres_url: str) -> None:
    store = ledgers()
    with database(postgres_url) as db:
        db.execute("ALTER TABLE costledger_checkpoint_1 ADD CHECK (workflow_id <> 'w1' OR seq = 0)")
        with pytest.raises(HistoryUnavailable, match="nothing was stored"):
            refresh(store, history)
    assert (history.rows(), history.checkpoints(), history.audit()) == ([], {}, [])


def test_a_held_figure_and_an_end_are_audited_as_everywhere(history: PostgresHistory, postgres_url: str) -> None:
    store = ledgers(1)
    refresh(store, history)
    with database(postgres_url) as db:
        db.execute("UPDATE workflow_history SET actual_cost_total = 'NaN'")
    refresh(store, history)
    assert history.rows()[0].actual_cost_total == 0.09
    store.append([workflow_ended("w0", "completed")])
    refresh(store, history)
    assert history.rows()[0] == project(store, "w0").row
