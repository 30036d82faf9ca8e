"""Titles of sessions: what transcripts show of them, and where they lie: in one local file and nowhere else."""

from __future__ import annotations

import gzip
import os
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.config.schema import Config
from ledger.importing.importer import import_source
from ledger.importing.message_index import INDEX_FILE
from ledger.importing.titles import TITLES_FILE, forget_titles, titles_of
from ledger.replication.sender import Replication
from ledger.sources.titles import TITLE_CHARACTERS_MAX, one_line, title_of
from ledger.storage.directory_store import DirectoryStore
from projections.documents.rows import row_document
from projections.history.sqlite.history import SqliteHistory
from projections.replay.rebuild import rebuild
from projections.replay.refresh import project, refresh
from tests.ledger.replication.memory_replica import MemoryReplica
from tests.ledger.transcript_lines import asked, counted, meta, said, turn, write


def prompt(text: Any, **more: Any) -> dict[str, Any]:
    return asked(**more) | {"message": {"role": "user", "content": text}}


def titled(kind: str, title: str) -> dict[str, Any]:
    return {"type": f"{kind}-title", f"{kind}Title": title, "sessionId": "s1"}


FIRST = prompt("Fix the login test")


@pytest.mark.parametrize(
    ("lines", "title"),
    [
        ([FIRST, prompt("and the other one")], "Fix the login test"),
        ([prompt([{"type": "image"}, {"type": "text", "text": "See\n this"}])], "See this"),
        (
            [prompt("", isMeta=True), prompt("<system-reminder>x"), prompt("[Request interrupted by user]"), FIRST],
            FIRST,
        ),
        ([prompt("for the sub-agent", isSidechain=True), FIRST], FIRST),
        ([prompt("<command-name>/review</command-name>\n<command-args>12</command-args>")], "/review 12"),
        ([prompt("<command-message>init</command-message>\n<command-name>/init</command-name>")], "/init"),
        ([FIRST, titled("ai", "Login test")], "Login test"),
        ([FIRST, titled("ai", "Older"), titled("ai", "Login test"), titled("ai", "…")], FIRST),
        ([titled("custom", "Mine"), FIRST, titled("ai", "Login test")], "Mine"),
        ([{"type": "summary", "summary": "Of this", "leafUuid": "u1"}, FIRST | {"uuid": "u1"}], "Of this"),
        ([{"type": "summary", "summary": "Of another", "leafUuid": "u2"}, FIRST | {"uuid": "u1"}], FIRST),
        ([b"no JSON\n", b'{"type":"user"\n', {"type": "user", "message": 7}, FIRST], FIRST),
        ([], ""),
    ],
)
def test_the_title_of_a_claude_session(lines: list[Any], title: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "s1.jsonl", *(line if isinstance(line, bytes) else compact(line) for line in lines))
    assert title_of("claude", path) == ("Fix the login test" if title is FIRST else title)


def compact(line: Mapping[str, Any]) -> bytes:
    """A line as clients write it, without blanks."""
    return orjson.dumps(line) + b"\n"


def test_the_title_of_a_codex_session_is_the_first_message_of_its_user(tmp_path: Path) -> None:
    def item(text: str) -> dict[str, Any]:
        content = [{"type": "input_text", "text": text}]
        return {"type": "response_item", "payload": {"type": "message", "role": "user", "content": content}}

    context, first = item("<environment_context>\n</environment_context>"), item("Add a cart")
    message = {"type": "event_msg", "payload": {"type": "user_message", "message": "Add a cart, please"}}
    assert title_of("codex", write(tmp_path / "1.jsonl", meta("c"), context, first)) == "Add a cart"
    assert title_of("codex", write(tmp_path / "2.jsonl", meta("c"), context, first, message)) == "Add a cart, please"
    assert title_of("codex", write(tmp_path / "3.jsonl", meta("c"), context)) == ""


def test_a_file_that_cannot_be_read_has_no_title(tmp_path: Path) -> None:
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(compact(FIRST))[:30])
    (tmp_path / "whole.jsonl.gz").write_bytes(gzip.compress(compact(FIRST)))
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert title_of("claude", tmp_path / "whole.jsonl.gz") == "Fix the login test"
    for name in ("cut.jsonl.gz", "pipe.jsonl", "missing.jsonl", "."):
        assert title_of("claude", tmp_path / name) == ""


@given(st.text(max_size=300))
def test_a_title_is_one_line_of_at_most_80_printable_characters(text: str) -> None:
    shown = one_line(text)
    assert shown.isprintable()
    assert len(shown) <= TITLE_CHARACTERS_MAX
    assert shown == " ".join(shown.split(" "))


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
