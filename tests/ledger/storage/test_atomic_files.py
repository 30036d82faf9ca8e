from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ledger.storage.atomic_files import locked, write_whole
from ledger.storage.locks import LockTimeout


def test_a_reader_gets_the_old_content_or_the_new_and_never_a_part(tmp_path: Path) -> None:
    path, contents = tmp_path / "small", [letter * 200_000 for letter in (b"a", b"b")]
    write_whole(path, contents[0])
    done = threading.Event()

    def write() -> None:
        for number in range(40):
            write_whole(path, contents[number % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert path.read_bytes() in contents
    writer.join()
    assert [one.name for one in tmp_path.iterdir()] == ["small"]


def test_a_write_that_fails_leaves_the_old_content_and_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.mkdir()
    (path / "inside").touch()
    with pytest.raises(OSError, match="directory"):
        write_whole(path, b"new")
    assert [one.name for one in tmp_path.iterdir()] == ["small"]


def test_the_mode_is_that_of_the_caller_below_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "secret", b"x", mode=0o600)
        write_whole(tmp_path / "public", b"x")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("secret", "public")] == [0o600, 0o644]


def test_a_folder_is_locked_against_others_for_the_block_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTLEDGER_LOCK_SECONDS", "0")
    folder = tmp_path / "made" / "inside"
    with locked(folder), pytest.raises(LockTimeout), locked(folder):
        pass
    with locked(folder):
        assert folder.is_dir()
