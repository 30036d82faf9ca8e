"""The command line as a person guesses it: help, examples, completion, pipes and widths."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ledger import DirectoryStore
from ledger.events.event import cost_observed, workflow_started
from projections.cli.app import _COMMANDS, _GROUPS, cli
from tests.command import costledger
from tests.conftest import PROJECT
from tests.ledger.transcript_lines import said, write
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]

BY_NAME = {name: cli.get_command(click.Context(cli), name) for name in _COMMANDS}
SUB_COMMANDS = [
    (f"{name} {sub}", command.commands[sub])
    for name, command in BY_NAME.items()
    if isinstance(command, click.Group)
    for sub in command.commands
]


def test_help_lists_commands_in_groups_with_sentences_that_are_not_cut(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("--help").out.splitlines()
    assert "..." not in "\n".join(lines[2:])
    for title, group in _GROUPS.items():
        at = lines.index(f"{title}:")
        shown = lines[at + 1 : at + 1 + len(group)]
        assert [line.split(maxsplit=1) for line in shown] == [[name, entry.sentence] for name, entry in group.items()]
    assert all(re.fullmatch(r"[A-Z].*\.", entry.sentence) for entry in _COMMANDS.values())


@pytest.mark.parametrize("name", _COMMANDS)
def test_the_help_of_a_command_ends_with_an_example_that_parses(run: Run, name: str) -> None:
    example = _COMMANDS[name].example
    assert run(name, "--help").out.endswith(f"  Example:\n    {example}\n")
    call = example.removeprefix("source <(").removesuffix(")")
    words = re.split(r" (?:<|>>) ", call)[0]
    program, *arguments = shlex.split(words)
    assert (program, name in arguments) == ("costledger", True)
    context = cli.make_context("costledger", arguments, resilient_parsing=False)
    command = BY_NAME[name]
    assert command is not None
    rest = arguments[arguments.index(name) + 1 :]
    if not isinstance(command, click.Group):
        command.make_context(name, rest, parent=context)


@pytest.mark.parametrize(("name", "command"), SUB_COMMANDS)
def test_a_command_of_a_command_has_an_example_too(name: str, command: click.Command) -> None:
    assert f"costledger {name}" in (command.epilog or "")


EVERY = [(name, command) for name, command in BY_NAME.items() if command is not None] + SUB_COMMANDS


@pytest.mark.parametrize(("name", "command"), EVERY)
def test_help_is_of_whole_sentences_that_fit_a_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, command: click.Command
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = run(*name.split(), "--help").out.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert not re.search(r"\w\.\.\.$", "\n".join(lines), re.M), "a sentence is cut"
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(command.help or "")):
        assert paragraph.startswith("\b") or paragraph.endswith((".", ":")), paragraph
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert re.match(r"[A-Z$\[a-z]", option.help or ""), f"{option.name} is not explained"
            assert (option.help or "").endswith((".", "…", "]")), option.help


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_a_shell(run: Run, shell: str) -> None:
    done = run("completion", shell)
    assert (done.code, "_COSTLEDGER_COMPLETE" in done.out) == (0, True)
    if shutil.which(shell) is not None:
        assert subprocess.run([shell, "-n"], input=done.out, text=True, check=False).returncode == 0
    assert run("completion", "tcsh").code == 2


def completed(folder: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    given = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1), "_COSTLEDGER_COMPLETE": "bash_complete"}
    done = costledger(folder, environment=given)
    assert (done.code, done.err) == (0, "")
    return [line.removeprefix("plain,") for line in done.out.split()]


def test_commands_options_and_ids_are_completed(tmp_path: Path) -> None:
    for name in ("a5b80595", "a5ffee01", "b7c1"):
        DirectoryStore(tmp_path / "data").append([cost_observed(name, cost_usd="1")])
    assert completed(tmp_path, "costledger", "hi") == ["history"]
    assert completed(tmp_path, "costledger", "history", "--sin") == ["--since"]
    assert completed(tmp_path, "costledger", "show", "a5") == ["a5b80595", "a5ffee01"]
    assert completed(tmp_path, "costledger", "--data", "nowhere", "check", "a5") == []


def test_projects_templates_and_tools_are_completed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "data")
    store.append([workflow_started("w1", project="/home/me/web-shop", workflow_template="adw_sdlc")])
    store.append([workflow_started("w2", project="Web Site", workflow_template="adw_plan")])
    store.append([cost_observed("w1", cost_usd="1", source={"kind": "claude"})])
    store.append([cost_observed("w2", cost_usd="1", source={"kind": "codex"})])
    assert completed(tmp_path, "costledger", "history", "--project", "") == [], "nothing is stored yet, or replayed now"
    assert not (tmp_path / "data/history.db").exists()
    assert costledger(tmp_path, "refresh").code == 0
    assert completed(tmp_path, "costledger", "history", "--project", "WEB") == ["web-shop"], "no name that needs quotes"
    assert completed(tmp_path, "costledger", "history", "--template", "adw_") == ["adw_plan", "adw_sdlc"]
    assert completed(tmp_path, "costledger", "history", "--tool", "") == ["claude-code", "codex"]
    assert completed(tmp_path, "costledger", "history", "--tool", "co") == ["codex"]
    assert completed(tmp_path, "costledger", "stale", "--accept", "w") == ["w1", "w2"]


@pytest.mark.parametrize("option", ["--project", "--template", "--tool"])
def test_a_completion_is_never_an_error(tmp_path: Path, option: str) -> None:
    (tmp_path / "data" / "ledgers").mkdir(parents=True)
    (tmp_path / "data" / "history.db").write_bytes(b"this is no database" * 100)
    assert completed(tmp_path, "costledger", "history", option, "w") == []
    elsewhere = ("--history", "postgresql://nowhere.invalid/costs")
    assert completed(tmp_path, "costledger", *elsewhere, "history", option, "w") == [], "and asks no other machine"
    (tmp_path / "costledger.toml").write_text("[", encoding="utf-8")
    assert completed(tmp_path, "costledger", "history", option, "w") == []
    assert completed(tmp_path, "costledger", "--data", "costledger.toml", "show", "w") == []


def test_a_completion_is_bounded(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "ledgers"
    folder.mkdir(parents=True)
    for number in range(300):
        (folder / f"w{number:03}.jsonl").touch()
    assert len(completed(tmp_path, "costledger", "show", "w")) == 100
    assert len(completed(tmp_path, "costledger", "show", "w29")) == 10


def head(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code and stderr of a command whose output is closed before it has written."""
    read, write = os.pipe()
    os.close(read)
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "projections", *arguments]
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            command,
            cwd=folder,
            stdout=closed,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            check=False,
            env=environment,
        )
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize(
    "arguments",
    [["history"], ["history", "--json"], [], ["--help"], ["daily", "--csv"], ["observe", "v", "--cost-usd", "1"]],
)
def test_a_reader_that_has_enough_is_no_error(tmp_path: Path, arguments: list[str]) -> None:
    DirectoryStore(tmp_path / "data").append([cost_observed("w", cost_usd="1")])
    assert head(tmp_path, *arguments) == (0, "")


WRITES = {
    "charge": ["v", "--cost-usd", "1"],
    "correct": ["w", "--cost-usd", "2", "--reason", "invoice"],
    "import": ["claude", "logs"],
    "watch": ["--once"],
    "completion": ["bash"],
    "prices": ["claude-sonnet-4-5"],
    "reprice": ["--reason", "rates"],
    "salvage": ["w"],
    "install": ["claude-code"],
    "token": ["list"],
    "replicate": ["--status"],
    **{name: ["w"] for name in ("show", "explain", "check", "start", "complete", "fail", "cancel", "resync")},
    "observe": ["w", "--cost-usd", "1"],
}
"""Arguments of commands that need some."""

LASTING = {"serve", "project", "restore", "hook", "statusline"}
"""Commands that last, need an engine, or that Claude Code calls."""


@pytest.mark.parametrize("name", sorted(set(cli.list_commands(click.Context(cli))) - LASTING))
def test_a_pipe_without_a_reader_is_no_error_of_any_command(run: Run, tmp_path: Path, name: str) -> None:
    for folder in (tmp_path, cut := tmp_path / "cut"):
        DirectoryStore(folder / "data").append([cost_observed("w", cost_usd="1")])
        write(folder / "logs" / "s1.jsonl", said("m1", 5))
    read = run(name, *WRITES.get(name, []))
    code, answer = head(cut, name, *WRITES.get(name, []))
    assert code == read.code
    assert "closed" not in answer
    assert "Traceback" not in answer


def test_work_goes_on_when_no_process_reads_its_output(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "data")
    store.append([cost_observed("w", cost_usd="1")])
    path = tmp_path / "data" / "ledgers" / "w.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"cost_usd":"1.00"', b'"cost_usd":"9.00"'))
    assert head(tmp_path, "verify")[0] == 3, "a finding is found"


def test_columns_count_in_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("observe", "w", "--cost-usd", "1", "--model", "claude-sonnet-4-5")
    for columns in ("40", "80"):
        monkeypatch.setenv("COLUMNS", columns)
        assert max(map(len, run("history").out.splitlines())) <= int(columns)
    monkeypatch.delenv("COLUMNS")
    assert max(map(len, run("history").out.splitlines())) > 80


@pytest.mark.parametrize("arguments", [("--data", "", "history"), ("history", "--data", "")])
def test_an_empty_data_directory_is_not_the_current_folder(run: Run, arguments: tuple[str, ...]) -> None:
    refused = run(*arguments)
    assert (refused.code, refused.out) == (2, "")
    assert "Invalid value for '--data': the path is empty; name a folder" in refused.err


def test_models_in_use_are_completed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "data")
    store.append([cost_observed("w1", cost_usd="1", model="claude-opus-4-5")])
    store.append([cost_observed("w2", usage={"output_tokens": 5}, model="who-knows-1")])
    assert costledger(tmp_path, "refresh").code == 0
    assert completed(tmp_path, "costledger", "prices", "") == ["claude-opus-4-5", "who-knows-1"]
    assert completed(tmp_path, "costledger", "prices", "cl") == ["claude-opus-4-5"]


def test_help_is_a_command_too(run: Run) -> None:
    assert run("help").out == run("--help").out
    assert run("help", "history").out == run("history", "--help").out
    assert run("help", "token", "create").out == run("token", "create", "--help").out
    refused = run("help", "histroy")
    assert (refused.code, "Did you mean 'history'?" in refused.err) == (2, True)
    assert run("help", "history", "x").code == 2
