"""Titles of sessions: they lie in one local file and nowhere else."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.config.schema import Config
from ledger.importing.importer import import_source
from ledger.importing.message_index import INDEX_FILE
from ledger.importing.titles import TITLES_FILE, forget_titles, titles_of
from ledger.replication.sender import Replication
from ledger.sources.titles import TITLE_CHARACTERS_MAX, title_of
from ledger.storage.directory_store import DirectoryStore
from projections.documents.rows import row_document
from projections.history.sqlite.history import SqliteHistory
from projections.replay.rebuild import rebuild
from projections.replay.refresh import project, refresh
from tests.ledger.replication.memory_replica import MemoryReplica
from tests.ledger.session_titles import FIRST, compact, prompt, titled
from tests.ledger.transcript_lines import asked, counted, meta, said, turn, write


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "data", durability="none")


def heads(store: DirectoryStore) -> dict[str, int]:
    return {id: project(store, id).row.ledger_seq for id in store.workflow_ids()}


def test_titles_are_read_once_and_again_when_the_ledger_has_grown(store: DirectoryStore, tmp_path: Path) -> None:
    path = write(tmp_path / "t" / "s1.jsonl", FIRST, said("m1", 5, 1))
    write(tmp_path / "t" / "s1" / "agent-a.jsonl", prompt("Look around"), said("m2", 5, 2, agent="a"))
    write(tmp_path / "t" / "s2.jsonl", asked(5, "s2"), said("m3", 5, 6, "s2"))
    import_source(store, "claude", tmp_path / "t")
    assert titles_of(store.path, heads(store)) == {"s1": "Fix the login test", "s2": "text"}
    before = heads(store)
    path.unlink()
    assert titles_of(store.path, before)["s1"] == "Fix the login test", "nothing is read for what was stored"
    write(path, FIRST, said("m1", 5, 1), titled("custom", "Mine"), said("m4", 5, 9))
    import_source(store, "claude", tmp_path / "t")
    assert titles_of(store.path, heads(store))["s1"] == "Mine"
    assert (store.path / TITLES_FILE).stat().st_mode & 0o077 == 0
    forget_titles(store.path)
    assert not (store.path / TITLES_FILE).exists()


def test_a_workflow_of_several_sessions_has_no_title(store: DirectoryStore, tmp_path: Path) -> None:
    write(tmp_path / "t" / "s1.jsonl", FIRST, said("m1", 5, 1))
    write(tmp_path / "t" / "s2.jsonl", asked(5, "s2"), said("m2", 5, 6, "s2"))
    write(tmp_path / "r" / "c1.jsonl", meta("c1"), turn(), counted(9, 0, 9))
    import_source(store, "claude", tmp_path / "t", workflow_id="both")
    import_source(store, "codex", tmp_path / "r")
    assert titles_of(store.path, heads(store)) == {}


def test_titles_wait_for_no_import_and_survive_a_damaged_file(store: DirectoryStore, tmp_path: Path) -> None:
    assert titles_of(store.path, {"s1": 3}) == {}
    import_source(store, "claude", write(tmp_path / "t" / "s1.jsonl", FIRST, said("m1", 5, 1)))
    with closing(sqlite3.connect(store.path / INDEX_FILE, isolation_level=None)) as importer:
        importer.execute("BEGIN EXCLUSIVE")
        assert titles_of(store.path, heads(store)) == {}
    (store.path / TITLES_FILE).write_bytes(b"no database" * 100)
    for _ in range(2):
        assert titles_of(store.path, heads(store)) == {"s1": "Fix the login test"}
    with closing(sqlite3.connect(store.path / TITLES_FILE)) as db:
        assert db.execute("SELECT * FROM titles").fetchall() == [("s1", 3, "Fix the login test")]


@settings(max_examples=20, deadline=None)
@given(st.text("qxz", min_size=8, max_size=40), st.sampled_from(["first", "ai", "custom"]))
def test_no_ledger_row_or_replica_ever_has_a_title(words: str, way: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        path = Path(made)
        store, replica = DirectoryStore(path / "data", durability="none"), MemoryReplica()
        lines = [prompt(words if way == "first" else "text"), said("m1", 5, 1)]
        lines += [] if way == "first" else [titled(way, words)]
        import_source(store, "claude", write(path / "t" / "s1.jsonl", *map(compact, lines)))
        with SqliteHistory(path / "data" / "history.db") as history:
            refresh(store, history)
            rows = history.rows()
            assert titles_of(store.path, heads(store)) == {"s1": words}
            rebuild(store, history)
            assert history.rows() == rows
            with closing(Replication(store, replica)) as replication:
                replication.catch_up()
        assert replica.stored
        private = words.encode()
        assert not any(private in line.raw for line in replica.stored)
        assert not any(words in str(asdict(row)) + str(row_document(row, Config().budgets, idle=False)) for row in rows)
        having = [file.name for file in (path / "data").rglob("*") if file.is_file() and private in file.read_bytes()]
        assert having == [TITLES_FILE]


@pytest.mark.parametrize(
    ("kind", "folder"), [("claude", "claude-code"), ("claude", "clients"), ("codex", "clients/codex-0.171.0")]
)
def test_real_transcripts_have_titles_of_one_line(kind: str, folder: str, shared_data: Path) -> None:
    titles = [title_of(kind, file) for file in sorted((shared_data / folder).rglob("*.jsonl"))]
    assert any(titles)
    assert all(title.isprintable() and len(title) <= TITLE_CHARACTERS_MAX for title in titles)
    assert not any(title.startswith(("<", "Caveat")) for title in titles)
