from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.errors import SourceUnreadable
from ledger.sources.findings import Skipped
from ledger.sources.formats.folders import is_folder, may_exist, unreadable, walked


def test_folders_are_walked_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "log").touch()
    skipped: list[Skipped] = []
    found = [(os.path.relpath(where, tmp_path), names) for where, _, names in walked(tmp_path, skipped)]
    assert [where for where, _ in found] == [".", "a", "a/inner", "b", "b/inner", "c", "c/inner"]
    assert [names for where, names in found if "inner" not in where and where != "."] == [["log"]] * 3
    assert skipped == []


def test_what_exists_is_known_and_a_link_to_nothing_exists(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert [is_folder(tmp_path / name) for name in ("", "file", "file/x", "gone", "link")] == [True, *[False] * 4]
    assert [may_exist(tmp_path / name) for name in ("", "file", "file/x", "gone", "link")] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_a_path_that_the_system_refuses_to_look_up_is_an_error_and_no_absence(tmp_path: Path) -> None:
    too_long = tmp_path / ("x" * 5000)
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        is_folder(too_long)
    assert may_exist(too_long)


def test_the_file_that_an_error_names_is_the_one_that_is_reported() -> None:
    assert unreadable(Path("/a"), PermissionError(13, "denied", b"/a/b\xff")).path == Path("/a/b\udcff")
    assert unreadable(Path("/a"), PermissionError(13, "denied")) == Skipped(Path("/a"), None, "cannot be read: denied")
