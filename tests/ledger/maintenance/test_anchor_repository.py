from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ledger import DirectoryStore, cost_observed
from ledger.errors import CostledgerError, InvalidInput
from ledger.maintenance.anchor_repository import ANCHORS_FILE, commit
from ledger.maintenance.anchors import Anchor, anchor


def git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def data(tmp_path: Path) -> Path:
    DirectoryStore(tmp_path / "data").append([cost_observed("w", cost_usd="1")])
    return tmp_path / "data"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "anchors")
    git(tmp_path / "anchors", "config", "user.email", "dev@example.com")
    git(tmp_path / "anchors", "config", "user.name", "dev")
    return tmp_path / "anchors"


def made(data: Path) -> Anchor:
    return anchor(DirectoryStore(data))


def test_each_anchor_is_a_line_and_a_commit_of_that_file_alone(data: Path, repository: Path) -> None:
    (repository / "other.txt").write_text("x")
    git(repository, "add", "other.txt")
    first, second = made(data), made(data)
    for one in (first, second):
        assert commit(one, repository, data) == repository / ANCHORS_FILE
    assert (repository / ANCHORS_FILE).read_text().splitlines() == [str(first), str(second)]
    subjects = git(repository, "log", "--format=%s", "--name-only")
    assert subjects.count("1 ledger, 2 events") == 2
    assert "other.txt" not in subjects


def test_a_repository_that_writers_of_the_ledgers_could_change_is_refused(data: Path) -> None:
    with pytest.raises(InvalidInput, match="is in the data directory"):
        commit(made(data), data / "ledgers", data)


def test_a_folder_that_is_no_repository_gets_no_file(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    with pytest.raises(InvalidInput, match="git init"):
        commit(made(data), folder, data)
    assert list(folder.iterdir()) == []


def test_what_git_refuses_is_reported_and_the_anchor_stays_in_its_file(data: Path, repository: Path) -> None:
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no commits today >&2\nexit 1\n")
    hook.chmod(0o755)
    one = made(data)
    with pytest.raises(CostledgerError, match="not committed: git commit: no commits today"):
        commit(one, repository, data)
    assert (repository / ANCHORS_FILE).read_text() == f"{one}\n"
