"""What a missing package's error says to do works for the installation that says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.installation import _hint, extra_hint

COMMIT = "94d136b0"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "a clone"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    return folder


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An environment with pip."""
    folder = tmp_path / "venv"
    (folder / "lib/python3.12/site-packages/pip").mkdir(parents=True)
    return folder


def of(folder: Path, *, editable: bool = False) -> dict[str, Any]:
    return {"url": folder.as_uri(), "dir_info": {"editable": True} if editable else {}}


def test_an_installation_from_a_clone_names_the_clone(clone: Path, prefix: Path) -> None:
    hint = _hint("server", of(clone), prefix, "/venv/bin/python")
    assert hint == f"/venv/bin/python -m pip install '{clone}[server]'"
    hint = _hint("server", of(clone, editable=True), prefix, "/venv/bin/python")
    assert hint == f"/venv/bin/python -m pip install --editable '{clone}[server]'"


def test_an_installation_from_git_names_the_repository_and_the_commit(prefix: Path) -> None:
    origin = {"url": "https://git.example.com/costledger.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
    hint = _hint("nats", origin, prefix, "python")
    assert hint == f"python -m pip install 'costledger[nats] @ git+https://git.example.com/costledger.git@{COMMIT}'"


def test_an_installation_from_a_wheel_names_the_file(prefix: Path) -> None:
    origin = {"url": "file:///tmp/costledger-0.1.0-py3-none-any.whl", "archive_info": {}}
    hint = _hint("watch", origin, prefix, "python")
    assert hint == "python -m pip install 'costledger[watch] @ file:///tmp/costledger-0.1.0-py3-none-any.whl'"


@pytest.mark.parametrize(
    ("receipt", "command"),
    [("uv-receipt.toml", "uv tool install --force"), ("pipx_metadata.json", "pipx install --force")],
)
def test_a_tools_environment_is_installed_again_by_what_made_it(
    clone: Path, prefix: Path, receipt: str, command: str
) -> None:
    (prefix / receipt).touch()
    assert _hint("server", of(clone), prefix, "python") == f"{command} '{clone}[server]'"


def test_an_environment_without_pip_is_uvs(clone: Path, tmp_path: Path) -> None:
    hint = _hint("server", of(clone), tmp_path / "bare", "/bare/bin/python")
    assert hint == f"uv pip install --python /bare/bin/python '{clone}[server]'"


@pytest.mark.parametrize("origin", [{}, {"url": "file:///nowhere", "dir_info": {}}, {"url": 7, "dir_info": {}}])
def test_where_nothing_is_known_a_clone_is_named_and_never_an_index(origin: dict[str, Any], prefix: Path) -> None:
    assert _hint("server", origin, prefix, "python") == "in a clone of costledger, python -m pip install '.[server]'"


def test_this_installation_has_a_hint() -> None:
    assert extra_hint("server").rstrip("'").endswith("[server]")
