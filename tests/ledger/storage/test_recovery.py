from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger import DirectoryStore, cost_observed
from ledger.errors import DamagedLedger
from ledger.storage.files import Files, OpenFile
from ledger.storage.recovery import copy_verified, ending, last_tail


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = DirectoryStore(tmp_path)
    store.append([cost_observed("w", agent=agent, cost_usd="1") for agent in ("plan", "build")])
    return store.ledger_path("w")


def opened(path: Path) -> OpenFile:
    return OpenFile(path, os.O_RDWR | os.O_APPEND)


def recovered(path: Path) -> int:
    return last_tail(Files(), opened(path), path, "w").head.seq


def test_any_cut_leaves_the_lines_before_it_and_nothing_is_lost(path: Path) -> None:
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for size in range(len(lines[0]), len(whole) + 1):
        path.write_bytes(whole[:size])
        seq = recovered(path)
        after = path.read_bytes()
        assert after == b"".join(lines[:seq])
        aside = [file.read_bytes() for file in path.parent.glob("*.torn-*")]
        assert after + b"".join(aside) in (whole[:size], whole[: size + 1])  # a newline that was missing is written
        for file in path.parent.glob("*.torn-*"):
            file.unlink()


@pytest.mark.parametrize("nuls", [1, 5000, 3_000_000])
def test_nul_bytes_after_the_text_contain_nothing(path: Path, nuls: int) -> None:
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.truncate(len(whole) + nuls)
    found = ending(Files(), opened(path), path, "w")
    assert (found.size, found.stop, found.tail.head.seq) == (len(whole) + nuls, len(whole), 3)
    assert path.stat().st_size == len(whole) + nuls
    assert recovered(path) == 3
    assert path.read_bytes() == whole
    assert list(path.parent.glob("*.torn-*")) == []


def test_torn_tails_have_a_number_each(path: Path) -> None:
    for _ in range(2):
        with path.open("ab") as file:
            file.write(b'{"v":1')
        recovered(path)
    assert [file.name for file in sorted(path.parent.glob("*.torn-*"))] == ["w.jsonl.torn-1", "w.jsonl.torn-2"]


def test_a_changed_last_line_is_damage_and_nothing_is_changed(path: Path) -> None:
    changed = path.read_bytes().replace(b'"agent":"build"', b'"agent":"guild"')
    path.write_bytes(changed)
    with pytest.raises(DamagedLedger, match="line 3"):
        recovered(path)
    assert path.read_bytes() == changed


def test_a_copy_has_the_verified_lines_in_a_new_file_or_there_is_none(path: Path) -> None:
    whole, before = path.read_bytes(), path.stat().st_ino
    path.with_name("w.jsonl.fenced").touch()
    copy_verified(Files(), opened(path), path, "w")
    assert path.read_bytes() == whole
    assert path.stat().st_ino != before
    assert [file.name for file in path.parent.iterdir()] == ["w.jsonl"]
    changed = whole.replace(b'"agent":"plan"', b'"agent":"clan"')
    path.write_bytes(changed)
    with pytest.raises(DamagedLedger, match="line 2"):
        copy_verified(Files(), opened(path), path, "w")
    assert path.read_bytes() == changed
