from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import DirectoryStore, Head, LedgerReader, cost_observed
from ledger.storage.files import Files, OpenFile, write_all
from ledger.storage.rewrite import before_renewal, had_before_renewal, renewed_opening, replaced, write_renumbered


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def renewed(path: Path, origin: str) -> None:
    lines, files = lines_of(path), Files()
    opening = renewed_opening(orjson.loads(lines[0]), origin, orjson.loads(lines[-1])["hash"])
    with replaced(files, OpenFile(path, os.O_RDWR), path) as new:
        assert write_renumbered(files, new, lines, opening) == len(lines) - 1
        files.sync(new)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3))
def test_each_renewal_can_be_undone_to_the_byte_and_still_proves_its_old_heads(
    tmp_path_factory: pytest.TempPathFactory, events: int, renewals: int
) -> None:
    store = DirectoryStore(tmp_path_factory.mktemp("data"))
    store.append([cost_observed("w", agent=str(n), cost_usd="1") for n in range(events)])
    path = store.ledger_path("w")
    generations = [lines_of(path)]
    for number in range(renewals):
        renewed(path, f"{number:016x}")
        generations.append(lines_of(path))
    now = generations[-1]
    data = path.read_bytes()
    verified = list(LedgerReader("w", path, lambda at, n: data[at : at + n], len(data)))
    assert [line["agent"] for line in verified[1:]] == [str(n) for n in range(events)]
    undone = now
    for before in reversed(generations[:-1]):
        undone = list(before_renewal(undone))
        assert undone == before
        head = Head(len(before), sum(map(len, before)), orjson.loads(before[-1])["hash"])
        assert had_before_renewal(lambda: now, head)
        assert not had_before_renewal(lambda: now, Head(head.seq, head.size, "0" * 64))
    assert list(before_renewal(generations[0])) == []


def test_a_replacement_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    path.write_bytes(b"old")

    def replace(*, moved: bool) -> None:
        files = Files()
        with replaced(files, OpenFile(path, os.O_RDWR), path) as new:
            write_all(files, new, b"new")
            if not moved:
                raise ValueError("stop")
            path.rename(tmp_path / "away")
            path.write_bytes(b"by hand")

    with pytest.raises(ValueError, match="stop"):
        replace(moved=False)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("w.jsonl", b"old")]
    with pytest.raises(OSError, match="replaced by hand"):
        replace(moved=True)
    assert path.read_bytes() == b"by hand"


def test_a_link_to_a_ledger_stays_a_link_and_the_mode_stays(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "w.jsonl"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    files = Files()
    with replaced(files, OpenFile(link, os.O_RDWR), link) as new:
        write_all(files, new, b"new")
    assert link.is_symlink()
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"new", 0o640)
