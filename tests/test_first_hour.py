"""The first hour: a home with agents' logs and nothing else, one command, and what a person does next."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.importing.message_index import INDEX_FILE
from ledger.importing.source_registry import SourceRegister
from ledger.storage.directory_store import DirectoryStore
from tests.clients.verdict import BELOW, EXACT, EXACT_AT_LEAST, Truth, outcomes
from tests.command import Done, costledger
from tests.conftest import PROJECT
from tests.ledger.transcript_lines import counted, meta, raw, said, turn
from tests.permissions import costledger_at

OURS = ("COSTLEDGER_", "XDG_DATA_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME")
OPUS_USD = 10 * 5e-6 + 200 * 6.25e-6 + 3000 * 0.5e-6
"""Of a response of `said`, but for its output, at 25 USD per million tokens."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A person's machine: a home, and the command."""

    home: Path

    def run(self, *arguments: str, folder: Path | None = None, **environment: str) -> Done:
        """Run `costledger` in the home, or in another folder."""
        elsewhere = dict.fromkeys(name for name in os.environ if name.startswith(OURS))
        there = elsewhere | {"HOME": str(self.home)} | environment
        done = costledger(folder or self.home, *arguments, environment=there)
        assert "Traceback" not in done.err
        return done

    @property
    def data(self) -> Path:
        """The user's own data directory."""
        return self.home / ".local" / "share" / "costledger"

    def claude(self, session: str, days_ago: int, *records: Any) -> Path:
        """Write a transcript of Claude Code, all of it at one moment."""
        path = self.home / ".claude" / "projects" / "-home-dev-shop" / f"{session}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(_at(days_ago, raw(*records)))
        return path

    def codex(self, session: str, days_ago: int, *records: Any) -> Path:
        """Write a rollout of Codex, all of it at one moment."""
        path = self.home / ".codex" / "sessions" / "2026" / "08" / "01" / f"rollout-{session}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_at(days_ago, raw(meta(session), turn(), *records)))
        return path


def _at(days_ago: int, lines: bytes) -> bytes:
    """Lines with the moment of so many days ago in place of their own."""
    moment = datetime.now().astimezone() - timedelta(days=days_ago)
    return lines.replace(b"2026-08-01T08:00:00.123Z", moment.isoformat().encode())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which no agent was ever used."""
    home = tmp_path / "home"
    home.mkdir()
    return Machine(home)


@pytest.fixture
def used(machine: Machine) -> Machine:
    """A machine with one session of Claude Code today, one three days and one twenty days ago, and one of Codex."""
    machine.claude("s-today", 0, said("msg_1", 288, session="s-today"))
    machine.claude("s-week", 3, said("msg_2", 688, session="s-week"))
    machine.claude("s-month", 20, said("msg_3", 3888, session="s-month"))
    machine.codex("x-week", 3, counted(1000, 200, 50))
    return machine


TODAY, WEEK, MONTH, CODEX = OPUS_USD + 0.0072, OPUS_USD + 0.0172, OPUS_USD + 0.0972, 0.001525


def figures(answer: dict[str, Any]) -> list[float]:
    names = ("last_7_days", "last_30_days", "in_all")
    return [float(answer["spent_usd"]), *(float(answer[name]["cost_usd"]) for name in names)]


def test_one_command_shows_the_whole_picture(used: Machine) -> None:
    answer = used.run("--json").json
    month = TODAY + WEEK + MONTH + CODEX
    assert figures(answer) == pytest.approx([TODAY, TODAY + WEEK + CODEX, month, month], abs=1e-9)
    assert float(answer["by_tool"]["Codex"]["last_7_days"]["cost_usd"]) == pytest.approx(CODEX, abs=1e-9)
    assert float(answer["by_tool"]["Claude Code"]["in_all"]["cost_usd"]) == pytest.approx(
        TODAY + WEEK + MONTH, abs=1e-9
    )
    assert list(answer["by_model"]) == ["claude-opus-4-5-20251101", "gpt-5"]
    assert ([run["adw_id"] for run in answer["running"]], answer["idle"]) == (["s-today"], 3)
    assert answer["data"] == {"path": str(used.data), "named_by": "user", "rows": str(used.data)}
    shown = used.run()
    assert (shown.code, shown.err) == (0, "")
    for text in ("spent at least $0.0100; in all", "Claude Code", "Codex", "gpt-5", "≥ $0.0300", "Running now"):
        assert text in shown.out
    assert f"data: {used.data} (your own, the same from every folder)" in shown.out


def test_the_second_run_and_another_folder_show_the_same_and_append_nothing(used: Machine, tmp_path: Path) -> None:
    first = used.run()
    ledgers = {path: path.stat().st_size for path in (used.data / "ledgers").iterdir()}
    other = tmp_path / "other" / "deeper"
    other.mkdir(parents=True)
    assert used.run().out == used.run(folder=other).out == first.out
    assert {path: path.stat().st_size for path in (used.data / "ledgers").iterdir()} == ledgers
    assert [*other.iterdir()] == []


def test_nothing_is_read_unasked_into_a_directory_that_is_named_or_a_projects(used: Machine, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "data" / "ledgers").mkdir(parents=True)
    named, empty = tmp_path / "named", "no workflows in"
    for done in (
        used.run("--data", str(named)),
        used.run("history", COSTLEDGER_DATA=str(named)),
        used.run(folder=project),
        used.run("history", folder=project),
    ):
        assert (done.code, empty in done.out) == (0, True)
    assert not named.exists()
    assert [*(project / "data" / "ledgers").iterdir()] == []
    assert not used.data.exists()


def test_a_named_directory_reads_what_it_remembers(used: Machine, tmp_path: Path) -> None:
    named = str(tmp_path / "named")
    used.run("--data", named, "import", "codex")
    assert list(used.run("--data", named, "--json").json["by_tool"]) == ["Codex"]
    used.codex("x-new", 0, counted(2000, 0, 100))
    assert len(used.run("--data", named, "history", "--json").json["workflows"]) == 2


def test_an_empty_machine_says_what_it_looked_for(machine: Machine) -> None:
    done = machine.run()
    assert (done.code, done.err) == (0, "")
    for text in ("~/.config/claude/projects, ~/.claude/projects", "~/.codex/sessions", "costledger demo"):
        assert text in done.out
    assert machine.run("--json").json["looked_in"]["claude"][1] == str(machine.home / ".claude" / "projects")
    assert [*machine.home.iterdir()] == [], "looking makes nothing"


def test_a_tool_that_was_installed_and_never_used_is_no_problem(used: Machine) -> None:
    shutil.rmtree(used.home / ".codex" / "sessions" / "2026")
    done = used.run()
    assert (done.code, "Claude Code" in done.out) == (0, True)
    assert done.err == first_import(used, 6, 3, "at least $0.1300", ".claude")
    assert [entry.kind for entry in SourceRegister(used.data).entries()] == ["claude"]


def first_import(machine: Machine, events: int, workflows: int, cost: str, *folders: str) -> str:
    """The line on stderr of a first import."""
    read = ", ".join(str(machine.home / folder) for folder in folders)
    return f"costledger: imported {events} events of {workflows} workflows from {read}: {cost} in all\n"


READS_FIRST = [["--json"], ["history", "--json"], ["daily", "--json"], ["session", "--json"]]


@pytest.mark.parametrize("command", READS_FIRST)
def test_reading_imports_what_is_new(used: Machine, command: list[str]) -> None:
    used.run(*command)
    used.claude("s-today", 0, said("msg_4", 288, session="s-today"))
    assert used.run(*command).code == 0
    assert events(used, "s-today") == 2


@pytest.mark.parametrize("command", [["show", "s-today"], ["explain", "s-today"], ["stale"], ["check"], ["verify"]])
def test_what_looks_into_the_ledgers_imports_nothing(used: Machine, command: list[str]) -> None:
    used.run()
    used.claude("s-today", 0, said("msg_4", 288, session="s-today"))
    assert used.run(*command).code == 0
    assert events(used, "s-today") == 1


def test_importing_can_be_turned_off(used: Machine) -> None:
    assert "nothing was imported: --no-import" in used.run("--no-import").out
    used.run()
    used.claude("s-today", 0, said("msg_4", 288, session="s-today"))
    used.run("history", "--no-import")
    (used.data / "costledger.toml").write_text("auto_import = false\n")
    used.run("history")
    assert events(used, "s-today") == 1


def events(machine: Machine, workflow_id: str) -> int:
    return sum(line["type"] == "cost_observed" for line in DirectoryStore(machine.data).read(workflow_id))


@pytest.fixture
def behind(used: Machine) -> Iterator[Machine]:
    """A machine whose data directory has not read the latest response."""
    used.run()
    used.claude("s-today", 0, said("msg_4", 288, session="s-today"))
    yield used
    used.run("history")
    assert events(used, "s-today") == 2, "once nothing is in the way it is read"


def test_another_import_is_not_waited_for(behind: Machine) -> None:
    with closing(sqlite3.connect(behind.data / INDEX_FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = behind.run("--json")
    assert (done.code, done.json["in_all"]["workflows"]) == (0, 4)
    assert "what is new was not imported: another import is running; shown is what is stored" in done.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_nothing_is_written_into_another_users_directory(behind: Machine) -> None:
    os.chown(behind.data, 12345, 12345)
    done = behind.run("history", "--json")
    assert (done.code, done.json["total_count"]) == (0, 4)
    assert f"{behind.data} belongs to another user" in done.err
    os.chown(behind.data, 0, 0)


def test_a_directory_that_cannot_be_written_is_read(behind: Machine) -> None:
    behind.data.chmod(0o500)
    code, printed, errors = costledger_at(behind.home, "history", "--json")
    behind.data.chmod(0o700)
    assert (code, json.loads(printed)["total_count"]) == (0, 4)
    assert f"{behind.data} cannot be written" in errors


def test_a_bad_file_is_reported_at_every_import_with_the_command_that_shows_it(used: Machine) -> None:
    used.claude("s-bad", 1, b"no json\n", b"nor this\n", said("msg_9", 5, session="s-bad"))
    claude = used.home / ".claude"
    line = f"costledger: 1 input in 1 file could not be read; `costledger import claude {claude}` lists it\n"
    assert used.run().err == line + first_import(used, 10, 5, "at least $0.1344", ".claude", ".codex")
    assert [used.run().err, used.run("history").err] == [line] * 2
    used.claude("s-bad", 1, said("msg_10", 5, session="s-bad"))
    assert used.run("daily").err == line, "also once the file has grown"
    shown = used.run("import", "claude", str(claude)).out
    assert "s-bad.jsonl:1" in shown
    assert "1 input skipped" in shown


def test_a_source_that_is_gone_is_passed_over(used: Machine) -> None:
    used.run()
    shutil.rmtree(used.home / ".codex")
    done = used.run("history", "--json")
    assert (done.code, done.err, done.json["total_count"]) == (0, "", 4)


def test_ledgers_restored_from_an_older_copy_are_read_into_again(used: Machine, tmp_path: Path) -> None:
    used.run()
    ledger = used.data / "ledgers" / "s-today.jsonl"
    before = shutil.copy(ledger, tmp_path / "before.jsonl")
    used.claude("s-today", 0, said("msg_4", 288, session="s-today"))
    used.run()
    shutil.copy(before, ledger)
    assert used.run("history").code in (0, 3)
    assert events(used, "s-today") == 2


def test_an_adw_project_in_the_folder_is_offered_until_it_was_imported(machine: Machine, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT / "data" / "examples" / "4-tested" / "agents", project / "agents")
    offer = "costledger import adw agents"
    assert offer in machine.run(folder=project).out
    assert machine.run("--json", folder=project).json["adw_project"] == str(project / "agents")
    done = machine.run("import", "adw", "agents", folder=project)
    assert done.out.endswith(f"at least $1.7600 in 1 workflow of {machine.data}\n")
    assert offer not in machine.run(folder=project).out


def test_a_budget_that_is_nearly_spent_is_shown(used: Machine) -> None:
    used.data.mkdir(parents=True)
    (used.data / "costledger.toml").write_text('[budgets]\ndefault_usd = "0.0105"\n')
    assert [each["adw_id"] for each in used.run("--json").json["budgets"]] == ["s-month", "s-week", "s-today"]
    shown = used.run().out
    assert "Near or over the budget" in shown
    assert "95 %   ≤ $0.0005 left" in shown


def test_real_clients_logs_give_the_figures_of_the_api_that_answered(machine: Machine, shared_data: Path) -> None:
    claude, codex = shared_data / "clients" / "claude-code-2.1.332", shared_data / "clients" / "codex-0.171.0"
    shutil.copytree(claude / "homes" / "resume" / ".claude", machine.home / ".claude")
    shutil.copytree(codex / ".codex" / "sessions", machine.home / ".codex" / "sessions")
    assert machine.run().code == 0
    ledgers = DirectoryStore(machine.data)
    compared = [one for folder in (claude, codex) for one in outcomes(ledgers, Truth.read(folder))]
    assert {one.kind for one in compared} <= {EXACT, EXACT_AT_LEAST, BELOW}
    assert sum(one.kind == EXACT for one in compared) > len(compared) // 2
    answer = machine.run("--json").json
    rows = machine.run("history", "--json").json["workflows"]
    assert answer["in_all"]["workflows"] == len(rows) >= 10
    assert float(answer["in_all"]["cost_usd"]) == pytest.approx(sum(float(row["actual_cost_total"]) for row in rows))


def test_a_cut_transcript_is_being_written_for_an_hour_and_is_named_after_that(used: Machine) -> None:
    path = used.claude("s-cut", 0, said("msg_9", 5, session="s-cut"))
    with path.open("ab") as file:
        file.write(b'{"type":"assistant","mess')
    claude = used.home / ".claude"
    first = used.run("--json")
    assert "cut in the middle" not in first.err
    os.utime(path, (moment := time.time() - 2 * 3600, moment))
    line = f"the last line of 1 file is cut in the middle; `costledger import claude {claude}` lists it\n"
    assert [used.run().err, used.run("history").err] == [f"costledger: {line}"] * 2
    assert "is cut in the middle" in used.run("import", "claude", str(claude)).out
    used.claude("s-cut", 0, said("msg_10", 5, session="s-cut"))
    assert "cut in the middle" not in used.run().err


def test_a_home_that_cannot_be_written_still_shows_the_figures(used: Machine) -> None:
    used.home.chmod(0o500)
    code, printed, errors = costledger_at(used.home, "--json")
    used.home.chmod(0o700)
    assert (code, json.loads(printed)["in_all"]["workflows"]) == (0, 4)
    assert f"{used.home} cannot be written; the logs are read for this command only, and nothing is stored" in errors
    assert not used.data.exists()
