"""`docs/sql.md`: it is written from the schema, and its queries answer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from docs.sql_schema import PAGE, QUERIES, page
from ledger.storage.directory_store import DirectoryStore
from projections.cli.example_workflows import ExampleWorkflows
from projections.history.sqlite.history import SqliteHistory
from projections.replay.refresh import refresh


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data")
    ledgers = DirectoryStore(data, durability="none")
    for events in ExampleWorkflows(datetime(2026, 11, 20, 15, tzinfo=UTC)).past():
        ledgers.append(events)
    with SqliteHistory(data / "history.db") as history:
        refresh(ledgers, history)
    return data / "history.db"


def test_the_page_is_what_the_script_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python docs/sql_schema.py"


@pytest.mark.parametrize("title", QUERIES)
def test_a_query_of_the_page_answers(database: Path, title: str) -> None:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        assert db.execute(QUERIES[title]).fetchall()
