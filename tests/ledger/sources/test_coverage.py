"""What each kind cannot show, and the tools that are declined."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.sources import KINDS
from ledger.sources.coverage import CANNOT_SHOW, DECLINED, declined_at, declined_called, declined_here


def test_every_kind_that_can_be_imported_says_what_it_cannot_show() -> None:
    assert set(KINDS) == CANNOT_SHOW.keys()


@pytest.mark.parametrize("text", [*CANNOT_SHOW.values(), *(tool.reason for tool in DECLINED)])
def test_each_is_one_phrase_that_ends_a_sentence(text: str) -> None:
    assert text == text.strip().rstrip(".")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("path", "tool"),
    [
        ("/home/ann/.cursor/projects/x/transcript.jsonl", "Cursor"),
        ("/home/ann/.config/Cursor/User/globalStorage/state.vscdb", "Cursor"),
        ("/home/ann/.config/Code/User/workspaceStorage/1f/chatSessions/a.jsonl", "Copilot Chat"),
        ("/home/ann/.gemini/antigravity/conversations/a.pb", "Antigravity"),
        ("/home/ann/.gemini/tmp/x/chats/session-a.json", None),
        ("/home/ann/.cursors/a.json", None),
    ],
)
def test_a_path_is_of_the_tool_whose_folder_it_is_in(path: str, tool: str | None) -> None:
    found = declined_at(Path(path))
    assert (None if found is None else found.name) == tool


def test_a_declined_tool_is_called_by_its_name() -> None:
    assert [declined_called(name) is not None for name in ("cursor", "Copilot-Chat", "claude")] == [True, True, False]


def test_folders_that_exist_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".config" / "Cursor" / "User").mkdir(parents=True)
    found = {tool.name: declined_here(tool) for tool in DECLINED if declined_here(tool)}
    assert found == {"Cursor": [tmp_path / ".config" / "Cursor" / "User"]}
