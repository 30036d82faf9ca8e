"""Which repository a folder belongs to: by the file system while it exists, else by its path."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ledger.events.worktrees import without_worktree
from ledger.sources.repositories import repository_of


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    repository = tmp_path / "shop"
    (repository / "src" / "cart").mkdir(parents=True)
    git(repository, "init")
    git(repository, "commit", "--allow-empty", "-m", "first")
    return repository


def test_a_sub_folder_belongs_to_its_repository(shop: Path) -> None:
    assert repository_of(str(shop)) == str(shop)
    assert repository_of(str(shop / "src" / "cart")) == str(shop)
    shutil.rmtree(shop / "src")
    assert repository_of(str(shop / "src" / "cart")) == str(shop), "a folder that was deleted since"


@pytest.mark.parametrize("folder", ["../elsewhere", ".worktrees/fix", ".claude/worktrees/fix", "../shop-worktrees/fix"])
def test_a_worktree_belongs_to_the_main_repository(shop: Path, folder: str) -> None:
    worktree = (shop / folder).resolve()
    git(shop, "worktree", "add", str(worktree))
    (worktree / "src").mkdir()
    assert repository_of(str(worktree / "src")) == str(shop)
    shutil.rmtree(worktree)
    if folder != "../elsewhere":
        assert repository_of(str(worktree / "src")) == str(shop), "its path alone says it"


def test_a_worktree_of_a_bare_repository_belongs_to_it(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    for bare, expected in (("tools.git", "tools"), ("project/.bare", "project")):
        git(tmp_path, "clone", "--bare", str(shop), bare)
        git(tmp_path / bare, "worktree", "add", "-b", "fix", str(tmp_path / f"{expected}-fix"))
        assert repository_of(str(tmp_path / f"{expected}-fix")) == str(tmp_path / expected)


def test_a_submodule_is_a_repository_of_its_own(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    git(tmp_path / "whole", "init")
    git(tmp_path / "whole", "-c", "protocol.file.allow=always", "submodule", "add", str(shop), "part")
    assert repository_of(str(tmp_path / "whole" / "part")) == str(tmp_path / "whole" / "part")


def test_a_folder_in_no_repository_is_its_own_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    assert repository_of(str(notes)) == str(notes)
    git(tmp_path, "init")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert repository_of(str(notes)) == str(notes), "a repository of the whole home says nothing about the work"
    assert repository_of("shop-worktrees/fix") == "shop-worktrees/fix"


def test_a_git_file_that_says_nothing_is_passed_over(shop: Path) -> None:
    for text in (b"", b"gitdir:\n", b"\xff\xfe\0", b"anything else"):
        (shop / "src" / ".git").write_bytes(text)
        assert repository_of(str(shop / "src")) == str(shop)


@pytest.mark.parametrize(
    ("folder", "repository"),
    [
        ("/h/shop", "/h/shop"),
        ("/h/shop/.worktrees/x/src", "/h/shop"),
        ("/h/shop/.claude/worktrees/x", "/h/shop"),
        ("/h/shop/.claude/worktrees/x/.claude/worktrees/y", "/h/shop"),
        ("/h/.codex/worktrees/1a2b/shop/src", "/h/.codex/worktrees/1a2b/shop"),
        ("/h/.cursor/worktrees/shop/x", "/h/.cursor/worktrees/shop"),
        ("/h/shop/trees/w-1/src", "/h/shop"),
        ("/h/shop/trees/w-2", "/h/shop/trees/w-2"),
        ("/h/shop-worktrees/x", "/h/shop-worktrees/x"),
        ("C:\\code\\shop\\.worktrees\\x", "C:/code/shop"),
        ("C:\\code\\shop", "C:\\code\\shop"),
        ("shop", "shop"),
        ("/.worktrees/x", "/.worktrees/x"),
    ],
)
def test_a_path_alone_says_what_it_is_a_worktree_of(folder: str, repository: str) -> None:
    assert without_worktree(folder, "w-1") == repository
