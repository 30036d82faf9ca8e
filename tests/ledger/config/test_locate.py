"""Where the data directory is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger import workflow
from ledger.config.locate import config_file, data_directory, located, user_data_directory
from ledger.errors import InvalidConfig


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder deep in a home where nothing is; it is the current one."""
    folder = tmp_path / "project" / "src" / "deep"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("COSTLEDGER_DATA", "COSTLEDGER_CONFIG", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder


def test_the_nearest_name_wins(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert located() == (user_data_directory(), "user")
    project = tmp_path / "project"
    (project / "data" / "ledgers").mkdir(parents=True)
    assert located() == (project / "data", "project")
    (project / "costledger.toml").write_text('data = "costs"\n')
    assert located() == (project / "costs", "configuration")
    (here / "data" / "ledgers").mkdir(parents=True)
    assert located() == (Path("data"), "project"), "the folder's own comes before those above it"
    (tmp_path / "named.toml").write_text('data = "/srv/costs"\n')
    assert located(config=tmp_path / "named.toml") == (Path("/srv/costs"), "configuration")
    monkeypatch.setenv("COSTLEDGER_DATA", "from-environment")
    assert located() == (Path("from-environment"), "environment")
    assert located("given") == (Path("given"), "caller")


def test_a_folder_data_without_ledgers_is_no_data_directory(here: Path) -> None:
    (here / "data").mkdir()
    assert data_directory() == user_data_directory()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_another_users_files_in_a_folder_above_do_not_decide(here: Path, tmp_path: Path) -> None:
    ledgers, config = tmp_path / "project" / "data" / "ledgers", tmp_path / "project" / "costledger.toml"
    ledgers.mkdir(parents=True)
    config.write_text('data = "theirs"\n')
    for path in (ledgers, config):
        os.chown(path, 12345, 12345)
    assert located() == (user_data_directory(), "user")
    assert config_file(user_data_directory()) is None
    os.chdir(here.parent.parent)
    assert located().named_by == "configuration", "in the folder itself they count, as they always did"


def test_the_users_own_is_where_platformdirs_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    platformdirs = pytest.importorskip("platformdirs")
    for home in ("", str(tmp_path / "xdg"), "relative"):
        monkeypatch.setenv("XDG_DATA_HOME", home)
        assert user_data_directory() == platformdirs.user_data_path("costledger", appauthor=False)


def test_the_configuration_of_a_folder_above_is_found(here: Path, tmp_path: Path) -> None:
    (here.parent.parent / "costledger.toml").touch()
    assert config_file(data_directory()) == tmp_path / "project" / "costledger.toml"


@pytest.mark.parametrize("text", ["data = 3\n", 'data = ""\n', "data = \n", "data =\xff\n"])
def test_a_name_that_cannot_be_used_is_an_error(here: Path, text: str) -> None:
    (here / "costledger.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidConfig, match=r"costledger\.toml"):
        located()


def test_a_program_writes_where_the_commands_read(here: Path, tmp_path: Path) -> None:
    with workflow("w") as wf:
        wf.observe(cost_usd="1")
    assert (user_data_directory() / "ledgers" / "w.jsonl").is_file()
    (tmp_path / "project" / "data" / "ledgers").mkdir(parents=True)
    with workflow("w") as wf:
        wf.observe(cost_usd="1")
    assert (tmp_path / "project" / "data" / "ledgers" / "w.jsonl").is_file()
    assert [*here.iterdir()] == []
