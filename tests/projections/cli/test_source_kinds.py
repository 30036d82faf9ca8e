"""A file of another tool is named as that, and so is what a wrong KIND should have been."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.sources import KINDS, identified
from tests.conftest import PROJECT
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]

SAMPLES = PROJECT / "tests" / "ledger" / "samples"
EXAMPLE = PROJECT / "data" / "examples" / "1-planned"
FILES = {
    "adw": EXAMPLE,
    "claude": SAMPLES / "claude",
    "claude-stream": EXAMPLE / "agents" / "a5b80595" / "sdlc_planner" / "raw_output.jsonl",
    "codex": SAMPLES / "codex",
    "litellm": SAMPLES / "litellm.csv",
    "otlp": SAMPLES / "otlp-logs.jsonl",
}


@pytest.mark.parametrize("kind", FILES)
def test_a_tools_output_is_recognised(kind: str) -> None:
    assert identified(FILES[kind]) == kind


def test_nothing_is_recognised_in_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("what it cost\n", encoding="utf-8")
    assert [identified(path) for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "nowhere")] == [None] * 3


@pytest.mark.parametrize(("asked", "kind"), [(a, b) for a in KINDS for b in FILES if a != b])
def test_an_import_of_another_tools_output_names_the_command(run: Run, asked: str, kind: str) -> None:
    done = run("import", asked, str(FILES[kind]))
    assert (done.code, f"costledger import {kind} {FILES[kind]}" in done.err) == (1, True), done.err


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("claud", "did you mean 'claude'?"),
        ("claude-code", "did you mean 'claude'?"),
        ("otel", "did you mean 'otlp'?"),
        ("Codex", "did you mean 'codex'?"),
        ("zebra", "give one of adw, aider, "),
        ("./nowhere.jsonl", "there is no file or folder './nowhere.jsonl'"),
    ],
)
def test_a_wrong_kind_is_answered_with_what_was_meant(run: Run, given: str, sentence: str) -> None:
    done = run("import", given)
    assert (done.code, sentence in done.err) == (2, True), done.err


def test_a_mapped_column_that_is_missing_is_still_named(run: Run) -> None:
    done = run("import", "csv", str(FILES["litellm"]), "--map", "cost_usd=nope", "--workflow-id", "w")
    assert "has no column 'nope'" in done.err


@pytest.mark.parametrize(("name", "kind"), [("opencode.db", "opencode"), ("kilo.db", "kilo"), ("mimocode.db", "mimo")])
def test_a_database_of_opencodes_family_is_the_one_that_its_name_says(run: Run, name: str, kind: str) -> None:
    with closing(sqlite3.connect(name)) as db, db:
        db.execute("CREATE TABLE session (id TEXT, parent_id TEXT, time_created INTEGER)")
        db.execute("CREATE TABLE message (id TEXT, session_id TEXT, time_updated INTEGER, data TEXT)")
    assert identified(Path(name)) == kind
    assert f"use: costledger import {kind} {name}" in run("import", "claude", name).err


def test_a_folder_without_a_log_of_the_kind_is_an_error_and_no_source(run: Run) -> None:
    Path("logs/made").mkdir(parents=True)
    Path("logs/made/output.jsonl").write_text('{"instance_id": "x-1"}\n', encoding="utf-8")
    for kind in ("adw", "claude", "codex"):
        done = run("import", kind, "logs")
        assert (done.code, "holds no " in done.err) == (1, True), done.err
    assert not Path("data/sources.jsonl").exists()
    assert run("history", "--json").json["total_count"] == 0
