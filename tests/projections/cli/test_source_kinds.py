"""A file of another tool is named as that, and so is what a wrong KIND should have been."""

from __future__ import annotations

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
