"""A write is whole or an error, by one rule for all writers."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ledger.storage.files import Files, OpenFile, fence_path, is_fenced, lift_fence, set_fence, write_all


class FullDisk(Files):
    """A disk with room for three more bytes."""

    def write(self, file: OpenFile, data: bytes) -> int:
        return super().write(file, data[:3])


def test_all_bytes_are_written_or_the_error_names_how_many_were(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    write_all(Files(), Files().open_append(path), b"one\n")
    assert path.read_bytes() == b"one\n"
    with pytest.raises(OSError, match="only 3 of 4 bytes were written") as refused:
        write_all(FullDisk(), Files().open_append(path), b"two\n")
    assert refused.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"one\ntwo"


def test_a_fence_is_there_for_other_processes_until_it_is_lifted(tmp_path: Path) -> None:
    path, files = tmp_path / "w.jsonl", Files()
    set_fence(files, path)
    set_fence(files, path)
    assert is_fenced(files, path)
    files.fenced.discard(path)  # as in another process
    assert is_fenced(files, path)
    lift_fence(files, path)
    assert not is_fenced(files, path)
    assert not fence_path(path).exists()
