"""Rows that a person can read: title, project, branch, tool and agents in `history` and `show`."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger.importing.titles import TITLES_FILE
from projections.cli.output.text import project_names
from tests.ledger.transcript_lines import asked, counted, meta, said, turn, write
from tests.projections.cli.commands.test_spend import on_a_terminal
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]

CLAUDE, CODEX = "5d1f0c52-8a0e-4c4e-9c39-2d5f5a0b7e01", "019fc8be-3658-7ca3-9e29-000000000001"
TITLE = "Make the checkout survive a payment that is confirmed twice"


@pytest.fixture
def sessions(run: Run, tmp_path: Path) -> Run:
    """One session of Claude Code with two sub-agents, one of Codex."""
    where: dict[str, Any] = {"cwd": "/home/dev/shop/.worktrees/fix"}
    words = {"message": {"role": "user", "content": TITLE}, "gitBranch": "fix/payments"}
    folder = tmp_path / "claude"
    write(
        folder / f"{CLAUDE}.jsonl",
        asked(0, CLAUDE, **where, **words),
        said("m1", 5000, 1, CLAUDE, branch="fix/payments", **where),
        asked(9, CLAUDE, toolUseResult={"agentId": "a5cbd18", "agentType": "Explore", "usage": {}}),
    )
    write(folder / "agent-a5cbd18.jsonl", said("m2", 700, 2, CLAUDE, agent="a5cbd18"))
    write(folder / "agent-adfd7ee0.jsonl", said("m3", 900, 3, CLAUDE, agent="adfd7ee0"))
    write(tmp_path / "codex" / "r.jsonl", meta(CODEX), turn(), counted(9000, 0, 900))
    assert run("import", "claude", str(folder)).code == 0
    assert run("import", "codex", str(tmp_path / "codex")).code == 0
    return run


def test_history_shows_what_a_person_knows_their_work_by(sessions: Run) -> None:
    codex, claude = sessions("history").out.splitlines()[2:4]
    assert [part for part in re.split(r" {3,}", claude.strip()) if part][:4] == [CLAUDE, TITLE, "shop", "fix/payments"]
    assert "Claude Code" in claude
    assert "(shop)" in codex
    assert "Codex" in codex
    shown = {row["adw_id"]: row for row in sessions("history", "--json").json["workflows"]}
    named = [(row["title"], row["project"], row["branch"], row["tool"]) for row in (shown[CLAUDE], shown[CODEX])]
    assert named == [
        (TITLE, "/home/dev/shop", "fix/payments", "Claude Code"),
        (None, "/home/dev/shop", "main", "Codex"),
    ]


@pytest.mark.parametrize(
    ("columns", "title", "shown"),
    [
        (80, "Make the", {"title", "project", "cost", "tool", "last activity"}),
        (120, "Make the", {"title", "project", "branch", "status", "tool", "last activity"}),
        (140, "Make the checkout", {"title", "project", "branch", "status", "tool", "model", "last activity"}),
        (200, "Make the checkout survive a payment", {"title", "project", "branch", "tool", "basis", "model"}),
    ],
)
@pytest.mark.usefixtures("sessions")
def test_history_fits_a_terminal_with_its_most_useful_columns(
    tmp_path: Path, columns: int, title: str, shown: set[str]
) -> None:
    drawn = on_a_terminal(columns, "--data", str(tmp_path / "data"), "history")
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in drawn.splitlines()]
    assert max(map(len, lines)) <= columns
    head = next(line for line in lines if "workflow" in line)
    assert shown <= set(re.split(r" {2,}", head.strip()))
    assert sum(title in line and "5d1f0c52…" in line and "$0.1734" in line for line in lines) == 1, "on one line"


def test_show_says_all_of_it_and_names_sub_agents(sessions: Run) -> None:
    shown = sessions("show", CLAUDE).out
    for line in (f"title   {TITLE}", "project /home/dev/shop", "branch  fix/payments", "tool    Claude Code"):
        assert f"\n{line}\n" in shown
    assert "Explore (sub-agent of main)" in shown
    assert "unnamed, adfd7ee0 (sub-agent of main)" in shown


def test_titles_can_be_turned_off(sessions: Run, tmp_path: Path) -> None:
    assert TITLE in sessions("history").out
    assert (tmp_path / "data" / TITLES_FILE).is_file()
    (tmp_path / "costledger.toml").write_text("titles = false\n")
    for command in (["history"], ["history", "--json"], ["show", CLAUDE], ["show", CLAUDE, "--json"]):
        assert TITLE not in sessions(*command).out
    assert not (tmp_path / "data" / TITLES_FILE).exists()
    (tmp_path / "costledger.toml").write_text("titles = 1\n")
    assert "titles: " in sessions("history").err


def test_a_history_of_an_earlier_version_gets_the_new_columns(sessions: Run, tmp_path: Path) -> None:
    rows = sessions("history", "--json").json["workflows"]
    with closing(sqlite3.connect(tmp_path / "data" / "history.db")) as db, db:
        db.execute("UPDATE costledger_meta SET value = 5 WHERE key = 'schema_version'")
        db.execute("UPDATE costledger_meta SET value = 4 WHERE key = 'fold_version'")
        db.execute("DROP TRIGGER IF EXISTS costledger_row_changed")
        db.execute("DROP TRIGGER IF EXISTS workflow_history_changed")
        db.execute("DROP INDEX IF EXISTS workflow_history_dimensions")
        db.execute("ALTER TABLE workflow_history DROP COLUMN branch")
        db.execute("ALTER TABLE workflow_history DROP COLUMN tool")
    assert sessions("history", "--json").json["workflows"] == rows


def test_projects_of_one_name_are_told_apart_by_the_folder_above() -> None:
    assert project_names(["/h/a/shop", "/h/b/shop", "/h/till", "C:\\code\\web", "named", "/", None]) == {
        "/h/a/shop": "a/shop",
        "/h/b/shop": "b/shop",
        "/h/till": "till",
        "C:\\code\\web": "web",
        "named": "named",
        "/": "/",
        None: "",
    }
