from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.sources.formats.sqlite_read_only import copied_with_log, open_read_only


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def values(path: Path) -> list[str]:
    with closing(open_read_only(path, wait_seconds=1)) as db:
        return [value for (value,) in db.execute("SELECT value FROM t ORDER BY 1")]


def written(path: Path, mode: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA journal_mode = {mode}")
    db.execute("CREATE TABLE t (value)")
    db.execute("INSERT INTO t VALUES ('a'), (CAST(x'ff' AS TEXT))")
    return db


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("is_open", [True, False])
def test_reading_makes_no_file_and_changes_none(tmp_path: Path, mode: str, *, is_open: bool) -> None:
    path = tmp_path / "app.db"
    db = written(path, mode)
    if not is_open:
        db.close()
    before, content = names(tmp_path), path.read_bytes()
    assert values(path) == ["a", "\ufffd"]
    assert (names(tmp_path), path.read_bytes()) == (before, content)
    db.close()


def test_what_a_killed_program_left_in_its_log_is_read(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    (tmp_path / "left").mkdir()
    with closing(written(tmp_path / "live" / "app.db", "wal")):
        for name in ("app.db", "app.db-wal"):
            shutil.copy(tmp_path / "live" / name, tmp_path / "left" / name)
    path = tmp_path / "left" / "app.db"
    assert values(path) == ["a", "\ufffd"]
    assert names(tmp_path / "left") == {"app.db", "app.db-wal"}
    with closing(copied_with_log(path, path.with_name("app.db-wal"))) as copy:
        copy.execute("DELETE FROM t")
    assert values(path) == ["a", "\ufffd"]


def test_a_database_that_another_program_locks_is_an_error_after_the_wait(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(written(path, "delete")) as db:
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            open_read_only(path, wait_seconds=0)


def test_what_is_no_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    path.write_bytes(b"no database, but long enough for a header of one")
    with pytest.raises(sqlite3.DatabaseError):
        open_read_only(path, wait_seconds=0)
    with pytest.raises(FileNotFoundError):
        open_read_only(tmp_path / "gone.db", wait_seconds=0)
