"""What may not be read is named with the reason, and everything else goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.transcript_lines import asked, counted, meta, said, turn, write
from tests.permissions import costledger_at


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Two projects of Claude Code and a session of Codex."""
    projects = tmp_path / ".claude" / "projects"
    write(projects / "a" / "s1.jsonl", asked(), said("m1", 5))
    write(projects / "b" / "s2.jsonl", asked(0, "s2"), said("m2", 6, session="s2"))
    write(tmp_path / ".codex" / "sessions" / "2026" / "r.jsonl", meta("c1"), turn(), counted(9, 0, 9))
    write(tmp_path / ".codex" / "sessions" / "2025" / "r.jsonl", meta("c2"), turn(), counted(9, 0, 9))
    yield tmp_path
    for folder in (tmp_path / ".claude", projects, projects / "b", tmp_path / ".codex/sessions/2025"):
        folder.chmod(0o700)


def test_a_folder_of_transcripts_that_cannot_be_read_is_reported_at_every_import(home: Path) -> None:
    for kind, closed in (("claude", ".claude/projects/b"), ("codex", ".codex/sessions/2025")):
        (home / closed).chmod(0)
        for _ in range(2):
            code, out, _ = costledger_at(home, "import", kind, "--json")
            assert code == 0
            skipped = [(each["file"], each["reason"]) for each in json.loads(out)["skipped"]]
            assert skipped == [(str(home / closed), "cannot be read: Permission denied")]
    code, _, err = costledger_at(home)
    assert code == 0
    assert err.count("1 input in 1 file could not be read; `costledger import") == 2
    assert costledger_at(home)[2] == err
    (home / ".claude/projects/b").chmod(0o700)
    assert "s2" in costledger_at(home, "history")[1]


def test_a_file_that_could_not_be_read_is_read_once_it_may_be(home: Path) -> None:
    file = home / ".claude/projects/b/s2.jsonl"
    file.chmod(0)
    assert "1 input in 1 file could not be read" in costledger_at(home)[2]
    assert "1 input of Claude Code was skipped" in costledger_at(home, "sources")[1]
    file.chmod(0o600)
    assert "s2" in costledger_at(home, "history")[1]
    assert "could not be read" not in costledger_at(home)[2]


def test_crushs_list_of_projects_and_a_project_that_cannot_be_read_are_named(home: Path) -> None:
    place, project = home / ".local/share/crush", home / "shop"
    (project / ".crush").mkdir(parents=True)
    place.mkdir(parents=True)
    projects = place / "projects.json"
    projects.write_text(json.dumps({"projects": [{"data_dir": str(project / ".crush")}]}))
    for closed, named in ((project, project / ".crush/crush.db"), (projects, projects)):
        closed.chmod(0)
        assert f"costledger: crush: {named}: cannot be read: Permission denied\n" in costledger_at(home)[2]
        closed.chmod(0o700)


@pytest.mark.parametrize("closed", [".claude", ".claude/projects"])
def test_one_agents_folder_that_cannot_be_read_does_not_stop_the_others(home: Path, closed: str) -> None:
    (home / closed).chmod(0)
    refused = f"costledger: {home / '.claude/projects'}: cannot be read: Permission denied\n"
    code, _, err = costledger_at(home, "import", "claude")
    assert (code, err) == (1, refused)
    code, out, err = costledger_at(home)
    problem = f"costledger: claude: {home / '.claude/projects'}: cannot be read: Permission denied\n"
    read = f"costledger: imported 4 events of 2 workflows from {home / '.codex'}: $0.0002 in all\n"
    assert (code, err) == (0, problem + read)
    assert "in 2 workflows" in out
    (home / closed).chmod(0o700)
    assert "in 4 workflows" in costledger_at(home)[1]


def test_a_folder_of_logs_that_cannot_be_read_is_skipped_in_other_kinds_too(home: Path) -> None:
    row = '{"request_id": "r1", "spend": 0.5, "model": "gpt-5", "startTime": "2026-11-20T10:00:00Z"}\n'
    write(home / "spend" / "a" / "x.jsonl", row.encode())
    write(home / "spend" / "b" / "y.jsonl", row.encode())
    (home / "spend" / "b").chmod(0)
    command = ("import", "litellm", "spend", "--workflow-id", "w", "--json")
    code, out, _ = costledger_at(home, *command)
    skipped = [(Path(each["file"]).name, each["reason"]) for each in json.loads(out)["skipped"]]
    assert (code, skipped) == (0, [("b", "cannot be read: Permission denied")])
    (home / "spend" / "a").chmod(0)
    code, _, err = costledger_at(home, *command)
    assert (code, err) == (1, "costledger: spend/a: cannot be read: Permission denied\n")
    for folder in ("a", "b"):
        (home / "spend" / folder).chmod(0o700)


def test_an_agents_folder_of_a_workflow_that_cannot_be_read_is_skipped(home: Path) -> None:
    for name in ("w1", "w2"):
        write(home / "agents" / name / "plan" / "raw_output.jsonl", b"")
    (home / "agents" / "w1" / "plan").chmod(0)
    (home / "agents" / "w2").chmod(0)
    code, out, _ = costledger_at(home, "import", "adw", "agents", "--json")
    skipped = [(each["file"], each["reason"]) for each in json.loads(out)["skipped"]]
    assert code == 0
    assert skipped == [
        ("agents/w1/plan", "cannot be read: Permission denied"),
        ("agents/w2", "cannot be read: Permission denied"),
        ("agents/w2/adw_state.json", "cannot be read: Permission denied"),
    ]
    for folder in ("agents/w2", "agents/w1/plan"):
        (home / folder).chmod(0o700)


@pytest.mark.parametrize("command", ["history", "check", "", "stale", "verify"])
@pytest.mark.parametrize("closed", ["data", "data/ledgers"])
def test_a_data_directory_that_cannot_be_read_is_named(home: Path, command: str, closed: str) -> None:
    assert costledger_at(home, "--data", "data", "observe", "w", "--cost-usd", "1")[0] == 0
    (home / "costledger.toml").write_text('data = "data"\n')
    (home / closed).chmod(0)
    code, _, err = costledger_at(home, *command.split())
    (home / closed).chmod(0o700)
    assert code == 1
    assert err.startswith("costledger: could not ")
    assert "data" in err
    assert "Permission denied" in err
    assert "nothing was acknowledged" not in err
