from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events.worktrees import WORKTREE_FOLDERS, without_worktree

names = st.text("abz.-_ ä", min_size=1, max_size=6).filter(lambda name: name.strip(".") == name)


@pytest.mark.parametrize(
    ("folder", "repository"),
    [
        ("/h/shop/.claude/worktrees/fix", "/h/shop"),
        ("/h/shop/.worktrees/fix/src", "/h/shop"),
        ("/h/.codex/worktrees/1a2b/shop/src", "/h/.codex/worktrees/1a2b/shop"),
        ("/h/.cursor/worktrees/shop/src", "/h/.cursor/worktrees/shop"),
        (r"C:\shop\.worktrees\fix", "C:/shop"),
        ("/h/shop/trees/w1/src", "/h/shop"),
        ("/h/shop/trees/w2/src", "/h/shop/trees/w2/src"),
        ("/h/shop-worktrees/fix", "/h/shop-worktrees/fix"),
    ],
)
def test_a_worktree_belongs_to_its_repository(folder: str, repository: str) -> None:
    assert without_worktree(folder, "w1") == repository


@given(st.lists(names, min_size=1, max_size=4))
def test_a_folder_of_any_other_name_is_itself(parts: list[str]) -> None:
    folder = "/" + "/".join(parts)
    assert without_worktree(folder, "w") == folder
    assert without_worktree(f"{folder}/.worktrees/fix") == folder


def test_a_folder_of_worktrees_next_to_a_repository_only_names_a_candidate() -> None:
    found = WORKTREE_FOLDERS.fullmatch("/h/shop-worktrees/fix/src")
    assert found is not None
    assert found["repository"] == "/h/shop"
    assert without_worktree("/h/shop-worktrees/fix/src") == "/h/shop-worktrees/fix/src"
