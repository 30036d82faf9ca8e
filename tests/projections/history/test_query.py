"""Pages, totals and change numbers of every store are those of the plain model, whatever was written in between."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidInput
from ledger.storage.line import Head
from projections.folding.projection import Projected
from projections.folding.row import Row, row
from projections.history.postgres.history import open_postgres
from projections.history.query import BASES, SORTS, STATUSES, Query, totals_of
from projections.history.sqlite import pages
from projections.history.sqlite.history import SqliteHistory
from projections.history.store import HistoryStore, era_of
from tests.projections.history.page_model import page_of
from tests.projections.lines import HEAD, folded, reading, started

PLAIN = row(folded(started(), reading("1.00")), HEAD)
DAYS = ["2026-11-22T00:00:00.000000Z", "2026-11-22T23:59:59.999999Z", "2026-11-23T12:00:00.000000Z"]
DAYS += ["2026-11-24T00:00:00.000000Z", "2026-11-24T08:00:00.000000Z"]

rows = st.builds(
    lambda name, status, issue, template, project, tool, basis, cost, tokens, at, active, took, error: replace(
        PLAIN,
        adw_id=name,
        status=status,
        issue_number=issue,
        workflow_template=template,
        project=project,
        tool=tool,
        cost_basis=None if basis == "none" else basis,
        actual_cost_nanousd=cost,
        actual_cost_total=cost / 1e9,
        total_tokens=tokens,
        output_tokens=tokens,
        updated_at=at,
        last_activity=active,
        duration_seconds=took,
        error_message=error,
    ),
    st.sampled_from([f"w{number}" for number in range(8)]),
    st.sampled_from(STATUSES[:-1]),
    st.sampled_from([None, 17, 18]),
    st.sampled_from([None, "sdlc", "patch"]),
    st.sampled_from([None, "shop", "/home/sam/shop", "/home/sam/workshop"]),
    st.sampled_from([None, "Codex", "Claude Code, Codex", "Codex Max"]),
    st.sampled_from(BASES),
    st.integers(0, 3).map(lambda usd: usd * 1_000_000_000),
    st.integers(0, 3),
    st.sampled_from(DAYS),
    st.sampled_from([None, *DAYS]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, "Disk full", "ÄRGER"]),
)
queries = st.builds(
    Query,
    statuses=st.lists(st.sampled_from(STATUSES), max_size=2, unique=True).map(tuple),
    issue_number=st.sampled_from([None, None, 17]),
    workflow_template=st.sampled_from([None, None, "sdlc"]),
    project=st.sampled_from([None, None, "shop", "sam/shop", "/home/sam/shop"]),
    tool=st.sampled_from([None, None, "Codex"]),
    basis=st.sampled_from([None, None, *BASES]),
    since=st.sampled_from([None, *DAYS]),
    until=st.sampled_from([None, *DAYS]),
    text=st.sampled_from([None, None, "FULL", "ärger", "w1", "%"]),
    where=st.lists(
        st.tuples(
            st.sampled_from(["workflow_template", "project", "status"]),
            st.sets(st.sampled_from([None, "sdlc", "shop", "failed", "moved"])).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    sort=st.sampled_from(sorted(SORTS)),
    descending=st.booleans(),
    limit=st.integers(1, 4),
    offset=st.integers(0, 3),
)


def write(history: HistoryStore, wanted: Row, seq: int) -> None:
    history.write([Projected(wanted, (), Head(seq, seq, "0" * 64))], pure=True, reason="test")


@given(st.lists(rows, max_size=12), st.lists(queries, min_size=1, max_size=6), st.sets(st.sampled_from(["w1", "w2"])))
def test_pages_and_kept_totals_are_those_of_the_rows(
    tmp_path_factory: pytest.TempPathFactory, written: list[Row], asked: list[Query], removed: set[str]
) -> None:
    path = tmp_path_factory.mktemp("pages") / "history.db"
    with SqliteHistory(path) as history:
        for seq, wanted in enumerate(written, 1):
            write(history, wanted, seq)
        history.remove(removed, reason="test")
        for query in asked:
            assert history.page(query) == page_of(history.rows(), query), query


@given(written=st.lists(rows, max_size=12), asked=st.lists(queries, min_size=1, max_size=6))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_of_postgresql_are_those_of_the_rows(postgres_url: str, written: list[Row], asked: list[Query]) -> None:
    with open_postgres(postgres_url) as history:
        for seq, wanted in enumerate(written, 1):
            write(history, wanted, seq)
        for query in asked:
            assert history.page(query) == page_of(history.rows(), query), query


def test_pages_are_the_same_when_the_index_of_the_order_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_ORDER_INDEX_FROM", 0)
    with SqliteHistory(tmp_path / "history.db") as history:
        for number in range(20):
            changed = replace(PLAIN, adw_id=f"w{number}", total_tokens=number % 3, issue_number=number % 2 or None)
            write(history, changed, 1)
        for sort in SORTS:
            for descending in (True, False):
                query = Query(sort=sort, descending=descending, limit=7, offset=5)
                assert history.page(query) == page_of(history.rows(), query), query


def test_totals_follow_a_row_that_somebody_edits_or_deletes_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with SqliteHistory(path) as history:
        write(history, PLAIN, 1)
        write(history, replace(PLAIN, adw_id="other"), 1)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE workflow_history SET status = 'failed' WHERE adw_id = 'other'")
            db.execute("DELETE FROM workflow_history WHERE adw_id = 'w'")
        db.close()
        assert history.page(Query()).totals == totals_of(history.rows())
        failed = history.page(Query()).totals.by_status["failed"]
        assert (failed.count, failed.cost_nanousd, failed.at_least) == (1, PLAIN.actual_cost_nanousd, False)


def test_a_change_has_a_new_number_and_a_row_only_that_of_its_last_change(history: HistoryStore) -> None:
    write(history, PLAIN, 1)
    write(history, replace(PLAIN, adw_id="other"), 1)
    first = history.changes_after(0, 10)
    assert [name for _, name in first] == ["w", "other"]
    last = first[-1][0]
    write(history, PLAIN, 1)
    assert history.changes_after(last, 10) == []
    write(history, replace(PLAIN, status="completed"), 2)
    history.remove(["other"], reason="test")
    assert [name for _, name in history.changes_after(last, 10)] == ["w", "other"]
    assert history.changes_after(last, 1) == history.changes_after(last, 10)[:1]
    assert [name for _, name in history.changes_after(0, 10)] == ["w", "other"]


def test_the_numbers_of_a_history_tell_when_it_was_made(history: HistoryStore) -> None:
    write(history, PLAIN, 1)
    write(history, replace(PLAIN, status="completed"), 2)
    ((number, _),) = history.changes_after(0, 10)
    since_2020 = (datetime.now(UTC) - datetime(2020, 1, 1, tzinfo=UTC)).total_seconds()
    assert 0 <= since_2020 - era_of(number) < 300


def test_a_history_that_is_made_anew_counts_on_above_the_one_before(tmp_path: Path) -> None:
    numbers: list[int] = []
    for second in (1, 2):
        clock = partial(datetime, 2026, 1, 1, 0, 0, second, tzinfo=UTC)
        with SqliteHistory(tmp_path / f"{second}.db", clock=clock) as made:
            write(made, PLAIN, 1)
            write(made, replace(PLAIN, status="completed"), 2)
        with SqliteHistory(tmp_path / f"{second}.db") as opened:
            numbers += [number for number, _ in opened.changes_after(0, 10)]
    assert numbers[0] < numbers[1]
    assert era_of(numbers[1]) - era_of(numbers[0]) == 1


@pytest.mark.parametrize("wrong", [{"sort": "moon"}, {"statuses": ("gone",)}, {"basis": "x"}, {"limit": 0}])
def test_a_query_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        Query(**wrong)  # type: ignore[arg-type]
