"""`costledger sources`, and an import of all that is found: what was found where, and what is not read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ledger.importing.message_index import MessageIndex
from ledger.sources.agent_places import agent_folders
from ledger.sources.agents import AGENTS
from ledger.sources.coverage import DECLINED
from ledger.storage.directory_store import DirectoryStore
from projections.folding.tools import split_tools
from tests.command import Done
from tests.conftest import PROJECT
from tests.ledger.sources.agent_home import use_agents
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]

OTLP = str(PROJECT / "tests" / "ledger" / "samples" / "otlp-logs.jsonl")


@pytest.fixture
def home(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing is, and the user's own data directory in it."""
    assert run("history").code == 0
    shutil.rmtree(tmp_path / "data")
    home = tmp_path / "home"
    home.mkdir()
    for name in ("PI_CODING_AGENT_DIR", "GEMINI_CLI_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    return home


@pytest.fixture
def kinds(home: Path) -> list[str]:
    """The agents that were used in that home: each with a sample."""
    assert [*home.iterdir()] == []
    kinds = use_agents()
    assert {"claude", "codex", "gemini", "opencode"} <= {*kinds}
    return kinds


def tools(done: Done) -> dict[str, Any]:
    assert done.code == 0, done.err
    return {tool["tool"]: tool for tool in done.json["tools"]}


def test_each_tool_that_was_used_is_found_with_its_sessions(run: Run, home: Path, kinds: list[str]) -> None:
    found = tools(run("sources", "--json"))
    assert {*found} == {AGENTS[kind].label for kind in kinds}
    for tool in found.values():
        assert tool["sessions"] > 0
        assert tool["last_activity"] > "2025"
        assert {place["state"] for place in tool["places"]} == {"read"}
        assert all(place["cannot_show"] for place in tool["places"])
    sessions = {"ses_a1", "ses_child", "ses_fork", "ses_new", "ses_old"}
    assert found["OpenCode"]["sessions"] == len(sessions)
    assert found["OpenCode"]["places"][0]["path"] == str(home / ".local" / "share" / "opencode")


def test_the_tools_that_were_not_found_are_named_with_where_they_were_looked_for(run: Run, home: Path) -> None:
    shown = run("sources")
    assert "no logs of a known tool were found" in shown.out
    text = " ".join(shown.out.split())  # a list takes several lines
    looked_for, without = text.partition("looked for, and not found: ")[2].split(
        "without a default place (name a PATH): "
    )
    for kind, entry in AGENTS.items():
        assert entry.label in (looked_for if agent_folders(kind) else without)
    missing = {tool["tool"]: tool["looked_in"] for tool in run("sources", "--json").json["not_found"]}
    assert missing["Codex"] == [str(folder) for folder in agent_folders("codex")]
    assert [*home.iterdir()] == [], "looking makes nothing"


def test_declined_tools_are_named_with_the_reason(run: Run, home: Path) -> None:
    (home / ".cursor").mkdir()
    shown, answer = run("sources").out, run("sources", "--json").json
    assert "Cursor (found here)" in shown
    assert "hold no reliable tokens" in shown
    assert {tool["tool"] for tool in answer["declined"]} == {tool.name for tool in DECLINED}
    assert [tool["tool"] for tool in answer["declined"] if tool["found"]] == ["Cursor"]


@pytest.mark.usefixtures("kinds")
def test_what_was_skipped_is_shown_with_the_reason(run: Run, home: Path) -> None:
    bad = home / ".claude" / "projects" / "-home-ann" / "bad.jsonl"
    bad.parent.mkdir(parents=True)
    bad.write_text("no json\n\n{}\n", encoding="utf-8")
    run("import", "otlp", OTLP)
    found = tools(run("sources", "--json"))
    assert [(one["file"], one["line"]) for one in found["Claude Code"]["skipped"]] == [(str(bad), 1)]
    assert found["Claude Code"]["places"][0]["skipped_inputs"] == 1
    assert found["OpenTelemetry"]["places"][0]["path"] == OTLP
    assert "is not JSON" in run("sources").out


@pytest.mark.usefixtures("kinds")
def test_a_forgotten_default_place_stays_forgotten_until_it_is_named(run: Run, home: Path) -> None:
    place = str(home / ".codex")
    run("history")
    assert run("sources", "--forget", place).out == "forgotten: Codex in ~/.codex; what was read from it stays\n"
    rollout = next((home / ".codex" / "sessions").rglob("*.jsonl"))
    before = run("history", "--json", "--tool", "codex").json
    rollout.with_name("rollout-new.jsonl").write_bytes(rollout.read_bytes().replace(b"019fc8be", b"019fc8bf"))
    for command in (["history"], ["import"]):
        assert run(*command).code == 0
        assert run("history", "--json", "--tool", "codex").json == before
    found = tools(run("sources", "--json"))["Codex"]
    assert [place["state"] for place in found["places"]] == ["forgotten"]
    assert found["sessions"] == len(before["workflows"]) + 1  # a sub-agent's thread is a session of its root's workflow
    assert run("import", "codex").code == 0
    assert [place["state"] for place in tools(run("sources", "--json"))["Codex"]["places"]] == ["read"]


@pytest.mark.usefixtures("kinds")
def test_a_place_can_be_forgotten_before_anything_was_read(run: Run, home: Path) -> None:
    assert run("sources", "--forget", str(home / ".claude"), "--json").json == {
        "forgotten": [{"kind": "claude", "path": str(home / ".claude")}]
    }
    assert "Claude Code" not in {row["tool"] for row in run("history", "--json").json["workflows"]}


@pytest.mark.usefixtures("kinds")
def test_what_is_no_source_cannot_be_forgotten(run: Run, home: Path) -> None:
    run("import", "codex")
    done = run("sources", "--forget", "nowhere")
    assert (done.code, f"remembered are {home / '.codex'}" in done.err) == (2, True), done.err
    config = home / ".local" / "share" / "costledger" / "costledger.toml"
    config.write_text(f'[[sources]]\nkind = "otlp"\npath = "{OTLP}"\n')
    done = run("sources", "--config", str(config), "--forget", OTLP)
    assert (done.code, "costledger.toml name it; remove it there" in done.err) == (2, True), done.err


@pytest.mark.usefixtures("kinds")
def test_a_source_that_is_gone_keeps_its_sessions(run: Run, home: Path) -> None:
    before = tools(run("sources", "--json"))["Gemini CLI"]
    shutil.rmtree(home / ".gemini")
    after = tools(run("sources", "--json"))["Gemini CLI"]
    assert [place["state"] for place in after["places"]] == ["gone"]
    assert (after["sessions"], after["last_activity"]) == (before["sessions"], before["last_activity"])


@pytest.mark.usefixtures("kinds")
def test_in_a_projects_directory_default_places_are_not_read(run: Run, home: Path) -> None:
    named = str(home / "project")
    found = tools(run("sources", "--json", "--data", named))
    assert {place["state"] for tool in found.values() for place in tool["places"]} == {"not read"}
    assert not Path(named).exists()
    advice = run("--data", named).out
    assert "`costledger import` reads them into this one (found: Claude Code, " in advice


@pytest.mark.usefixtures("kinds")
def test_while_an_import_is_running_what_is_stored_is_shown(run: Run, home: Path) -> None:
    before = run("sources", "--json").json
    with MessageIndex.opened(DirectoryStore(home / ".local" / "share" / "costledger")):
        assert run("sources", "--json").json == before


def test_an_import_without_a_kind_takes_everything_found(run: Run, home: Path, kinds: list[str]) -> None:
    done = run("import", "--json")
    assert done.code == 0, done.err
    labels = {AGENTS[kind].label for kind in kinds}
    assert {name for tools in done.json["by_tool"] for name in split_tools(tools)} == labels
    nanousd = [round(float(tool["cost_usd"]) * 10**9) for tool in done.json["by_tool"].values()]
    assert sum(nanousd) == round(float(done.json["total"]["cost_usd"]) * 10**9)
    again = run("import")
    assert again.out.startswith("0 events appended, ")
    for label in labels:
        assert label in again.out
    shutil.rmtree(home / ".gemini")
    assert run("import").code == 0, "what is gone is no error"


@pytest.mark.usefixtures("home")
def test_an_import_without_a_kind_says_where_nothing_was_found(run: Run) -> None:
    done = run("import")
    assert (done.code, "no logs of a supported agent are in their default places" in done.err) == (2, True), done.err
    assert run("import", "--workflow-by", "project").code == 2


@pytest.mark.usefixtures("home")
def test_a_path_without_a_kind_is_recognised(run: Run, kinds: list[str], tmp_path: Path) -> None:
    for kind in kinds:
        place = next(path for path in agent_folders(kind) if path.is_dir())
        assert run("import", str(place)).code == 0
        assert run("history", "--json", "--tool", kind).json["total_count"] > 0
    (tmp_path / "notes.txt").write_text("what it cost\n", encoding="utf-8")
    done = run("import", str(tmp_path / "notes.txt"), OTLP)
    assert (done.code, "notes.txt: is no log of a known tool; it looks like text; name the KIND" in done.err) == (
        1,
        True,
    )
    assert run("history", "--json", "--tool", "otlp").json["total_count"] > 0, "the other path is read"
    assert "there is no file or folder './nowhere'" in run("import", "./nowhere").err


def test_a_declined_tools_file_is_named_as_that(run: Run, home: Path) -> None:
    file = home / ".cursor" / "chats" / "store.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"tokens": 5}))
    for arguments in ([str(file)], ["claude", str(file)]):
        done = run("import", *arguments)
        assert (done.code, "belongs to Cursor, which is not read: " in done.err) == (1, True), done.err
    done = run("import", "copilot-chat")
    assert (done.code, "Copilot Chat is not read: " in done.err) == (2, True), done.err


@pytest.mark.parametrize("columns", ["80", "120", "200"])
@pytest.mark.usefixtures("kinds")
def test_the_picture_fits_the_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for line in run("sources").out.splitlines():
        assert len(line) <= int(columns) or line.startswith("looked for"), line
