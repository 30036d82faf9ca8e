"""`install claude-code`: what it puts into the settings, it takes out again, and nothing else moves."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import SourceUnreadable
from projections.claude_code.settings import HOOKS, StatusLine, installed, parsed, spelled_like, uninstalled
from tests.command import Done, costledger

PATH = Path("/home/u/.claude/settings.json")
COMMAND = "/v e/bin/costledger"

leaves = st.none() | st.booleans() | st.integers() | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
hooks = st.fixed_dictionaries({"type": st.just("command"), "command": st.text()})
groups = st.fixed_dictionaries({"hooks": st.lists(hooks, min_size=1)}, optional={"matcher": st.text()})
lists = st.lists(groups, min_size=1, max_size=3)
settings = st.builds(
    lambda rest, known: rest | known,
    st.dictionaries(st.text().filter(lambda name: name not in ("hooks", "statusLine")), values, max_size=4),
    st.fixed_dictionaries(
        {},
        optional={
            "statusLine": st.fixed_dictionaries(
                {"type": st.just("command"), "command": st.text()}, optional={"padding": st.integers()}
            ),
            "hooks": st.dictionaries(st.sampled_from([*HOOKS, "PreToolUse"]), lists, min_size=1),
        },
    ),
)


@given(settings, st.sampled_from(["after", "keep"]), st.booleans())
def test_what_was_installed_is_taken_out_and_nothing_else_moves(
    found: dict[str, Any], status_line: StatusLine, stops: bool
) -> None:
    made = installed(PATH, found, COMMAND, "/data dir", status_line, stops=stops)
    assert uninstalled(PATH, made) == found
    assert list(uninstalled(PATH, made)) == list(found)
    assert installed(PATH, made, COMMAND, "/data dir", status_line, stops=stops) == made
    assert ("--stop-over-budget" in str(made["hooks"].get("PreToolUse"))) == stops
    for name in HOOKS:
        *theirs, ours = made["hooks"][name]
        assert theirs == found.get("hooks", {}).get(name, [])
        assert ours == {"hooks": [{"type": "command", "command": "'/v e/bin/costledger' hook --data '/data dir'"}]}


@given(settings, st.sampled_from(["  ", "    ", "\t"]), st.sampled_from(["", "\n"]))
def test_a_file_in_the_usual_spelling_comes_back_byte_by_byte(found: dict[str, Any], indent: str, ending: str) -> None:
    text = json.dumps(found, indent=indent, ensure_ascii=False) + ending
    if found:
        made = installed(PATH, parsed(PATH, text), COMMAND, "/d", "after")
        back = spelled_like(text, made)
        assert spelled_like(back, uninstalled(PATH, parsed(PATH, back))) == text


def test_another_status_line_is_refused_with_the_choices() -> None:
    with pytest.raises(SourceUnreadable, match="--status-line after") as caught:
        installed(PATH, {"statusLine": {"type": "command", "command": "mine.sh"}}, COMMAND, "/d", "refuse")
    assert "mine.sh" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{\n  // my settings\n  "a": 1\n}', "line 2, column 3"),
        ("{", "line 1"),
        ("[]", "not an object"),
        ('{"a": 1, "a": 2}', "'a' twice"),
        ('{"hooks": []}', "hooks"),
        ('{"hooks": {"Stop": {}}}', "hooks.Stop"),
    ],
)
def test_what_cannot_be_preserved_is_not_changed(text: str, problem: str) -> None:
    with pytest.raises(SourceUnreadable, match=problem):
        installed(PATH, parsed(PATH, text), COMMAND, "/d", "refuse")


class TestCommand:
    def install(self, home: Path, *arguments: str, given: str = "", where: str = "") -> Done:
        command = ["install", "claude-code", "--data", str(home / "data"), *arguments]
        environment = {"CLAUDE_CONFIG_DIR": where or str(home / ".claude")}
        return costledger(home, *command, stdin=given.encode(), environment=environment)

    def test_without_a_file_one_is_made_and_taken_back(self, tmp_path: Path) -> None:
        path = tmp_path / ".claude" / "settings.json"
        done = self.install(tmp_path, given="y\n")
        assert done.code == 0
        assert "+++ " in done.out
        written = json.loads(path.read_text())
        assert sorted(written["hooks"]) == sorted(HOOKS)
        words = written["statusLine"]["command"].split()
        assert Path(words[0]).is_file()
        assert words[1:] == ["statusline", "--data", str(tmp_path / "data")]
        assert "nothing to change" in self.install(tmp_path).out
        gone = self.install(tmp_path, "--uninstall", "--yes")
        assert (gone.code, "no longer report" in gone.out) == (0, True)
        assert json.loads(path.read_text()) == {}

    def test_no_is_no(self, tmp_path: Path) -> None:
        done = self.install(tmp_path, given="n\n")
        assert (done.code, "nothing was changed" in done.out) == (1, True)
        assert not (tmp_path / ".claude").exists()

    def test_no_terminal_to_ask_means_no(self, tmp_path: Path) -> None:
        done = self.install(tmp_path)
        assert (done.code, "--yes" in done.err, "interrupted" in done.err) == (1, True, False)
        assert not (tmp_path / ".claude").exists()

    def test_several_folders_of_settings_are_refused(self, tmp_path: Path) -> None:
        done = self.install(tmp_path, "--yes", where=f"{tmp_path / 'a'}, {tmp_path / 'b'}")
        assert (done.code, "names several folders" in done.err) == (2, True)
        assert list(tmp_path.iterdir()) == []

    def test_settings_that_disable_all_hooks_are_reported_before_and_after(self, tmp_path: Path) -> None:
        path = tmp_path / ".claude" / "settings.json"
        path.parent.mkdir()
        path.write_text('{"disableAllHooks": true}\n')
        declined = self.install(tmp_path, given="n\n")
        assert '"disableAllHooks": true is set there: until it is false, Claude Code runs no hooks' in declined.err
        done = self.install(tmp_path, "--yes")
        assert (done.code, "use it" in done.out) == (0, False)
        assert 'settings.json: written, but "disableAllHooks": true is set there' in done.out
        assert "nothing to change, but" in self.install(tmp_path, "--yes").out
        gone = self.install(tmp_path, "--uninstall", "--yes")
        assert ("no longer report" in gone.out, "is set there" in gone.out + gone.err) == (True, False)
        path.write_text('{"disableAllHooks": false}\n')
        assert "use it" in self.install(tmp_path, "--yes").out

    def test_a_linked_file_is_written_where_it_lies_with_its_mode(self, tmp_path: Path) -> None:
        dotfiles = tmp_path / "dotfiles"
        dotfiles.mkdir()
        (dotfiles / "claude.json").write_text('{"model": "opus"}\n')
        (dotfiles / "claude.json").chmod(0o600)
        (tmp_path / ".claude").mkdir()
        link = tmp_path / ".claude" / "settings.json"
        link.symlink_to(dotfiles / "claude.json")
        assert self.install(tmp_path, "--yes").code == 0
        assert link.is_symlink()
        assert (dotfiles / "claude.json").stat().st_mode & 0o777 == 0o600
        assert json.loads(link.read_text())["model"] == "opus"
        assert [path.name for path in dotfiles.iterdir()] == ["claude.json"]

    def test_a_file_with_comments_stays_as_it_was(self, tmp_path: Path) -> None:
        (tmp_path / ".claude").mkdir()
        path = tmp_path / ".claude" / "settings.json"
        path.write_text("{ // mine\n}")
        done = self.install(tmp_path, "--yes")
        assert (done.code, path.read_text()) == (1, "{ // mine\n}")
        assert "line 1, column 3" in done.err

    def test_what_is_installed_runs(self, tmp_path: Path) -> None:
        self.install(tmp_path, "--yes")
        written = json.loads((tmp_path / ".claude" / "settings.json").read_text())
        given = json.dumps({"session_id": "s-1", "cost": {"total_cost_usd": 0.42}})
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COSTLEDGER_")}
        for command in (written["statusLine"]["command"], written["hooks"]["Stop"][0]["hooks"][0]["command"]):
            shell = ["sh", "-c", command]
            done = subprocess.run(shell, input=given, capture_output=True, text=True, check=True, env=environment)
            assert done.stdout in ("s-1 · $0.42\n", "")
        assert (tmp_path / "data" / "live").is_dir()
