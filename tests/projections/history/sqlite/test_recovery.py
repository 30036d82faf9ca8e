from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from projections.history.sqlite.history import SqliteHistory
from projections.history.sqlite.recovery import is_whole, recover

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    SqliteHistory(tmp_path / "history.db").close()
    with closing(sqlite3.connect(tmp_path / "history.db", isolation_level=None)) as db:
        db.execute("CREATE TABLE note AS SELECT 'kept' AS text")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return tmp_path / "history.db"


def notes(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [text for (text,) in db.execute("SELECT text FROM note")]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def recovered(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        recover(path, db, NOW)


def test_a_database_is_whole_until_a_page_of_it_is_not(path: Path) -> None:
    assert is_whole(path)
    damage(path)
    assert not is_whole(path)
    path.write_bytes(b"junk" * 2000)
    assert not is_whole(path)


def test_what_can_be_read_is_carried_over_into_a_new_file(path: Path) -> None:
    before = path.stat().st_ino
    recovered(path)
    assert path.stat().st_ino != before
    assert notes(path) == ["kept"]
    with closing(SqliteHistory(path)) as history:
        assert list(history.rows()) == []


def test_a_file_of_which_nothing_can_be_read_stays_under_another_name(path: Path) -> None:
    for number in (1, 2):
        path.write_bytes(b"junk" * 2000)
        recovered(path)
        assert not path.exists()
        assert path.with_name(f"history.db.damaged-{number}").read_bytes() == b"junk" * 2000


def test_a_file_that_was_cut_to_nothing_is_removed(path: Path) -> None:
    path.write_bytes(b"")
    recovered(path)
    assert not path.exists()
    assert [file.name for file in path.parent.iterdir()] == []
