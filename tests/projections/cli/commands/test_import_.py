"""`import claude` and `import codex` from the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from ledger.importing.source_registry import SourceRegister
from projections.cli.app import cli
from tests.ledger.transcript_lines import asked, counted, meta, said, turn, write
from tests.projections.cli.test_app import piped


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == code, result.output
    return result.stderr if code else result.stdout


@pytest.fixture
def data(tmp_path: Path) -> tuple[str, str]:
    return "--data", str(tmp_path / "data")


def test_without_a_path_the_default_places_are_read(
    tmp_path: Path, data: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    assert "name a PATH" in run(*data, "import", "claude", code=2)
    assert "name the PATH" in run(*data, "import", "adw", code=2)
    write(tmp_path / "claude" / "projects" / "p" / "s1.jsonl", asked(), said("m1", 5), b"broken\n")
    write(tmp_path / "codex" / "sessions" / "r.jsonl", meta("c1"), turn(), counted(9, 0, 9))
    assert "2 events appended, 0 unchanged, 1 input skipped, in 1 workflow\n" in run(*data, "import", "claude")
    assert "0 events appended, 1 unchanged" in run(*data, "import", "claude")
    assert json.loads(run(*data, "import", "codex", "--json"))["workflows"]["c1"]["appended"] == 2
    rows = json.loads(run(*data, "history", "--json"))["workflows"]
    assert "c1" in json.dumps(rows)
    assert "s1" in json.dumps(rows)


def test_resync_reads_them_again_by_the_same_mapping(tmp_path: Path, data: tuple[str, str]) -> None:
    path = write(tmp_path / "t" / "s1.jsonl", said("m1", 5))
    run(*data, "import", "claude", str(path), "--workflow-by", "project")
    write(path, said("m1", 5), said("m2", 6, session="s2"))
    assert "1 event appended from the sources of 1 workflow; " in run(*data, "resync")


@pytest.mark.parametrize("option", [("--workflow-by", "project"), ("--workflow-id", "all")])
def test_messages_that_were_read_before_stay_where_they_count_and_that_is_said(
    tmp_path: Path, data: tuple[str, str], option: tuple[str, str]
) -> None:
    path = write(tmp_path / "t" / "s1.jsonl", said("m1", 5))
    run(*data, "import", "claude", str(path))
    again = CliRunner().invoke(cli, [*data, "import", "claude", str(path), *option])
    assert again.stderr.startswith(f"messages that a ledger has stay in it; {option[0]} names the workflow of others")
    rows = json.loads(run(*data, "history", "--json"))["workflows"]
    assert [(row["adw_id"] == "s1", row["event_count"]) for row in rows] == [(True, 4), (False, 1)]
    assert [row["actual_cost_total"] == "0.00" for row in rows] == [True, False], "it counts where it was moved to"


@pytest.mark.parametrize("by", ["project", "branch"])
def test_sessions_that_name_no_folder_are_workflows_of_their_own_and_that_is_said_once(
    tmp_path: Path, data: tuple[str, str], by: str
) -> None:
    given = [said("m1", 5), *(said(f"n{n}", 5, session=f"s{2 + n % 2}", cwd="") for n in range(4))]
    path = write(tmp_path / "t" / "s1.jsonl", *given)
    done = CliRunner().invoke(cli, [*data, "import", "claude", str(path), "--workflow-by", by])
    assert done.stderr.count("2 sessions named no folder to be a project's by; each is a workflow of its own\n") == 1
    assert {"s2", "s3"} < {row["adw_id"] for row in json.loads(run(*data, "history", "--json"))["workflows"]}
    again = write(tmp_path / "u" / "s4.jsonl", said("m9", 5, session="s4", cwd=""))
    assert "named no folder" not in CliRunner().invoke(cli, [*data, "import", "claude", str(again)]).stderr


def test_the_usage_line_of_import_does_not_break_a_kind_in_two() -> None:
    usage, _, _ = run("import", "--help").partition("\n")
    assert usage.endswith("import [OPTIONS] [KIND] [PATH...]")


def test_a_configured_source_without_a_path_is_read_from_its_places(
    tmp_path: Path, data: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    write(tmp_path / "claude" / "projects" / "p" / "s1.jsonl", said("m1", 5))
    config = write(tmp_path / "costledger.toml", b'[[sources]]\nkind = "claude"\nworkflow_by = "branch"\n')
    answer = json.loads(run(*data, "import", "--config", str(config), "--json"))
    assert [name.startswith("shop-main-") for name in answer["workflows"]] == [True]


def test_files_whose_names_are_no_text_are_imported_followed_and_named(tmp_path: Path) -> None:
    write(tmp_path / "nn" / os.fsdecode(b"a\xff.jsonl"), said("m1", 5), b"broken\n")
    for command in ("import claude nn", "import claude nn --json", "watch --once --json", "explain s1"):
        done = piped(tmp_path, *command.split())
        assert (done.code, "should not happen" in done.err, "surrogates" in done.err) == (0, False, False), done


def failed(folder: Path, *arguments: str) -> str:
    """The error output of a process of its own."""
    done = piped(folder, *arguments)
    assert done.code == 1, done
    return done.err


def test_what_cannot_be_meant_is_refused(tmp_path: Path, data: tuple[str, str]) -> None:
    path = str(write(tmp_path / "s1.jsonl", asked(), said("m1", 5)))
    assert "leave out" in run(*data, "import", "claude", path, "--workflow", "w", "--workflow-by", "branch", code=2)
    assert "is for aider, claude, " in run(*data, "import", "jsonl", path, "--workflow-by", "session", code=2)
    assert "empty" in run(*data, "import", "claude", "", code=2)
    assert "is no file or folder" in failed(tmp_path, "import", "otlp", "/dev/null")
    (tmp_path / "costledger.toml").write_text('[[sources]]\nkind = "csv"\npath = "no.csv"\n')
    assert failed(tmp_path, "import").count("no.csv") == 1
    unusable = failed(tmp_path, "--data", "/proc/nope", "import", "claude", path)
    assert ("delete it" in unusable, "/proc/nope" in unusable) == (False, True)
    assert run(*data, "import", "claude", path, "--workflow", "w").startswith("2 events appended")


def test_a_folder_of_another_kind_is_told(tmp_path: Path, data: tuple[str, str]) -> None:
    path = str(write(tmp_path / "r.jsonl", meta("c1"), turn(), counted(9, 0, 9)))
    assert f"is a Codex rollout; use: costledger import codex {path}" in failed(tmp_path, "import", "claude", path)
    other = str(write(tmp_path / "other.jsonl", {"a": 1}))
    assert "holds no cost that `import claude` knows" in failed(tmp_path, "import", "claude", other)
    assert run(*data, "import", "codex", path).startswith("2 events appended")
    assert run(*data, "import", "codex", path).startswith("0 events appended, 1 unchanged")


def test_a_workflow_that_is_not_there_is_told_once(tmp_path: Path, data: tuple[str, str]) -> None:
    run(*data, "import", "claude", str(write(tmp_path / "s1.jsonl", said("m1", 5))))
    for command in (["explain", "nosuch"], ["reprice", "nosuch", "--reason", "r"]):
        done = piped(tmp_path, *command)
        assert (done.code, done.out, done.err.count("no workflow 'nosuch'")) == (1, "", 1)


@pytest.mark.parametrize(
    ("name", "content", "looks"),
    [
        ("x.csv", "model,cost\na,1\nb,2\n", "it looks like a table; use: costledger import csv "),
        ("notes.txt", "Some words.\nMore words.\n", "it looks like text; line 1 is not JSON"),
        ("x.bin", "\0\1\2\n", "it looks like a binary file"),
        ("other.json", '[1,\n2, {"a": 1}]\n', "it looks like JSON of another tool"),
    ],
)
def test_a_file_without_a_usable_line_is_an_error_and_no_source(
    tmp_path: Path, data: tuple[str, str], name: str, content: str, looks: str
) -> None:
    file = tmp_path / name
    file.write_text(content)
    for _ in range(2):
        problem = failed(tmp_path, *data, "import", "claude", str(file))
        assert f"{file}: holds no cost that `import claude` knows; {looks}" in problem
    assert SourceRegister(tmp_path / "data").entries() == []


def test_a_transcript_that_is_only_cut_is_a_source(tmp_path: Path, data: tuple[str, str]) -> None:
    file = tmp_path / "s1.jsonl"
    file.write_bytes(b'{"type":"assistant","mess')
    assert "1 input skipped" in run(*data, "import", "claude", str(file))
    write(file, said("m1", 5))
    assert run(*data, "import", "claude", str(file)).startswith("2 events appended"), "once it was written whole"
    assert [entry.path for entry in SourceRegister(tmp_path / "data").entries()] == [str(file)]


def test_a_source_can_be_forgotten(tmp_path: Path, data: tuple[str, str]) -> None:
    file = write(tmp_path / "t" / "s1.jsonl", said("m1", 5))
    run(*data, "import", "claude", str(file))
    run(*data, "import", "claude", str(file), "--workflow-by", "project")
    register = SourceRegister(tmp_path / "data")
    assert register.forget(tmp_path) == []
    assert [entry.workflow_by for entry in register.forget(file)] == ["session", "project"]
    assert register.entries() == []
    write(file, said("m1", 5), said("m2", 6))
    assert json.loads(run(*data, "history", "--json"))["workflows"][0]["event_count"] == 4, "m2 is not read"
